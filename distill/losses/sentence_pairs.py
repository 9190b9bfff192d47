"""The data's own loss of pairs of texts: which text of the batch belongs with which.

Left out on purpose: texts that are known not to belong; the other pairs of a micro-batch serve for them, so the value
depends on how many there are.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from distill.data.sentences import PARTNERS
from distill.errors import BadInput
from distill.losses.loss import StateLoss
from distill.losses.quantity import Quantity
from distill.losses.states.pooled import cosines, pooled
from distill.ranges import Positive
from distill.types import Batch, Outputs, Signal


class SentencePairs(StateLoss):
    """Minus the log-probability of a text's partner among all other texts of the micro-batch, by the cosine of their
    vectors.

    Formula: −log exp(cos(v_i, v_partner(i)) / τ) / Σ over j ≠ i of exp(cos(v_i, v_j) / τ), given to each of the text's
        tokens
    Source: Henderson, M., Al-Rfou, R., Strope, B. et al. (2017). Efficient Natural Language Response Suggestion for
        Smart Reply. arXiv:1705.00652

    There a text is compared with the texts of the other side alone; here with its own side's too (NT-Xent).

    Args:
        weight: in the objective's total.
        temperature: τ; 0.05 is sentence-transformers' scale of 20.

    Raises:
        BadInput: the batch has no pairs.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    of_data: ClassVar[str | None] = "sentences"

    def __init__(self, weight: float | Quantity = 1.0, temperature: Positive = 0.05) -> None:
        super().__init__(weight)
        self.temperature = temperature

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        if PARTNERS not in batch.labels:
            raise BadInput("loss SentencePairs", "the data has no pairs of texts", remedy="data=sentences")
        scores = cosines(pooled(outputs.hidden, batch.owners, len(batch.samples))) / self.temperature  # (B, B)
        itself = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        return functional.cross_entropy(
            scores.masked_fill(itself, float("-inf")), batch.labels[PARTNERS], reduction="none"
        )[batch.owners]
