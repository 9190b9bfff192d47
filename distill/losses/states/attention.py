"""Where student and teacher look: attention maps compared as distributions, or by the scores that made them.

Both models must compute their maps (``attention: eager``). The maps are those of the supervised tokens, over the
positions of their own document that stand before them.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.layers import LayerMap, Pairs, pairs
from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, wide
from distill.losses.states.sight import refuse_other_rows, seen
from distill.types import Batch, ModelShape, Outputs, Request

FLOOR = 1e-20
"""Smaller probabilities count as this one, so that one rounded to 0 has a logarithm, and its gradient stays within
single precision: a score is at most 46 nats below the whole row."""

Heads = Literal["each", "mean"]


class OfMaps(Compared):
    """A loss between attention maps of layers that answer to each other.

    Args:
        weight: in the objective's total.
        layers: which answer to which.
        heads: ``each`` with the teacher's of the same number, or the ``mean`` map of all heads where the two models
            have different numbers of them.
        causal: a token sees those before it only, as in every language model; false for an encoder.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"hidden", "attention"})

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: LayerMap = "uniform",
        heads: Heads = "each",
        causal: bool = True,
    ) -> None:
        super().__init__(weight)
        self.layers, self.heads, self.causal = layers, heads, causal
        self.pairs: Pairs = ()

    @property
    def request(self) -> Request:
        return Request(attentions=True)

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        """
        Raises:
            BadInput: heads are to be compared one by one, and there are not as many.
        """
        if teacher is None:
            return
        if self.heads == "each" and student.heads != teacher.heads:
            reason = f"the student has {student.heads} heads, the teacher {teacher.heads}"
            raise BadInput("heads", reason, value=self.heads, remedy="write heads=mean, or take relations instead")
        self.pairs = pairs(self.layers, student.layers, teacher.layers)

    @abstractmethod
    def between(self, student: Tensor, teacher: Tensor, may: Tensor) -> Tensor:
        """log probabilities (N, H, S) of both, −inf where ``may`` (N, 1, S) says nobody looks -> (N,)."""

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        refuse_other_rows(batch, f"loss {type(self).__name__}")
        may = seen(batch, self.causal)[:, None]  # (N, 1, S)
        values = []
        for mine, theirs in self.pairs:
            told = self._log_map(teacher.attentions[theirs], may).detach()
            values.append(self.between(self._log_map(student.attentions[mine], may), told, may))
        return torch.stack(values).sum(0)

    def _log_map(self, attention: Tensor, may: Tensor) -> Tensor:
        """(N, H, S) probabilities -> (N, H or 1, S) logarithms."""
        told = wide(attention)
        told = told.mean(1, keepdim=True) if self.heads == "mean" else told
        return told.clamp(min=FLOOR).log().masked_fill(~may, -torch.inf)

    def formula(self) -> str:
        shown = self.layers if isinstance(self.layers, str) else [list(pair) for pair in self.layers]
        return f"{super().formula()}; layers {shown}, heads {self.heads}"


class AttentionScores(OfMaps):
    """Mean squared difference between the attention scores before their softmax, each row centred.

    Formula: Σ_pairs mean over heads and seen keys of (c(log A_student) − c(log A_teacher))², c(x) = x − mean x
    Source: Jiao et al. (2020). TinyBERT: Distilling BERT for Natural Language Understanding. arXiv:1909.10351

    The logarithm of a map is its score up to one number a row, which the softmax drops and nothing downstream can see;
    centring drops it on both sides. So the scores of any architecture that returns maps can be compared.

    Args:
        weight: in the objective's total.
        layers: which answer to which.
        heads: one by one, or their mean map.
        causal: a token sees those before it only.

    The paper compares raw scores, that number included; the authors' code sets masked scores to 0 and counts them in
    the mean, so that padding shrinks the loss. Here only what a token sees is compared.
    """

    unit = "nats²/token"

    def between(self, student: Tensor, teacher: Tensor, may: Tensor) -> Tensor:
        count = may.sum(-1)  # (N, 1)
        square = (_centred(student, may, count) - _centred(teacher, may, count)).square()  # (N, H, S), 0 unseen
        return (square.sum(-1) / count).mean(1)


class AttentionMaps(OfMaps):
    """KL divergence from the teacher's to the student's attention map, averaged over heads.

    Formula: Σ_pairs 1/H Σ_heads KL(A_teacher ‖ A_student)
    Source: Wang et al. (2020). MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
        Transformers. arXiv:2002.10957

    Args:
        weight: in the objective's total.
        layers: which answer to which; MiniLM compares the last layers only.
        heads: one by one, or their mean map.
        causal: a token sees those before it only.

    The authors have published no distillation code.
    """

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: LayerMap = "final",
        heads: Heads = "each",
        causal: bool = True,
    ) -> None:
        super().__init__(weight, layers, heads, causal)

    def between(self, student: Tensor, teacher: Tensor, may: Tensor) -> Tensor:
        return forward_kl(teacher, student).mean(1)


def _centred(scores: Tensor, may: Tensor, count: Tensor) -> Tensor:
    """(N, H, S) minus each row's mean over what is seen; 0 elsewhere."""
    scores = scores.masked_fill(~may, 0.0)
    return (scores - (scores.sum(-1) / count)[..., None]).masked_fill(~may, 0.0)
