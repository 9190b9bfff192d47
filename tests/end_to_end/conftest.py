"""A whole laboratory in seconds: a small text, a teacher of one layer, a student of one layer."""

import json
import random

import pytest

from distill.__main__ import main

WORDS = ["teacher", "student", "token", "loss", "layer", "gradient"]
WORDS += ["probability", "sequence", "model", "data", "weight", "state"]


def write_corpus(path, documents=150, seed=0):
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            words = [chance.choice(WORDS[: 3 + number % 9]) for _ in range(chance.randrange(20, 60))]
            file.write(json.dumps({"text": f"Document {number}. " + " ".join(words) + "."}) + "\n")


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory):
    """The folder that everything of these tests lies in; its cache is shared, so the teacher is trained once."""
    home = tmp_path_factory.mktemp("laboratory")
    write_corpus(home / "corpus.jsonl")
    return home


@pytest.fixture
def tiny(laboratory, monkeypatch):
    """Overrides that make a run tiny; the current folder is the laboratory."""
    monkeypatch.chdir(laboratory)
    monkeypatch.setenv("DISTILL_CACHE", str(laboratory / "cache"))
    return [
        "data.path=corpus.jsonl",
        "data.share=1.0",
        "data.tokenizer.size=300",
        "data.sequence_length=32",
        "data.batch_size=4",
        "data.validation=0.1",
        "data.test=0.1",
        "teacher.recipe.steps=6",
        "teacher.recipe.student.layers=1",
        "teacher.recipe.student.width=16",
        "teacher.recipe.student.heads=2",
        "student.layers=1",
        "student.width=8",
        "student.heads=2",
        "trainer.max_steps=4",
        "trainer.log_every_n_steps=1",
        "cadence.validate=2",
        "cadence.checkpoint=2",
        "measure=quick",
        "measure.model_measures.speed.new_tokens=4",
        "measure.model_measures.speed.prompt_tokens=8",
        "measure.model_measures.speed.rounds=1",
        "measure.continuations.new_tokens=4",
        "logger=none",
    ]


@pytest.fixture
def distill(tiny):
    """``distill(verb, *words)`` -> exit code, in this process."""
    return lambda verb, *words: main([verb, *(tiny if verb == "train" else ()), *words])
