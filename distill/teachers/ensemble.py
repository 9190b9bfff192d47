"""Several teachers that speak with one voice.

Left out on purpose: weights that are learned (they would be the objective's), teachers of different vocabularies, and
teachers that tell only their likeliest tokens. Hidden states of several models have no mean: losses on them need one
teacher.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.ranges import NonNegative
from distill.signals.mixture import MeanLogits, MeanProbabilities, likelihoods
from distill.teachers.teacher import Teacher
from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Ensemble(Teacher):
    """The mean of several teachers, weighed alike, by hand, by the text or by the domain of the text.

    Formula: p̄_T = Σ_m w_m softmax(z_m / T), or softmax(Σ_m w_m z_m / T); of the mean of probabilities is logged
        T² mean_m KL(p_m ‖ q) = T² KL(p̄ ‖ q) + T² mean_m KL(p_m ‖ p̄), as teachers/{mean_kl, kl_of_mean, disagreement}
    Source: Hinton et al. (2015). Distilling the Knowledge in a Neural Network. arXiv:1503.02531 (both means);
        Yang et al. (2020). TextBrewer. arXiv:2002.12620 (mean of probabilities)

    Args:
        teachers: by name.
        mean: of what.
        weights: by teacher's name, divided by their sum, a name that is left out has 0; null for equal ones.
        route: ``likeliest``: each sample's weights are multiplied with the probability that each teacher gives its text
            (the responsibilities of a mixture); ``domain``: the sample's domain chooses, by ``domains``.
        domains: domain -> teacher's name; a domain is the file or folder of ``data.path`` that a document is from. A
            domain that is not listed hears the weighed mean.

    Raises:
        BadInput: a name that no teacher has, weights that are all 0, or a teacher that does not speak of all tokens.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(
        self,
        teachers: dict[str, Teacher],
        mean: Literal["probabilities", "logits"] = "probabilities",
        weights: dict[str, NonNegative] | None = None,
        route: Literal["none", "likeliest", "domain"] = "none",
        domains: dict[str, str] | None = None,
    ) -> None:
        self.teachers = dict(sorted(teachers.items()))
        self.mean: Literal["probabilities", "logits"] = mean
        self.route: Literal["none", "likeliest", "domain"] = route
        self.domains = dict(domains or {})
        self._refuse_mute()
        self._refuse_strangers("teacher.weights", weights or {})
        self._refuse_strangers("teacher.domains", dict.fromkeys(self.domains.values()))
        given = torch.tensor([1.0 if weights is None else float(weights.get(name, 0.0)) for name in self.teachers])
        if not given.sum() > 0:
            raise BadInput("teacher.weights", "all are 0", remedy="give a teacher a weight")
        self.weights = given / given.sum()  # (M,)
        self._last: tuple[MeanProbabilities, int] | None = None

    # ---------------------------------------------------------------------------------------------- as any teacher

    @property
    def members(self) -> tuple[Teacher, ...]:
        return tuple(self.teachers.values())

    @property
    def shape(self) -> ModelShape | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of all of them together: what asking each of them costs."""
        return self._together([one.shape for one in self.members])

    def size(self, student: ModelShape) -> ModelShape | None:
        return self._together([one.size(student) for one in self.members])

    @property
    def vocabulary(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return min(one.vocabulary for one in self.members)

    @property
    def fingerprint(self) -> str | None:
        own = [one.fingerprint for one in self.members]
        if None in own:
            return None
        told = [own, self.mean, self.weights.tolist(), self.route, sorted(self.domains.items()), list(self.teachers)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        said = ", ".join(f"{weight:.2g} {name}" for name, weight in zip(self.teachers, self.weights, strict=True))
        how = {"none": "", "likeliest": ", more for the likelier of each sample", "domain": ", or the domain's own"}
        own = (f"{name}: {note}" for name, one in self.teachers.items() for note in one.notes)
        return (f"the teacher is the mean of {self.mean}: {said}{how[self.route]}", *own)

    @property
    def exact(self) -> Teacher:
        """The same of the exact ones."""
        made = dict(self.teachers)
        for name, one in self.teachers.items():
            made[name] = one.exact
        if all(made[name] is one for name, one in self.teachers.items()):
            return self
        weights = dict(zip(self.teachers, self.weights.tolist(), strict=True))
        return Ensemble(made, self.mean, weights, self.route, self.domains)

    def ready(self) -> None:
        for one in self.members:
            one.ready()

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        for one in self.members:
            one.read_with(tokenizer)

    def meet(self, student: "PreTrainedModel") -> None:
        for one in self.members:
            one.meet(student)

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        for one in self.members:
            one.follow(student, moment)

    def hear(self, nats_per_token: float) -> None:
        for one in self.members:
            one.hear(nats_per_token)

    def state(self) -> dict[str, Any]:
        return {name: one.state() for name, one in self.teachers.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, one in self.teachers.items():
            one.restore(state.get(name, {}))

    def share(self, vocabulary: int) -> None:
        for one in self.members:
            one.share(vocabulary)

    def check_packing(self) -> None:
        for one in self.members:
            one.check_packing()

    def to(self, device: torch.device) -> "Ensemble":
        for one in self.members:
            one.to(device)
        return self

    # ------------------------------------------------------------------------------------------------- its answers

    def teach(self, batch: Batch, request: Request) -> Signal:
        before = sum(one.passes for one in self.members)
        said = tuple(self._said(name, one, batch) for name, one in self.teachers.items())
        self.passes += sum(one.passes for one in self.members) - before
        weights = self._weights(said, batch).to(batch.targets.device)
        if self.mean == "logits":
            return MeanLogits(said, weights)
        signal = MeanProbabilities(said, weights)
        self._last = signal, batch.teacher_positions.numel()
        return signal

    @torch.no_grad()
    def account(self, temperature: float, outputs: Outputs | None = None) -> Mapping[str, float]:
        """Of the last micro-batch, nats a token: how much of the mean divergence from the teachers no student can ever
        lose; and, beside a student's outputs, that divergence and its divergence from their mean."""
        if self._last is None:
            return {}
        signal, tokens = self._last
        if outputs is None or outputs.hidden.shape[0] != tokens:
            return {"teachers/disagreement": signal.disagreement(tokens, temperature).item() / max(tokens, 1)}
        told = (signal.divided(outputs, temperature) / max(tokens, 1)).tolist()
        return dict(zip(("teachers/mean_kl", "teachers/kl_of_mean", "teachers/disagreement"), told, strict=True))

    @staticmethod
    def _said(name: str, teacher: Teacher, batch: Batch) -> Signal:
        signal = teacher.teach(batch, Request())
        if signal is None:
            raise BadInput(f"teacher.teachers.{name}", "has nothing to say", remedy="leave it out")
        return signal

    def _weights(self, said: tuple[Signal, ...], batch: Batch) -> Tensor:
        """(M,), or (N, M) where they differ between samples."""
        if self.route == "none":
            return self.weights
        owners = (batch.owners if batch.spans is None else batch.spans.teacher_owners).cpu()
        targets = batch.targets if batch.spans is None else batch.spans.teacher_targets
        if self.route == "domain":
            return torch.stack([self._of_domain(name) for name in batch.domains])[owners]
        log_p = likelihoods(said, targets).cpu()  # (N, M)
        summed = log_p.new_zeros(len(batch.samples), log_p.shape[1]).index_add_(0, owners, log_p)
        return (summed + self.weights.log()).softmax(-1)[owners]

    def _of_domain(self, domain: str) -> Tensor:
        """(M,)"""
        chosen = self.domains.get(domain)
        if chosen is None:
            return self.weights
        return torch.tensor([float(name == chosen) for name in self.teachers])

    @staticmethod
    def _together(shapes: Sequence[ModelShape | None]) -> ModelShape | None:
        known = [shape for shape in shapes if shape is not None]
        return reduce(ModelShape.__add__, known) if len(known) == len(shapes) else None

    def _refuse_mute(self) -> None:
        for name, one in self.teachers.items():
            if "logits" not in one.provides:
                said = ", ".join(sorted(one.provides)) or "nothing"
                reason = f"an ensemble asks each teacher for all its tokens, this one provides {said}"
                raise BadInput(
                    f"teacher.teachers.{name}", reason, remedy="use a teacher that runs here, or a dense store"
                )

    def _refuse_strangers(self, place: str, names: Mapping[str, object]) -> None:
        for name in names:
            if name not in self.teachers:
                reason = f"no such teacher; there are {', '.join(self.teachers)}"
                raise BadInput(place, reason, value=name, remedy="name one of them")
