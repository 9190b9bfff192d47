"""What ``benchmarks/vocabulary.py`` compares: the floor, our objective, the naive form, and what peers ship.

Every variant starts from final hidden states of student (width 512) and teacher (width 1024) and ends with gradients on
the student's states and head. The floor is the four products that nobody can avoid: student logits, teacher logits,
gradient of the states, gradient of the head; three where the teacher's 64 likeliest tokens come from a store. Peers are
called as their own trainers call them. DistillKit is on no index; its top-K form is near the naive one here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from torch import Tensor

from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.signals.hidden import Hidden
from distill.signals.topk import TopK
from distill.types import Batch, Head, Moment, Outputs, Signal

WIDTH, TEACHER_WIDTH, KEPT = 512, 1024, 64
Run = Callable[["Work"], Tensor]


@dataclass
class Work:
    """The inputs of one measurement: N positions, of which ``targets`` other than −100 are supervised."""

    vocabulary: int
    tokens: int
    supervised: float
    device: str = "cpu"

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        on = {"device": self.device}
        self.hidden = torch.randn(self.tokens, WIDTH, **on).requires_grad_()
        self.weight = (torch.randn(self.vocabulary, WIDTH, **on) * 0.05).requires_grad_()
        self.teacher_hidden = torch.randn(self.tokens, TEACHER_WIDTH, **on)
        self.teacher_weight = torch.randn(self.vocabulary, TEACHER_WIDTH, **on) * 0.05
        self.targets = torch.randint(self.vocabulary, (self.tokens,), **on)
        self.targets[int(self.supervised * self.tokens) :] = -100

    def logits(self) -> tuple[Tensor, Tensor]:
        """All of them, as peers make them: (N, V) each."""
        with torch.no_grad():
            teacher = self.teacher_hidden @ self.teacher_weight.T
        return self.hidden @ self.weight.T, teacher

    @cached_property
    def kept(self) -> TopK:
        """The supervised tokens' teacher as a store gives it: made once, before anything is timed."""
        keep = self.targets >= 0
        with torch.no_grad():
            return TopK.of(self.teacher_hidden[keep] @ self.teacher_weight.T, KEPT, 1.0)


def floor(work: Work) -> Tensor:
    """The four products, of supervised tokens only."""
    with torch.no_grad():
        teacher = work.teacher_hidden[work.targets >= 0] @ work.teacher_weight.T
    return teacher[0, 0] + floor_of_student(work)


def floor_of_student(work: Work) -> Tensor:
    """The three products that are left where the teacher's word is read from a store."""
    with torch.no_grad():
        hidden = work.hidden[work.targets >= 0]
        logits = hidden @ work.weight.T
        of_hidden, of_weight = logits @ work.weight, logits.T @ hidden
    return of_hidden[0, 0] + of_weight[0, 0]


def head_and_state(work: Work) -> Signal:
    """What a live teacher says: its final states and its head."""
    return Hidden(work.teacher_hidden[work.targets >= 0], Head(work.teacher_weight))


def ours(
    losses: dict[str, Loss],
    compiled: bool = False,
    kernel: bool = False,
    said: Callable[[Work], Signal] = head_and_state,
    chunk: int = 256,
) -> Run:
    """An objective, as a training step calls it: supervised tokens are gathered before the head."""
    objective = Objective(losses, chunk=chunk, compile=compiled, kernel=kernel)

    def run(work: Work) -> Tensor:
        keep = work.targets >= 0
        targets = work.targets[keep]
        index = torch.arange(targets.shape[0], device=targets.device)
        batch = Batch({}, {}, index, index, targets, torch.zeros_like(index), ("",))
        weighed = objective(Outputs(work.hidden[keep], Head(work.weight)), said(work), batch, Moment(0, 1))
        weighed.total.backward()
        return weighed.total.detach() / weighed.tokens

    return run


def naive(divergence: Callable[[Tensor, Tensor], Tensor]) -> Run:
    """Full logits, our divergence, autograd."""

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        value = divergence(teacher.log_softmax(-1), student.log_softmax(-1))
        return _finished(value[work.targets >= 0].mean())

    return run


def naive_topk(work: Work) -> Tensor:
    """Full logits of the student, the kept tokens gathered from its log-probabilities, no bucket for the others."""
    keep, kept = work.targets >= 0, work.kept
    log_q = (work.hidden @ work.weight.T).log_softmax(-1)[keep].gather(-1, kept.ids)  # (N, K)
    return _finished((kept.values.exp() * (kept.values - log_q)).sum(-1).mean())


def trl(beta: float) -> Run:
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        return _finished(
            GKDTrainer.generalized_jsd_loss(student[None], teacher[None], labels=work.targets[None], beta=beta)
        )

    return run


def liger(beta: float) -> Run:
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    loss = LigerFusedLinearJSDLoss(weight_hard_loss=0.0, weight_soft_loss=1.0, beta=beta, compiled=True)

    def run(work: Work) -> Tensor:
        args = (work.hidden, work.weight, work.teacher_hidden, work.teacher_weight, work.targets)
        return _finished(loss(*args))

    return run


def torchtune() -> Run:
    from torchtune.modules.loss.kd_losses import ForwardKLLoss

    loss = ForwardKLLoss()

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        return _finished(loss(student, teacher, work.targets))

    return run


def _finished(loss: Tensor) -> Tensor:
    loss.backward()
    return loss.detach()


def kd(divergence: Callable[..., Tensor]) -> dict[str, Loss]:
    return {"kd": Divergence(divergence)}


def mixed() -> dict[str, Loss]:
    """Three divergences and the data's word."""
    weights = {forward_kl: 0.5, reverse_kl: 0.3, jensen_shannon: 0.2}
    return {**{f.__name__: Divergence(f, weight) for f, weight in weights.items()}, "ce": CrossEntropy(0.1)}


def kept(work: Work) -> Signal:
    return work.kept


@dataclass(frozen=True)
class Variant:
    """Something that is measured.

    Attributes:
        kind: variants of one kind compute the same (the naive top-64 but for the bucket).
        make: imports what it needs and returns what is run.
        floor: the variant whose products it cannot do without.
    """

    kind: str
    make: Callable[[], Run]
    floor: str = "floor"


TOP_FLOOR = "floor of top-64"
VARIANTS: dict[str, Variant] = {
    "floor": Variant("floor", lambda: floor),
    "ours KL": Variant("KL", lambda: ours(kd(forward_kl), kernel=True)),
    "ours JSD": Variant("JSD", lambda: ours(kd(jensen_shannon), kernel=True)),
    "ours KL + RKL + JSD + CE": Variant("mix", lambda: ours(mixed(), kernel=True)),
    "ours KL, chunks of 128": Variant("KL", lambda: ours(kd(forward_kl), kernel=True, chunk=128)),
    "ours JSD, chunks of 128": Variant("JSD", lambda: ours(kd(jensen_shannon), kernel=True, chunk=128)),
    "ours KL, torch.compile": Variant("KL", lambda: ours(kd(forward_kl), compiled=True)),
    "ours JSD, torch.compile": Variant("JSD", lambda: ours(kd(jensen_shannon), compiled=True)),
    "ours KL, eager": Variant("KL", lambda: ours(kd(forward_kl))),
    "ours JSD, eager": Variant("JSD", lambda: ours(kd(jensen_shannon))),
    "naive KL": Variant("KL", lambda: naive(forward_kl)),
    "naive JSD": Variant("JSD", lambda: naive(jensen_shannon)),
    "TRL KL": Variant("KL", lambda: trl(0.0)),
    "TRL JSD": Variant("JSD", lambda: trl(0.5)),
    "Liger KL": Variant("KL", lambda: liger(0.0)),
    "Liger JSD": Variant("JSD", lambda: liger(0.5)),
    "torchtune KL": Variant("KL", torchtune),
    TOP_FLOOR: Variant("floor", lambda: floor_of_student),
    "ours top-64": Variant("top-64", lambda: ours(kd(forward_kl), said=kept), TOP_FLOOR),
    "ours top-64, torch.compile": Variant("top-64", lambda: ours(kd(forward_kl), compiled=True, said=kept), TOP_FLOOR),
    "naive top-64": Variant("top-64", lambda: naive_topk, TOP_FLOOR),
}
OURS = {"KL": "ours KL", "JSD": "ours JSD", "mix": "ours KL + RKL + JSD + CE", "top-64": "ours top-64"}
"""Of each kind, the one that a run gets by default."""
