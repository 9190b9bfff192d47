"""lm-evaluation-harness on local tasks: where it is installed."""

import json
from importlib.util import find_spec

import pytest

from distill.errors import BadInput
from distill.evaluation.harness import Harness, _measured
from distill.evaluation.subject import Subject

ABSENT = find_spec("lm_eval") is None
needs_harness = pytest.mark.skipif(ABSENT, reason="needs lm-eval: pip install 'distill-lab[eval]'")


def test_results_become_rows_with_intervals():
    told = {
        "results": {"mine": {"alias": "mine", "acc,none": 0.5, "acc_stderr,none": 0.1, "em,strict": 1.0}},
        "n-samples": {"mine": {"original": 9, "effective": 8}},
    }
    first, second = _measured(told)
    assert (first.metric, first.value, first.n, first.unit) == ("harness/mine/acc", 0.5, 8, "fraction")
    assert (first.low, first.high) == (pytest.approx(0.304, abs=1e-4), pytest.approx(0.696, abs=1e-4))
    assert (second.metric, second.low) == ("harness/mine/em_strict", None)


@needs_harness
def test_a_folder_that_is_none_is_refused(tiny_llama, tokenizer, tmp_path):
    subject = Subject("student", tiny_llama().eval(), tokenizer, 300)
    with pytest.raises(BadInput, match="no folder"):
        Harness(str(tmp_path / "absent")).measure([subject])


@needs_harness
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of four libraries behind it
def test_local_tasks_are_answered_offline(tiny_llama, tokenizer, tmp_path):
    questions = [{"q": "The quick brown", "c": ["fox", "dog"], "a": 0}, {"q": "the lazy", "c": ["cat", "dog"], "a": 1}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    (tmp_path / "mine.yaml").write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {tmp_path / 'q.jsonl'}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n"
        "doc_to_choice: '{{c}}'\nmetric_list:\n  - metric: acc\n"
    )
    subjects = [Subject(name, tiny_llama().eval(), tokenizer, 300) for name in ("teacher", "student")]
    found = Harness(str(tmp_path)).measure(subjects)
    assert [row.metric for row in found["student"]] == ["harness/mine/acc"]
    assert found["student"][0].n == 2
    with pytest.raises(BadInput, match="has mine"):
        Harness(str(tmp_path), tasks=["yours"]).measure(subjects)
