import json
import subprocess
import sys

import pytest
from tokenizers import AddedToken
from transformers import AutoTokenizer

from distill.data.encode import Marks
from distill.data.tokenizer import END, TrainedBPE, fingerprint
from distill.errors import BadInput

TEXTS = [f"Document {i}: the quick brown fox number {i % 7} jumps over naïve 日本語." for i in range(200)]


@pytest.fixture(scope="module")
def trained():
    return TrainedBPE(400).build(TEXTS, "digest")


def test_one_mark_is_beginning_end_and_padding(trained):
    assert trained.convert_tokens_to_ids(END) == 0
    assert (trained.bos_token_id, trained.eos_token_id, trained.pad_token_id) == (0, 0, 0)
    assert Marks.of(trained) == Marks(0, 0, 0)
    assert len(trained) == 400


@pytest.mark.parametrize("text", [*TEXTS[:3], "\x01\x7f 🙂\u2028\r\n\ttabs", "Ünknown ﬁ", "<|endoftext|> spelt out"])
def test_no_text_is_unknown(trained, text):
    assert trained.decode(trained(text, split_special_tokens=True)["input_ids"]) == text


def test_training_is_deterministic_across_processes_and_threads():
    code = (
        "import hashlib, json, sys; from distill.data.tokenizer import TrainedBPE, fingerprint\n"
        "print(fingerprint(TrainedBPE(400).build(json.load(sys.stdin), 'digest')))"
    )
    found = {fingerprint(TrainedBPE(400).build(TEXTS, "digest"))}
    for threads in ("true", "false"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(TEXTS),
            capture_output=True,
            text=True,
            check=True,
            env={"TOKENIZERS_PARALLELISM": threads, "PATH": ""},
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_it_is_kept_by_content_and_mended(tmp_path, monkeypatch):
    first = TrainedBPE(300).build(TEXTS, "digest", tmp_path)
    kept = list((tmp_path / "tokenizers").iterdir())
    assert len(kept) == 1
    monkeypatch.setattr(TrainedBPE, "_trained", lambda *_: pytest.fail("trained twice"))
    assert fingerprint(TrainedBPE(300).build(TEXTS, "digest", tmp_path)) == fingerprint(first)
    monkeypatch.undo()
    TrainedBPE(310).build(TEXTS, "digest", tmp_path)
    TrainedBPE(300).build(TEXTS[1:], "other", tmp_path)
    assert len(list((tmp_path / "tokenizers").iterdir())) == 3
    kept[0].write_bytes(kept[0].read_bytes()[:-10])
    assert fingerprint(TrainedBPE(300).build(TEXTS, "digest", tmp_path)) == fingerprint(first)


def test_little_text_gives_fewer_tokens():
    assert 257 < len(TrainedBPE(1024).build(["a b a b"] * 3, "digest")) < 1024


def test_a_size_below_the_bytes_is_refused():
    with pytest.raises(BadInput, match=r"data\.tokenizer\.size: 256: .* use 257 or more"):
        TrainedBPE(256)


# ------------------------------------------------------------------------------------------------------- fingerprint


def test_saving_and_loading_keeps_the_fingerprint(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    assert fingerprint(AutoTokenizer.from_pretrained(tmp_path)) == fingerprint(trained)


def test_calls_do_not_change_the_fingerprint(trained):
    before = fingerprint(trained)
    trained(["a", "b c d"], padding=True, truncation=True, max_length=2)
    assert fingerprint(trained) == before


CHANGES = {
    "vocabulary": lambda make: make(begin="<e>", end="<e>", padding="<e>", size=301),
    "merges": lambda make: make(
        begin="<e>", end="<e>", padding="<e>", texts=["other words make other merges here"] * 4
    ),
    "beginning": lambda make: make(begin="<s>", end="<e>", padding="<e>", specials=["<e>"]),
    "beginning added": lambda make: make(begin="<e>", end="<e>", padding="<e>", adds=True),
    "chat template": lambda make: make(begin="<e>", end="<e>", padding="<e>", template="{{ messages }}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_ids_changes_the_fingerprint(bpe, change):
    plain = bpe(begin="<e>", end="<e>", padding="<e>")
    assert fingerprint(CHANGES[change](bpe)) != fingerprint(plain)
    assert fingerprint(bpe(begin="<e>", end="<e>", padding="<e>")) == fingerprint(plain)


def test_an_added_token_and_the_padding_side_change_the_fingerprint(bpe):
    found = {fingerprint(bpe(begin="<e>", end="<e>", padding="<e>"))}
    added = bpe(begin="<e>", end="<e>", padding="<e>")
    added.add_tokens([AddedToken("<new>", special=True)])
    found.add(fingerprint(added))
    turned = bpe(begin="<e>", end="<e>", padding="<e>")
    turned.padding_side = "left"
    found.add(fingerprint(turned))
    assert len(found) == 3
