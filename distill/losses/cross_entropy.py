"""The data's own word: cross-entropy on the token that comes, at temperature 1 whatever the objective's."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from distill.losses.chunk import Chunk
from distill.losses.closed import Closed
from distill.losses.loss import VocabularyLoss


class CrossEntropy(VocabularyLoss):
    """Cross-entropy with the data's next token: plain training, without a teacher.

    Formula: −log q(y)
    Source: Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27.

    Nats per token; divided by log 2 and the bytes per token it is the report's bits per byte.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def per_token(self, chunk: Chunk) -> Tensor:
        return functional.cross_entropy(chunk.logits, chunk.targets, reduction="none")  # (C,)

    def closed(self, shared: float | None) -> Closed | None:
        return Closed() if self.gate is None else None
