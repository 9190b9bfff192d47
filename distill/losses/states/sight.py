"""Which positions of its row a token may be compared at: its own document's, never a neighbour's, never padding.

Packed rows keep documents apart by position ids that begin again; unpacked ones hold one document and an attention
mask. Both are read off what the model was given, so a relation never crosses what an attention would not.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.types import Batch


def documents(inputs: Mapping[str, Tensor]) -> Tensor:
    """The number of the document that each position belongs to, within its row; −1 for padding: (B, S) int64."""
    ids = inputs["input_ids"]
    found = torch.zeros_like(ids)
    if "position_ids" in inputs:
        places = inputs["position_ids"].expand_as(ids)
        found[:, 1:] = (places.diff(dim=1) != 1).cumsum(1)
    if "attention_mask" in inputs:
        found = found.masked_fill(inputs["attention_mask"] == 0, -1)
    return found


def seen(batch: Batch, causal: bool) -> Tensor:
    """Where each supervised token may look: (N, S) bool, its own position always.

    Args:
        causal: at nothing that stands behind it.
    """
    known = documents(batch.inputs)
    width = known.shape[1]
    row, place = batch.positions // width, batch.positions % width
    may = known[row] == known[row, place][:, None]  # (N, S)
    if causal:
        may &= torch.arange(width, device=may.device) <= place[:, None]
    return may


def refuse_other_rows(batch: Batch, place: str) -> None:
    """Rows of one model say nothing about rows of the other unless both were shown the same tokens.

    Raises:
        BadInput: they were not.
    """
    mine, theirs = batch.inputs["input_ids"], batch.teacher_inputs["input_ids"]
    if mine is not theirs and not (mine.shape == theirs.shape and torch.equal(mine, theirs)):
        raise BadInput(
            place,
            "student and teacher were shown different tokens, whose positions are not each other's",
            remedy="compare what they say instead of where they look, or give both the same prompt and tokenizer",
        )
