"""Held-out text sample by sample, as an exported file reads it: one text at a time, with what student and teacher say.

The student reads the batch as it is packed; that a piece alone gives the same is what ``check_isolation`` promises.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.evaluation.measure import Tokens
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request, Signal

DECODER = "decoder_input_ids"


@dataclass(frozen=True)
class Piece:
    """A sample.

    Attributes:
        ids: of the sample from its beginning to its last supervised token; a decoder's, where there is an encoder.
        places: C of them in ``ids``, at which a target is predicted.
        heard: what the text is about (a source, a sound, a picture), one row each; empty for a text alone.
        targets: (C,) int64.
        owner: the sample's number.
        document: its document's in the split; None where a sample is a document of its own.
        bytes: that the targets of its whole batch spell, told with the batch's first sample and 0 after.
        log_q: (C, V) the student's log-probabilities.
        log_p: (C, V) the teacher's, where it speaks of the same tokens.
    """

    ids: list[int]
    places: list[int]
    heard: Mapping[str, Tensor]
    targets: Tensor
    owner: int
    bytes: int
    log_q: Tensor
    log_p: Tensor | None
    document: int | None = None

    def tokens(self, log_q: Tensor, log_p: Tensor | None) -> Tokens:
        """The same tokens as somebody else sees them."""
        owners = torch.full_like(self.targets, self.owner)
        documents = None if self.document is None else torch.full_like(self.targets, self.document)
        return Tokens(log_q, self.targets, owners, self.bytes, log_p, documents=documents)


def pieces(student: Subject, batches: Iterable[Batch], teacher: Teacher | None, tokens: int | None) -> Iterator[Piece]:
    """Every sample of the batches, up to the batch that reaches ``tokens``; None takes all."""
    seen = samples = 0
    passes = 0 if teacher is None else teacher.passes
    for batch in batches:
        with torch.no_grad():
            outputs = answer(student.model, batch.inputs, batch.positions, vocabulary=student.vocabulary)
            signal = teacher.teach(batch, Request()) if teacher is not None and batch.spans is None else None
            for owner in range(len(batch.samples)):
                at = (batch.owners == owner).nonzero()[:, 0]
                if not len(at):
                    continue
                rows = slice(int(at[0]), int(at[-1]) + 1)
                logits = outputs.head.logits(outputs.hidden[rows])  # (C, V)
                told = batch.bytes if rows.start == 0 else 0
                log_p = _teacher_side(signal, rows, logits)
                ids, places, heard = _read(batch, batch.positions[rows])
                log_q, own = logits.log_softmax(-1), samples + owner
                document = batch.documents[owner] if batch.documents else None
                yield Piece(ids, places, heard, batch.targets[rows], own, told, log_q, log_p, document)
        seen, samples = seen + batch.tokens, samples + len(batch.samples)
        if tokens is not None and seen >= tokens:
            break
    if teacher is not None:
        teacher.passes = passes


def _read(batch: Batch, positions: Tensor) -> tuple[list[int], list[int], dict[str, Tensor]]:
    """A sample's ids up to its last place, the places in them, and what else its row holds.

    In a packed row a sample begins where its own position ids begin.
    """
    name = DECODER if DECODER in batch.inputs else "input_ids"
    ids = batch.inputs[name]  # (B, S)
    row, columns = int(positions[0]) // ids.shape[1], positions % ids.shape[1]
    counted = batch.inputs.get("position_ids")
    begin = 0 if counted is None else int(columns[0] - counted[row, columns[0]])
    left = {name, "position_ids"} | ({"attention_mask"} if name == "input_ids" else set())
    heard = {key: value[row : row + 1] for key, value in batch.inputs.items() if key not in left}
    heard = {key: value for key, value in heard.items() if not key.startswith("decoder_")}
    return ids[row, begin : int(columns[-1]) + 1].tolist(), (columns - begin).tolist(), heard


def _teacher_side(signal: Signal | None, rows: slice, logits: Tensor) -> Tensor | None:
    """(C, V) the teacher's, where it says something of the whole vocabulary."""
    if signal is None:
        return None
    log_p, _ = signal.pair(signal.chunk(rows), logits, 1.0)
    return log_p if log_p.shape == logits.shape else None
