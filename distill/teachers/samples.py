"""What a batch's samples are called in a store, and what is compared before a stored word is believed.

A name is the hash of the sample's content and of which of its positions are supervised: another mask rule asks about
other positions, and is another question. The check is the hash of the ids that the teacher is shown, from the sample's
beginning to its last supervised position (what comes after cannot change a causal model's answer). It is made of the
tensors that the teacher would be given, so a batch that is shifted, swapped or templated otherwise than its samples'
hashes say is found out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distill.signals.kept.kept import Span
from distill.types import Batch

TOKENS = ("input_ids", "attention_mask", "decoder_input_ids")


@dataclass(frozen=True)
class Asked:
    """One sample of a batch.

    Attributes:
        span: its positions among the teacher's (M,), and its name.
        check: hash of its input ids.
        begin: where it begins among the flat (B · S) positions of what the teacher is shown.
    """

    span: Span
    check: bytes
    begin: int

    @property
    def tokens(self) -> int:
        return self.span.stop - self.span.start


def samples(batch: Batch) -> Iterator[Asked]:
    """The samples of a batch in the order of its owners; one that the teacher has nothing to say about is left out."""
    if not batch.causal:
        yield from _whole_rows(batch)
        return
    inputs = batch.teacher_inputs
    ids = inputs["input_ids"].cpu().numpy()  # (B, S)
    places = inputs["position_ids"].cpu().numpy() if "position_ids" in inputs else None
    mask = inputs["attention_mask"].cpu().numpy() if "attention_mask" in inputs else None
    positions = batch.teacher_positions.cpu().numpy()  # (M,)
    owners = (batch.owners if batch.spans is None else batch.spans.teacher_owners).cpu().numpy()
    bounds = np.searchsorted(owners, np.arange(len(batch.samples) + 1))
    for sample, start, stop in zip(batch.samples, bounds[:-1], bounds[1:], strict=True):
        if start == stop:
            continue
        mine = positions[start:stop]
        begin = _beginning(int(mine[0]), ids.shape[1], places, mask)
        shown = ids.reshape(-1)[begin : int(mine[-1]) + 1]
        name = hashlib.blake2b(sample.encode() + b"\n" + _packed(mine - begin), digest_size=20).digest()
        check = hashlib.blake2b(_packed(shown), digest_size=16).digest()
        yield Asked(Span(int(start), int(stop), name), check, begin)


def _whole_rows(batch: Batch) -> Iterator[Asked]:
    """Samples that have a row each, all of which an answer may depend on. The check is of its tokens without padding; a
    sample's own hash answers for what is none (a sound, a picture)."""
    inputs = batch.teacher_inputs
    read = inputs.get("decoder_input_ids", inputs.get("input_ids"))
    width = 1 if read is None else read.shape[1]
    arrays = {name: inputs[name].cpu().numpy() for name in TOKENS if name in inputs}
    positions, owners = batch.teacher_positions.cpu().numpy(), batch.owners.cpu().numpy()
    bounds = np.searchsorted(owners, np.arange(len(batch.samples) + 1))
    for sample, start, stop in zip(batch.samples, bounds[:-1], bounds[1:], strict=True):
        if start == stop:
            continue
        row = int(positions[start]) // width
        mine = positions[start:stop] - row * width
        told = [arrays["decoder_input_ids"][row, : int(mine[-1]) + 1]] if "decoder_input_ids" in arrays else []
        if "input_ids" in arrays:
            seen = arrays["attention_mask"][row] != 0 if "attention_mask" in arrays else slice(None)
            told.append(arrays["input_ids"][row][seen])
        name = hashlib.blake2b(sample.encode() + b"\n" + _packed(mine), digest_size=20).digest()
        check = hashlib.blake2b(b"|".join(_packed(one) for one in told), digest_size=16).digest()
        yield Asked(Span(int(start), int(stop), name), check, row * width)


def _beginning(position: int, width: int, places: np.ndarray | None, mask: np.ndarray | None) -> int:
    """Where the sample begins that a flat position lies in: position ids count from there, padding lies before it, or
    it has the row to itself."""
    row, column = divmod(position, width)
    if places is not None:
        return position - int(places[row, column])
    return row * width + (int(mask[row].argmax()) if mask is not None else 0)


def _packed(numbers: np.ndarray) -> bytes:
    return numbers.astype("<i4").tobytes()
