"""The data's own loss where nobody says which frame holds which label.

Left out on purpose: distributions between two CTC models, which any vocabulary loss compares frame by frame.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from distill.errors import BadInput
from distill.losses.loss import StateLoss
from distill.types import Batch, Outputs, Signal


class CTC(StateLoss):
    """Minus the log-probability of all ways in which the frames can spell the label sequence.

    Formula: −log Σ over alignments π of the labels: Π_t q_t(π_t), spread evenly over the sample's frames
    Source: Graves, A., Fernández, S., Gomez, F. & Schmidhuber, J. (2006). Connectionist Temporal Classification:
        Labelling Unsegmented Sequence Data with Recurrent Neural Networks. ICML 2006

    Computed by ``torch.nn.functional.ctc_loss``. A sound with fewer frames than its labels need cannot spell them: such
    a sample counts nothing, as torch's ``zero_infinity`` has it.

    Args:
        weight: in the objective's total.

    Raises:
        BadInput: the batch has no label sequences.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    of_data: ClassVar[str | None] = "speech"

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        if "sequences" not in batch.labels:
            raise BadInput("loss CTC", "the data has no label sequences", remedy="data.family=ctc")
        logits = outputs.head.logits(outputs.hidden).float()  # (N, V): an alphabet, some dozens
        labels, owners = batch.labels["sequences"], batch.owners  # (B, most labels), −1 behind the last
        frames = torch.bincount(owners, minlength=len(labels))  # (B,)
        starts = frames.cumsum(0) - frames
        place = torch.arange(len(owners), device=owners.device) - starts[owners]
        laid = logits.new_zeros(int(frames.max()), len(labels), logits.shape[-1])  # (T, B, V)
        laid = laid.index_put((place, owners), logits.log_softmax(-1))
        lengths = (labels >= 0).sum(1)
        value = functional.ctc_loss(laid, labels.clamp(min=0), frames, lengths, reduction="none", zero_infinity=True)
        return (value / frames)[owners]
