"""Domains of plain text: named sources, how often each is seen, what its tokens weigh, and which are trained on."""

import json
from collections import Counter
from typing import Any

import pytest
import torch

from distill.data.masked import MaskedData
from distill.data.mixture import Mixture
from distill.data.python_docs import python_docs
from distill.data.text import TextData
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two files: 60 short texts about teachers, 20 longer ones about ships."""
    place = tmp_path_factory.mktemp("domains")
    rows = {
        "school": [f"Lesson {n}: the teacher reads and the student writes." for n in range(60)],
        "sea": [f"Voyage {n}: " + "the ship sails on. " * 5 for n in range(20)],
    }
    for name, texts in rows.items():
        (place / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return {name: str(place / f"{name}.jsonl") for name in rows}


@pytest.fixture(scope="module")
def make(sources):
    def made(**changed: Any) -> TextData:
        plain: dict[str, Any] = {"sources": sources, "tokenizer": TrainedBPE(300), "batch_size": 2}
        plain |= {"sequence_length": 32, "validation": 0.1, "test": 0.2}
        found = TextData(**{**plain, **changed})
        found.prepare()
        return found

    return made


def tokens(batches) -> Counter:
    found: Counter = Counter()
    for batch in batches:
        for owner in batch.owners.tolist():
            found[batch.domains[owner]] += 1
    return found


def test_each_source_is_a_domain_and_told_so(make):
    data = make()
    seen = tokens(data.train_batches())
    assert set(seen) == {"school", "sea"}
    assert data.facts.splits["train"].domains == dict(seen)
    (line,) = (line for line in data.facts.lines() if line.startswith("train:"))
    assert f"school {seen['school'] / seen.total():.0%}" in line


@pytest.mark.parametrize("packing", [True, False])
def test_a_mixture_shows_what_it_says_in_as_many_rows(make, packing):
    plain, mixed = make(packing=packing), make(packing=packing, mixture=Mixture({"sea": 3.0}, exponent=0.0))
    rows = [{piece.domain for piece in row} for row in mixed.rows["train"]]
    assert all(len(names) == 1 for names in rows)
    assert sum(names == {"sea"} for names in rows) == pytest.approx(0.75 * len(rows), abs=1)
    if not packing:
        assert len(mixed.rows["train"]) == len(plain.rows["train"])
    assert tokens(mixed.test_batches()) == tokens(plain.test_batches())
    assert mixed.fingerprint != plain.fingerprint


def test_weights_are_of_training_tokens_alone(make):
    heavy, plain = make(domain_weights={"sea": 2.5}), make()
    for batch, same in zip(map(heavy.batch, range(4)), map(plain.batch, range(4)), strict=True):
        assert torch.equal(batch.targets, same.targets)
        assert same.weights is None
        wanted = torch.tensor([2.5 if batch.domains[i] == "sea" else 1.0 for i in batch.owners.tolist()])
        assert torch.equal(torch.ones(batch.tokens) if batch.weights is None else batch.weights, wanted)
    assert all(batch.weights is None for batch in [*heavy.validation_batches(), *heavy.test_batches()])
    assert heavy.fingerprint != plain.fingerprint == make(domain_weights={}).fingerprint


def test_trained_on_one_and_tested_on_both(make):
    data = make(train_domains=["sea"])
    assert set(tokens(data.train_batches())) == {"sea"}
    assert set(tokens(data.test_batches())) == {"school", "sea"}
    facts = data.facts
    assert facts.dropped["other_domain"] > 0
    assert facts.rows == sum(one.documents for one in facts.splits.values()) + sum(facts.dropped.values())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train_domains": ["air"]}, r"train_domains: air: no such domain; there are school, sea"),
        ({"domain_weights": {"air": 2.0}}, r"domain_weights: air: no such domain; there are school, sea"),
        ({"domain_weights": {"sea": -1.0}}, r"domain_weights\.sea: -1\.0: is no weight"),
        ({"mixture": Mixture({"air": 2.0})}, r"weights\.air: no such domain; there are school, sea"),
        ({"sources": {}}, r"data\.sources: names none"),
        ({"path": "a.txt"}, r"data\.path, data\.name, data\.sources: .* two sources"),
    ],
)
def test_what_names_nothing_is_refused(make, changed, said):
    with pytest.raises(BadInput, match=said):
        make(**changed)


def test_a_record_says_where_it_is_from(tmp_path):
    rows = [{"text": "One of the sea.", "domain": "sea"}, {"text": "One of nowhere."}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = TextData(path=str(tmp_path)).corpus
    assert [document.domain for document in corpus.documents] == ["sea", "rows"]


def test_pythons_documentation_has_two_domains_and_can_be_one_of_several(cache, sources):
    alone = python_docs(cache)
    assert {document.domain for document in alone.documents} == {"reference", "library"}
    both = TextData(sources={"python": None, "sea": sources["sea"]}, cache=str(cache)).corpus
    assert [one.digest for one in both.documents[: len(alone.documents)]] == [one.digest for one in alone.documents]
    assert {one.domain for one in both.documents} == {"python", "sea"}
    assert both.rows == len(both.documents) + sum(both.dropped.values())


def test_what_has_holes_is_tailored_alike(sources):
    def holed(**changed: Any) -> MaskedData:
        plain = {"sequence_length": 32, "batch_size": 4, "test": 0.4}  # a split by hash: some of either source
        return MaskedData(sources=sources, tokenizer=TrainedBPE(300), **plain, **changed)

    heavy, plain = holed(domain_weights={"sea": 2.5}), holed()
    for batch, same in zip(map(heavy.batch, range(3)), map(plain.batch, range(3)), strict=True):
        assert torch.equal(batch.targets, same.targets)
        assert same.weights is None
        wanted = torch.tensor([2.5 if batch.domains[i] == "sea" else 1.0 for i in batch.owners.tolist()])
        assert torch.equal(torch.ones(batch.tokens) if batch.weights is None else batch.weights, wanted)
    assert heavy.fingerprint != plain.fingerprint
    alone = holed(train_domains=["sea"], mixture=Mixture(exponent=0.5))
    assert set(tokens(alone.train_batches())) == {"sea"}
    assert set(tokens(alone.test_batches())) == {"school", "sea"}
