"""Which teachers a student can learn from: told by tokenizers and configs alone (C6); then ranked, with reasons."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, ViTConfig

from distill.__main__ import main
from distill.cli.arguments import parse
from distill.cli.candidates import looked_at
from distill.cli.compose import compose
from distill.errors import BadInput
from distill.reports.choosing import Choice, document, ordered, written
from distill.reports.page import html


def config_of(tiny_llama, vocabulary):
    return tiny_llama(vocabulary=vocabulary).config


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tiny_llama, tokenizer):
    """``saved(change, vocabulary)`` -> a folder of a tokenizer, a config and a weight file without a weight in it."""

    def make(change=lambda tokenizer: tokenizer, vocabulary=300, config=None):
        folder = tmp_path_factory.mktemp("model")
        change(copy.deepcopy(tokenizer)).save_pretrained(folder)
        (config or config_of(tiny_llama, vocabulary)).save_pretrained(folder)
        save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors")
        return str(folder)

    return make


def looked(teacher, student, *words):
    """What preflight finds; no weight can be loaded, for there are none."""
    given = [f"teacher.path={teacher}", f"student.path={student}", "student.dtype=float32", *words]
    return looked_at("it", compose(parse(["preflight", "teacher=live", "student=pretrained", *given])))


def added(tokenizer):
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    return tokenizer


def grown(tokenizer):
    tokenizer.add_tokens([AddedToken("ordinary")])
    return tokenizer


def templated(tokenizer):
    tokenizer.chat_template = "{{ messages[0].content }}"
    return tokenizer


def without_marks(tokenizer):
    tokenizer.bos_token, tokenizer.eos_token = None, None
    return tokenizer


def edited(change):
    """The tokenizer's own file, changed."""

    def make(tokenizer):
        told = json.loads(tokenizer.backend_tokenizer.to_str())
        change(told["model"]["vocab"])
        end = tokenizer.eos_token
        made = Tokenizer.from_str(json.dumps(told))
        return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=end, eos_token=end, pad_token=end)

    return make


def swap(vocab, one="A", other="B"):
    vocab[one], vocab[other] = vocab[other], vocab[one]


def shift(vocab):
    """Same size, other ids: all but the mark go one on."""
    names = sorted((name for name in vocab if vocab[name]), key=vocab.__getitem__)
    for name, number in zip(names, [*range(2, len(names) + 1), 1], strict=True):
        vocab[name] = number


def another_family(_tokenizer):
    words = {"<|endoftext|>": 0} | {f"w{number}": number for number in range(1, 300)}
    made = Tokenizer(models.WordLevel(words, unk_token="w1"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=end, eos_token=end, pad_token=end, unk_token="w1")


ACCEPTED = {
    "equal": ({}, "300 shared ids, equal"),
    "padded": ({"vocabulary": 320}, "300 shared ids, padded, 20 and 0 rows cut"),
    "added specials": ({"change": added, "vocabulary": 301}, "300 shared ids, added_specials, 1 and 0 rows cut"),
    "other chat template": ({"change": templated}, "300 shared ids, equal"),
}
REFUSED = {
    "same size, other ids": ({"change": edited(shift)}, "ids mean other strings"),
    "superset": ({"change": grown, "vocabulary": 301}, "a superset"),
    "other family": ({"change": another_family}, "another family of tokenizers"),
    "other begin and end": ({"change": without_marks}, "documents begin with"),
    "two ids swapped": ({"change": edited(swap)}, "other ids: 2 of 300"),
    "vision": ({"config": ViTConfig()}, "no language model"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_c6_what_can_be_learnt_from(saved, case):
    made, plan = ACCEPTED[case]
    found = looked(saved(**made), saved())
    assert found.meeting.plan == plan
    assert any("300 of the student's 300 tokens, 100% of them" in line for line in found.meeting.notes)
    assert ("a chat template on one side only" in found.meeting.notes) == (case == "other chat template")
    assert found.estimate.memory > 0


@pytest.mark.parametrize("case", REFUSED)
def test_c6_what_cannot_with_the_reason_and_the_remedy(saved, case):
    made, reason = REFUSED[case]
    with pytest.raises(BadInput) as caught:
        looked(saved(**made), saved())
    assert reason in str(caught.value)


def test_a_training_is_refused_before_a_model_class_is_imported_or_a_folder_made(saved, tmp_path):
    """Nothing of the data is read either: with imports and all it is a matter of seconds, whatever the data's size."""
    words = [f"teacher.path={saved(change=edited(swap))}", f"student.path={saved()}", f"paths.root={tmp_path / 'runs'}"]
    argv = [
        "train",
        "teacher=live",
        "student=pretrained",
        "student.dtype=float32",
        "data.path=/dev/null",
        *words,
    ]
    asked = f"import sys; from distill.__main__ import main; code = main({argv!r})\n"
    asked += (
        "print(code, [name for name in ('transformers.modeling_utils', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert "other ids: 2 of 300" in done.stderr
    assert done.stdout.endswith("2 []\n")
    assert not (tmp_path / "runs").exists()


def test_a_conversation_needs_one_chat_template(saved):
    with pytest.raises(BadInput, match="other chat templates"):
        looked(saved(change=templated), saved(), "data=chat", "data.sequence_length=64")


def test_an_alignment_that_crosses_makes_other_tokens_a_plan(saved):
    found = looked(saved(change=another_family), saved(), "alignment=byte_spans", "objective=likelihood")
    assert found.meeting.plan == "other tokens, brought together by ByteSpans"


def test_a_row_longer_than_the_teachers_positions_is_refused(saved):
    with pytest.raises(BadInput, match="128 positions"):
        looked(saved(), saved(), "data.sequence_length=200")


def test_the_dry_run_compares_several_and_loads_nothing(saved, capsys):
    good, bad = saved(), saved(change=edited(swap))
    words = [f"teacher.path={good},{bad}", "teacher=live", "student=pretrained", f"student.path={saved()}"]
    assert main(["preflight", *words, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert f"– {bad}: refused: teacher and student: other ids: 2 of 300" in told
    assert f"{good}: 300 shared ids, equal" in told


def test_none_of_them_is_exit_2(saved, capsys):
    bad = [saved(change=edited(swap)), saved(change=grown, vocabulary=301)]
    words = [f"teacher.path={','.join(bad)}", "teacher=live", "student=pretrained", f"student.path={saved()}"]
    assert main(["preflight", *words, "--dry-run"]) == 2
    assert capsys.readouterr().out.count("refused") == 2


def test_how_many_samples_are_read_has_bounds(capsys):
    assert main(["preflight", "samples=8"]) == 2
    assert "32 to 256" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------- ranking


def test_the_order_follows_one_column_and_refused_ones_stand_last():
    choices = [
        Choice("refused", refusal="no"),
        Choice("b", {"pilot": 2.0}),
        Choice("unknown"),
        Choice("undefined", {"pilot": float("nan")}),
        Choice("a", {"pilot": 1.0}),
    ]
    assert [one.name for one in ordered(choices, "pilot")] == ["a", "b", "unknown", "undefined", "refused"]


def test_the_page_holds_every_teacher_and_asks_the_network_for_nothing():
    facts = {"parameters": 7e5, "bits_per_byte": 2.1, "pilot": 3.2, "memory": 2.0**21}
    choices = [
        Choice("<b>one</b>", facts, ("cheap",)),
        Choice("two", {**facts, "pilot": 3.4}),
        Choice("x", refusal="no"),
    ]
    page = html(document(choices, "pilot", "Choosing", "Ordered by the pilot.", "distill preflight"))
    assert "&lt;b&gt;one" in page
    assert "refused: no" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("parameters", 734_080, "734k"),
        ("memory", 3 * 2**20, "3.0 MiB"),
        ("seconds", 90, "90 s"),
        ("seconds", 7300, "2.0 h"),
        ("accuracy", 0.384, "38.4"),
        ("pilot", float("nan"), "–"),
        ("passes", 300, "300"),
    ],
)
def test_numbers_as_people_read_them(key, value, shown):
    assert written(key, value) == shown
