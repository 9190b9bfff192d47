"""Rows -> a batch.

Packed: every row is ``sequence_length`` wide; position ids begin again with every piece, and once more with the padding
behind the last one, so that the padding is a piece of its own which nobody sees and nothing supervises. There is no
attention mask: with one, even all ones, transformers lets pieces see each other.

Unpacked: one piece a row, padded on the right to the longest, with an attention mask: what every causal model
understands, whatever it makes of position ids.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.data.packing import Piece
from distill.types import Batch


class Collate:
    """Makes a ``Batch`` of rows; teacher and student are shown the same tensors.

    Args:
        sequence_length: width of a packed row.
        padding: the id behind the last piece; any id will do.
        packing: see the head of this module.
    """

    def __init__(self, sequence_length: int, padding: int, packing: bool) -> None:
        self.sequence_length, self.padding, self.packing = sequence_length, padding, packing

    def __call__(self, rows: Sequence[Sequence[Piece]]) -> Batch:
        longest = max(sum(len(piece.inputs) for piece in row) for row in rows)
        width = self.sequence_length if self.packing else longest
        ids = np.full((len(rows), width), self.padding, dtype=np.int64)  # (B, S)
        places = np.tile(np.arange(width), (len(rows), 1))  # (B, S)
        samples: list[str] = []
        positions, targets, owners = [], [], []
        for b, row in enumerate(rows):
            start = 0
            for piece in row:
                n = len(piece.inputs)
                ids[b, start : start + n] = piece.inputs
                positions.append(np.arange(b * width + start, b * width + start + n))
                targets.append(piece.targets)
                owners.append(np.full(n, len(samples)))
                samples.append(piece.hash)
                places[b, start:] = np.arange(width - start)
                start += n
            places[b, start:] = np.arange(width - start)
        inputs = self._inputs(ids, places, rows)
        flat = _tensor(np.concatenate(positions))  # (N,)
        return Batch(
            inputs=inputs,
            teacher_inputs=inputs,
            positions=flat,
            teacher_positions=flat,
            targets=_tensor(np.concatenate(targets)),
            owners=_tensor(np.concatenate(owners)),
            samples=tuple(samples),
            bytes=sum(piece.bytes for row in rows for piece in row),
        )

    def _inputs(self, ids: np.ndarray, places: np.ndarray, rows: Sequence[Sequence[Piece]]) -> dict[str, Tensor]:
        if self.packing:
            return {"input_ids": _tensor(ids), "position_ids": _tensor(places)}
        lengths = np.asarray([len(piece.inputs) for (piece,) in rows])
        mask = np.arange(ids.shape[1]) < lengths[:, None]  # (B, S)
        return {"input_ids": _tensor(ids), "attention_mask": _tensor(mask)}


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))
