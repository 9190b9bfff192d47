"""Plain text with holes: what an encoder learns from when it fills masks.

    distill train data=masked student=encoder teacher=… objective=distilbert

A document's pieces are those of ``data=text``, a row each. Which tokens are hidden is a function of the piece alone, so
that a stored teacher is asked once; two epochs see the same holes. Left out on purpose: next-sentence pairs, whole-word
masks, and holes drawn anew in every epoch.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from distill.data.classification import inputs_of
from distill.data.encode import Marks
from distill.data.mixture import Mixture
from distill.data.packing import Piece
from distill.data.prompts import Prompt
from distill.data.text import TextData
from distill.data.tokenizer import TrainedBPE
from distill.ranges import Count, Fraction, Natural, Share
from distill.types import Batch, Family, Task

MASK = "<mask>"
"""Added to a tokenizer that has no mask."""
HIDDEN, REPLACED = 0.8, 0.1
"""Of the chosen tokens: shown as the mask, as a random token; the rest as they are."""


class MaskedData(TextData):
    """Documents of plain text, some tokens of which are hidden and have to be told.

    Source: Devlin et al. 2019, BERT, arXiv:1810.04805, section 3.1: 15 % of the tokens, of which 80 % are shown as the
        mask, 10 % as a random token, 10 % as they are

    Args:
        path, name, sources, field, subset, split, tokenizer, share, validation, test: as in ``TextData``.
        sequence_length: tokens of a piece at most.
        batch_size: pieces of a micro-batch on one device.
        seed: of the order of training pieces.
        workers: processes that make batches.
        evaluation_tokens: stop validation and test with the piece that reaches this many tokens.
        cache: a folder for the gathered documentation and the trained tokenizer.
        mixture, domain_weights, train_domains: as in ``TextData``.
        rate: of tokens that are supervised; 1 supervises all, for losses on states and attention, and hides none.
    """

    kind: ClassVar[str] = "masked"
    family: Family = "masked"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        field: str = "text",
        subset: str | None = None,
        split: str = "train",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.05,
        sequence_length: Count = 64,
        batch_size: Count = 32,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
        rate: Share = 0.15,
        mixture: Mixture | None = None,
        domain_weights: dict[str, float] | None = None,
        train_domains: list[str] | None = None,
        sources: dict[str, str | None] | None = None,
    ) -> None:
        super().__init__(
            path,
            name,
            field,
            subset,
            split,
            tokenizer,
            share,
            validation,
            test,
            sequence_length,
            batch_size,
            packing=False,
            seed=seed,
            workers=workers,
            evaluation_tokens=evaluation_tokens,
            cache=cache,
            sources=sources,
            mixture=mixture,
            domain_weights=domain_weights,
            train_domains=train_domains,
        )
        self.rate = rate

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        chosen = tokenizer if tokenizer is not None else self._trained()
        if chosen.mask_token is None:
            chosen.add_special_tokens({"mask_token": MASK})
        return super().prepare(chosen)

    @property
    def task(self) -> Task:
        return Task(self.family)

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}-masked-{self.rate:g}"

    def prompts(self, count: int) -> list[Prompt]:
        """None: what fills holes does not write on."""
        return []

    @property
    def collate(self) -> Callable[[Sequence[Sequence[Piece]]], Batch]:  # pyright: ignore[reportIncompatibleMethodOverride]
        tokenizer = self.prepare()
        mask: object = tokenizer.mask_token_id
        assert isinstance(mask, int), "prepare adds one"
        return partial(_batch, mask, Marks.of(tokenizer).padding, self.rate)


def holes(ids: np.ndarray, digest: str, mask: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """(what is shown, the places that are supervised: at least one); a pure function of the piece."""
    if rate == 1:
        return ids, np.arange(len(ids))
    draws = np.random.Generator(np.random.PCG64(int(digest[:16], 16))).random((3, len(ids)))
    chosen = draws[0] < rate
    chosen[int(draws[0].argmin())] = True
    random = (draws[2] * mask).astype(np.int64)  # ids below the mask are those that spell
    shown = np.where(chosen & (draws[1] < HIDDEN), mask, ids)
    shown = np.where(chosen & (draws[1] >= HIDDEN) & (draws[1] < HIDDEN + REPLACED), random, shown)
    return shown, chosen.nonzero()[0]


def _batch(mask: int, padding: int, rate: float, rows: Sequence[Sequence[Piece]]) -> Batch:
    pieces = [piece for row in rows for piece in row]
    made = [holes(piece.inputs, piece.hash, mask, rate) for piece in pieces]
    inputs = inputs_of([shown for shown, _ in made], padding)
    width = inputs["input_ids"].shape[1]
    positions = torch.from_numpy(np.concatenate([row * width + places for row, (_, places) in enumerate(made)]))
    targets = np.concatenate([piece.inputs[places] for piece, (_, places) in zip(pieces, made, strict=True)])
    owners, each = positions // width, torch.tensor([piece.weight for piece in pieces])
    return Batch(
        inputs=inputs,
        teacher_inputs=inputs,
        positions=positions,
        teacher_positions=positions,
        targets=torch.from_numpy(targets.astype(np.int64)),
        owners=owners,
        samples=tuple(piece.hash for piece in pieces),
        domains=tuple(piece.domain for piece in pieces),
        causal=False,
        weights=None if (each == 1).all() else each[owners],
    )
