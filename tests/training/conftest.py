"""A text that needs no corpus: batch k is a pure function of k, some of it unsupervised."""

import hashlib

import pytest
import torch

from distill.types import Batch


def batch(index: int, rows: int = 4, length: int = 12, vocabulary: int = 300) -> Batch:
    generator = torch.Generator().manual_seed(1000 + index)
    ids = torch.randint(1, vocabulary, (rows, length), generator=generator)
    supervised = torch.rand(rows, length - 1, generator=generator) < 0.6
    row, column = supervised.nonzero(as_tuple=True)
    positions = row * length + column
    inputs = {"input_ids": ids}
    hashes = tuple(hashlib.sha256(line.numpy().tobytes()).hexdigest() for line in ids)
    return Batch(inputs, inputs, positions, positions, ids[row, column + 1], row, hashes, bytes=2 * len(row))


class Text:
    """What ``Fit`` asks of a data module."""

    def stream(self, start=0, rank=0, world_size=1):
        return _Stream(start, rank, world_size)

    def validation_batches(self):
        return [batch(-1 - index) for index in range(2)]


class _Stream(torch.utils.data.IterableDataset):
    def __init__(self, start, rank, world):
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self):
        index = self.start
        while True:
            yield batch(index * self.world + self.rank)
            index += 1


@pytest.fixture
def text():
    return Text()


def distilling():
    """1 · forward KL + 0.5 · cross-entropy."""
    from distill.divergences.kl import forward_kl
    from distill.losses.cross_entropy import CrossEntropy
    from distill.losses.divergence import Divergence
    from distill.losses.objective import Objective

    return Objective({"kd": Divergence(forward_kl), "ce": CrossEntropy(weight=0.5)})
