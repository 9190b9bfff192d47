"""How tokens relate to each other by their queries, keys or values, whatever the widths and the numbers of heads.

Vectors of all heads are put side by side and cut anew into as many relation heads as one likes, so the two models need
not have the same heads, and grouped queries need no care. They are read where the model makes them, by module path:
before rotary positions are applied, as MiniLM's models have none.
"""

import math
import re
from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.layers import LayerMap, Pairs, pairs
from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, wide
from distill.losses.states.sight import refuse_other_rows, seen
from distill.ranges import Count
from distill.types import Batch, ModelShape, Outputs, Request

Parts = list[Literal["query", "key", "value"]]
ORDER = ("query", "key", "value")
FUSED = re.compile(r"(?P<path>.*)\[(?P<part>query|key|value)\]")


class Relation(Compared):
    """KL divergence between self-attention relations: how alike a token's query (key, value) is to the others'.

    Formula: Σ_pairs Σ_parts 1/A Σ_heads KL(R_teacher ‖ R_student), R = softmax(X Xᵀ / √d), X of size (tokens, d)
    Source: Wang et al. (2020). MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
        Transformers. arXiv:2002.10957
    Source: Wang et al. (2021). MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing Pretrained
        Transformers. arXiv:2012.15828

    MiniLM has values only, as many relation heads as heads; MiniLMv2 all three parts, more relation heads, and for a
    large teacher a layer below its last (``layers=[[-1,20]]``).

    Args:
        weight: in the objective's total.
        parts: which of query, key and value.
        layers: which answer to which.
        relation_heads: A; the student's own number of heads if None. It divides the width of every part.
        student_path: of the module that makes a part; ``{layer}`` stands for its number, ``{part}`` for query, key or
            value, ``{p}`` for q, k or v. One module that makes all three as equal blocks is written
            ``transformer.h.{layer}.attn.c_attn[{part}]``.
        teacher_path: the same in the teacher.
        causal: relate a token to those before it only, as attention does in a language model. The papers' encoders
            see both ways; a relation is no attention, so false leaks nothing into what the student may read.

    The authors have published no distillation code.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"hidden", "layers"})

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        parts: Parts = ["value"],  # noqa: B006 - read, never changed; the config checker reads literals
        layers: LayerMap = "final",
        relation_heads: Count | None = None,
        student_path: str = "model.layers.{layer}.self_attn.{p}_proj",
        teacher_path: str = "model.layers.{layer}.self_attn.{p}_proj",
        causal: bool = True,
    ) -> None:
        super().__init__(weight)
        self.parts, self.layers, self.relation_heads = list(parts), layers, relation_heads
        self.student_path, self.teacher_path, self.causal = student_path, teacher_path, causal
        self.pairs: Pairs = ()

    @property
    def request(self) -> Request:
        return Request(modules=self._paths(self.student_path, [mine for mine, _ in self.pairs]))

    @property
    def teacher_request(self) -> Request:
        return Request(modules=self._paths(self.teacher_path, [theirs for _, theirs in self.pairs]))

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        if teacher is not None:
            self.pairs = pairs(self.layers, student.layers, teacher.layers)
            self.relation_heads = self.relation_heads or student.heads

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        refuse_other_rows(batch, "loss Relation")
        may = seen(batch, self.causal)[:, None]  # (N, 1, S)
        values = []
        for mine, theirs in self.pairs:
            for part in self.parts:
                told = self._log_relation(_part(teacher, _path(self.teacher_path, theirs, part)).detach(), batch, may)
                own = self._log_relation(_part(student, _path(self.student_path, mine, part)), batch, may)
                values.append(forward_kl(told, own).mean(1))
        return torch.stack(values).sum(0)

    def _log_relation(self, states: Tensor, batch: Batch, may: Tensor) -> Tensor:
        """(B, S, W) -> (N, A, S) log probabilities, −inf where nobody looks."""
        heads = self.relation_heads or 1
        if states.shape[-1] % heads:
            reason = f"does not divide a width of {states.shape[-1]}"
            raise BadInput("relation_heads", reason, value=heads, remedy="use a divisor of both models' widths")
        cut = wide(states).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, A, S, d)
        scores = cut @ cut.transpose(-1, -2) / math.sqrt(cut.shape[-1])  # (B, A, S, S)
        rows = scores.transpose(1, 2).flatten(0, 1)[batch.positions]  # (N, A, S)
        return rows.masked_fill(~may, -torch.inf).log_softmax(-1)

    def _paths(self, pattern: str, layers: list[int]) -> tuple[str, ...]:
        made = (_module(_path(pattern, layer, part)) for layer in layers for part in self.parts)
        return tuple(dict.fromkeys(made))

    def formula(self) -> str:
        shown = self.layers if isinstance(self.layers, str) else [list(pair) for pair in self.layers]
        heads = self.relation_heads or "the student's"
        return f"{super().formula()}; X {', '.join(self.parts)}, A {heads}, layers {shown}"


def _path(pattern: str, layer: int, part: str) -> str:
    """A pattern filled in; not by ``str.format``, which would let a config read attributes."""
    return pattern.replace("{layer}", str(layer)).replace("{part}", part).replace("{p}", part[0])


def _module(path: str) -> str:
    """The module's own path, without the mark of a block."""
    fused = FUSED.fullmatch(path)
    return fused["path"] if fused else path


def _part(outputs: Outputs, path: str) -> Tensor:
    """(B, S, W) what the module made, or the part's block of it."""
    fused = FUSED.fullmatch(path)
    made = outputs.modules[_module(path)]
    return made.chunk(3, dim=-1)[ORDER.index(fused["part"])] if fused else made
