"""``distill train`` on conversations and on questions whose answers the student writes itself."""

import json

import pytest

from distill.rows import METRICS, read

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
TEMPLATE = TURNS + "{% if add_generation_prompt %}<assistant>{% endif %}"


@pytest.fixture
def data(laboratory):
    """The words that name each kind of data."""
    talk = [
        [{"role": "user", "content": f"Count to {n}."}, {"role": "assistant", "content": " ".join(map(str, range(n)))}]
        for n in range(3, 63)
    ]
    asked = [{"question": f"{n}+{n}?", "answer": str(2 * n), "rationale": f"Twice {n}."} for n in range(60)]
    rows = {"talk.jsonl": [{"messages": one} for one in talk], "asked.jsonl": asked}
    for name, told in rows.items():
        (laboratory / name).write_text("".join(json.dumps(row) + "\n" for row in told))
    (laboratory / "template.jinja").write_text(TEMPLATE)
    recipe = "+data.tokenizer._target_=distill.data.tokenizer.TrainedBPE"
    return {
        "chat": [
            "data=chat",
            "data.path=talk.jsonl",
            "data.template=template.jinja",
            recipe,
            "+data.tokenizer.size=300",
        ],
        "rationale": [
            "data=rationale",
            "~data.path",
            "questions@data.questions=rows",
            "data.questions.path=asked.jsonl",
        ],
    }


@pytest.mark.parametrize("kind", ["chat", "rationale"])
def test_answers_are_the_students_own_and_cut_ones_are_counted(kind, distill, laboratory, data):
    folder = laboratory / f"written-{kind}"
    words = [*data[kind], "rollout=student", "objective=on_policy", "rollout.new_tokens=6", "data.truncated=1"]
    assert distill("train", *words, "control=none", f"paths.run={folder}") == 0
    told = read(folder / METRICS)
    logged = {row.metric: row.value for row in told if row.split == "train"}
    (written,) = [row.value for row in told if row.metric == "written_tokens"]
    assert written == logged["rollout/written"] > 0
    assert 0 <= logged["rollout/ended"] < 1
    assert {"rollout/entropy", "rollout/length", "rollout/repetition_4", "rollout/reverse_kl_visited"} <= set(logged)
