"""CTC: the sum over alignments, told sample by sample, whatever else is in the batch."""

import itertools

import pytest
import torch

from distill.errors import BadInput
from distill.losses.ctc import CTC
from distill.types import Batch, Head, Outputs


def batch(frames: list[int], labels: list[list[int]]) -> Batch:
    widest = max(map(len, labels))
    sequences = torch.tensor([one + [-1] * (widest - len(one)) for one in labels])
    owners = torch.arange(len(frames)).repeat_interleave(torch.tensor(frames))
    place = torch.arange(len(owners))
    return Batch(
        {}, {}, place, place, torch.zeros_like(owners), owners, ("a",) * len(frames), labels={"sequences": sequences}
    )


def outputs(count: int, seed: int = 0) -> Outputs:
    made = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return Outputs(made, Head(torch.eye(3)))


def spelt(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


def test_it_is_the_sum_over_all_alignments():
    told = outputs(4)
    log_q = told.hidden.log_softmax(-1)
    paths = [path for path in itertools.product(range(3), repeat=4) if spelt(path) == [1, 2]]
    wanted = -torch.stack([sum(log_q[t, label] for t, label in enumerate(path)) for path in paths]).logsumexp(0)
    torch.testing.assert_close(CTC()(told, None, batch([4], [[1, 2]])).sum(), wanted)


def test_neighbours_and_padding_change_nothing():
    both, first = outputs(7), outputs(7)
    alone = CTC()(Outputs(first.hidden[:4], first.head), None, batch([4], [[1, 2]]))
    together = CTC()(both, None, batch([4, 3], [[1, 2], [2]]))
    torch.testing.assert_close(together[:4], alone)


def test_labels_that_do_not_fit_count_nothing_and_have_no_gradient_that_is_no_number():
    told = outputs(2)
    hidden = told.hidden.requires_grad_()
    value = CTC()(Outputs(hidden, told.head), None, batch([2], [[1, 1, 2]]))
    value.sum().backward()
    assert value.sum() == 0
    assert torch.isfinite(hidden.grad).all()


def test_data_without_sequences_is_refused():
    bare = batch([2], [[1]])
    with pytest.raises(BadInput, match="ctc"):
        CTC()(outputs(2), None, Batch(**{**vars(bare), "labels": {}}))
