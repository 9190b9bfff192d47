"""Rows -> a batch.

Packed: every row is ``sequence_length`` wide; position ids begin again with every piece, and once more with the padding
behind the last one, so that the padding is a piece of its own which nobody sees and nothing supervises. There is no
attention mask: with one, even all ones, transformers lets pieces see each other.

Unpacked: one piece a row, padded on the right to the longest, with an attention mask: what every causal model
understands, whatever it makes of position ids.

A teacher with another tokenizer is shown the same pieces in the same rows. Its rows are as wide as the longest of the
batch, and no narrower than the student's, so that equal tokenizers give equal tensors.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.data.beside import BesidePiece
from distill.data.packing import Piece
from distill.types import Batch, Spans


class Collate:
    """Makes a ``Batch`` of rows; teacher and student are shown the same tensors, unless the pieces have another side.

    Args:
        sequence_length: width of a packed row.
        padding: the id behind the last piece; any id will do.
        packing: see the head of this module.
        teacher_padding: the same for a teacher with another tokenizer; None where it has the student's.
    """

    def __init__(self, sequence_length: int, padding: int, packing: bool, teacher_padding: int | None = None) -> None:
        self.sequence_length, self.padding, self.packing = sequence_length, padding, packing
        self.teacher_padding = teacher_padding

    def __call__(self, rows: Sequence[Sequence[Piece]]) -> Batch:
        pieces = [piece for row in rows for piece in row]
        inputs, positions = self._laid([[piece.inputs for piece in row] for row in rows], self.padding)
        teacher_inputs, teacher_positions, spans = inputs, positions, None
        if self.teacher_padding is not None:
            teacher_inputs, teacher_positions = self._laid(
                [[_beside(piece).inputs for piece in row] for row in rows], self.teacher_padding
            )
            spans = _spans([_beside(piece) for piece in pieces])
        return Batch(
            inputs=inputs,
            teacher_inputs=teacher_inputs,
            positions=positions,
            teacher_positions=teacher_positions,
            targets=_joined([piece.targets for piece in pieces]),
            owners=_owners([piece.targets for piece in pieces]),
            samples=tuple(piece.hash for piece in pieces),
            bytes=sum(piece.bytes for piece in pieces),
            spans=spans,
            domains=tuple(piece.domain for piece in pieces),
            documents=tuple(piece.document for piece in pieces if piece.document is not None),
            weights=_weights(pieces),
        )

    def _laid(self, rows: Sequence[Sequence[np.ndarray]], padding: int) -> tuple[dict[str, Tensor], Tensor]:
        """Pieces of ids laid into rows: what a model is given, and (N,) where each id lies."""
        longest = max(sum(len(ids) for ids in row) for row in rows)
        width = max(self.sequence_length, longest) if self.packing else max(longest, 1)
        period = max([self.sequence_length, *(len(ids) for row in rows for ids in row)])
        laid = np.full((len(rows), width), padding, dtype=np.int64)  # (B, S)
        places = np.zeros((len(rows), width), dtype=np.int64)  # (B, S)
        positions: list[np.ndarray] = []
        for b, row in enumerate(rows):
            start = 0
            for ids in row:
                stop = start + len(ids)
                laid[b, start:stop] = ids
                places[b, start:stop] = np.arange(len(ids))
                positions.append(np.arange(b * width + start, b * width + stop))
                start = stop
            places[b, start:] = np.arange(width - start) % period  # a model may have no position beyond a piece's
        return self._inputs(laid, places, rows), _joined(positions)

    def _inputs(self, ids: np.ndarray, places: np.ndarray, rows: Sequence[Sequence[np.ndarray]]) -> dict[str, Tensor]:
        if self.packing:
            return {"input_ids": _tensor(ids), "position_ids": _tensor(places)}
        lengths = np.asarray([len(piece) for (piece,) in rows])
        mask = np.arange(ids.shape[1]) < lengths[:, None]  # (B, S)
        return {"input_ids": _tensor(ids), "attention_mask": _tensor(mask)}


def _weights(pieces: Sequence[Piece]) -> Tensor | None:
    """(N,) float32 of every token; None where all are 1."""
    if all(piece.weight == 1.0 for piece in pieces):
        return None
    each = np.asarray([piece.weight for piece in pieces], dtype=np.float32)
    return torch.from_numpy(np.repeat(each, [len(piece.targets) for piece in pieces]))


def _beside(piece: Piece) -> BesidePiece:
    assert piece.beside is not None, "pieces without the teacher's side"
    return piece.beside


def _spans(pieces: Sequence[BesidePiece]) -> Spans:
    return Spans(
        starts=_joined([piece.starts for piece in pieces]),
        ends=_joined([piece.ends for piece in pieces]),
        teacher_targets=_joined([piece.targets for piece in pieces]),
        teacher_owners=_owners([piece.targets for piece in pieces]),
        teacher_starts=_joined([piece.teacher_starts for piece in pieces]),
        teacher_ends=_joined([piece.teacher_ends for piece in pieces]),
        teacher_bytes=sum(piece.bytes for piece in pieces),
    )


def _owners(pieces: Sequence[np.ndarray]) -> Tensor:
    """(N,) whose each token is."""
    return _tensor(np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces]))


def _joined(arrays: Sequence[np.ndarray]) -> Tensor:
    return _tensor(np.concatenate(arrays))


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))
