"""A teacher, a student and a held-out text for all measures; log-probabilities made by hand for single ones."""

from collections.abc import Callable

import pytest
import torch

from distill.evaluation.measure import Tokens
from distill.evaluation.subject import Subject
from distill.teachers.live import Live
from distill.types import Batch


@pytest.fixture
def held_out() -> list[Batch]:
    """Three batches of 2 rows with 12 positions; every row is one sample with 11 targets."""
    ids = torch.randint(0, 300, (3, 2, 12), generator=torch.Generator().manual_seed(1))
    place = torch.arange(24).view(2, 12)[:, :-1].flatten()
    owners = torch.arange(2).repeat_interleave(11)
    return [
        Batch(
            {"input_ids": i}, {"input_ids": i}, place, place, i[:, 1:].flatten(), owners, (f"{n}a", f"{n}b"), bytes=44
        )
        for n, i in enumerate(ids)
    ]


@pytest.fixture
def teacher(tmp_path, tiny_llama, tokenizer) -> Live:
    tiny_llama(width=24, seed=7).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    return Live(str(tmp_path / "teacher"))


@pytest.fixture
def student(tiny_llama, tokenizer) -> Subject:
    return Subject("student", tiny_llama(dropout=0.5).train(), tokenizer, 300, step=9)


@pytest.fixture
def seen() -> Callable[..., Tokens]:
    """``seen(q, targets, owners=None, p=None, bytes=0)``: tokens with these probabilities."""

    def make(q, targets, owners=None, p=None, bytes=0) -> Tokens:
        q, targets = torch.as_tensor(q, dtype=torch.float64), torch.as_tensor(targets)
        owners = torch.zeros_like(targets) if owners is None else torch.as_tensor(owners)
        log_p = None if p is None else torch.as_tensor(p, dtype=torch.float64).log()
        return Tokens(q.log(), targets, owners, bytes, log_p)

    return make
