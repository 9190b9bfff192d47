"""The only sum: named losses, each with a weight, into one total.

How a training step calls it::

    objective.prepare(student_shape, teacher_shape_or_None)  # once, before the optimiser is built
    optimiser_parameters += [p for p in objective.parameters() if p.requires_grad]
    ...
    outputs = models.answer(student, batch.inputs, batch.positions, objective.request)
    signal = alignment.align(teacher.teach(batch, objective.teacher_request), batch)  # or None
    weighed = objective(outputs, signal, batch, Moment(step, steps))
    weighed.total.backward()      # a SUM over weighed.tokens supervised tokens
    # once before optimizer.step(): every gradient divided by the supervised tokens of the whole optimiser
    # step (all micro-batches, all ranks); logged values likewise: loss/<name> = sum of terms[name] / sum of
    # tokens

``step`` counts optimiser steps: all micro-batches of one have the same moment. ``objective.eval()`` under
``no_grad`` (or inference mode) measures values and changes no state. Its state dict is what losses have
learned or adapted.
"""

import copy
from functools import reduce

import torch
from torch import Tensor, nn

from distill.errors import BadInput, NumericalStop
from distill.losses import citation, undefined
from distill.losses.by_domain import ByDomain
from distill.losses.loss import Loss, StateLoss, VocabularyLoss
from distill.losses.quantity import Quantity, is_off, number, settle, shown, varying
from distill.losses.vocabulary import Pass, weigh
from distill.products import widened
from distill.ranges import Count, Positive
from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal, Weighed


class Objective(nn.Module):
    """Named losses and their weights: what a student is trained to make small.

    Formula: total = Σ weight_i · term_i, each term a sum over supervised tokens

    Weights are taken as they stand: never renormalised, never balanced silently. A term of weight 0 is still
    measured, and adds nothing to any gradient, bit for bit.

    Args:
        losses: by name; logged as ``loss/<name>``, unweighted.
        temperature: of every loss that has none of its own; a number, one that changes, or one for each domain.
        chunk: supervised tokens whose logits exist at the same time; below 128 the products lose speed.
        compile: fuse the elementwise part of the pass with torch.compile; the same numbers to rounding.
        kernel: evaluate cross-entropy, KL and Jensen-Shannon of float32 logits on the CPU by compiled rows, built at
            first use; the same numbers to rounding. Anything else, or where nothing can be built, runs without.
    """

    def __init__(
        self,
        losses: dict[str, Loss],
        temperature: Positive | Quantity | ByDomain = 1.0,
        chunk: Count = 256,
        compile: bool = False,
        kernel: bool = True,
    ) -> None:
        super().__init__()
        self.losses = dict(losses)
        # the same losses as modules, under the names they are logged by: a bare "values" would hide a method
        self.terms = nn.ModuleDict({f"loss/{name}": loss for name, loss in losses.items()})
        self.temperature = temperature
        self.chunk = chunk
        self.compiled = compile
        self.kernel = kernel

    @property
    def needs(self) -> frozenset[str]:
        """What all losses together ask of a teacher's signal."""
        return frozenset().union(*(loss.asks for loss in self.losses.values()))

    def unmet(self, provided: frozenset[str]) -> frozenset[str]:
        """What a teacher that provides this cannot answer."""
        return frozenset().union(*(loss.unmet(provided) for loss in self.losses.values()))

    @property
    def request(self) -> Request:
        """What all losses together want from the student."""
        return reduce(Request.__or__, (loss.request for loss in self.losses.values()), Request())

    @property
    def teacher_request(self) -> Request:
        """What all losses together want from the teacher."""
        return reduce(Request.__or__, (loss.teacher_request for loss in self.losses.values()), Request())

    @property
    def weighted(self) -> list[str]:
        """The terms that have a weight now."""
        return [name for name in self.losses if not self._is_off(name)]

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        """Make what depends on the models' sizes; before the optimiser is built."""
        for loss in self.losses.values():
            loss.prepare(student, teacher)

    def check(self, domains: frozenset[str]) -> None:
        """Refuse what the data's domains contradict.

        Raises:
            BadInput: a temperature is of a domain that there is not.
        """
        if isinstance(self.temperature, ByDomain):
            self.temperature.check(domains)

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch, moment: Moment) -> Weighed:
        """All terms of a micro-batch.

        Raises:
            NumericalStop: a term of non-zero weight, or a gradient, is not finite; names sample and position.
            BadInput: a term of non-zero weight needs the teacher, and there is no signal.
        """
        settle(self, moment)
        for loss in self.losses.values():
            loss.settle(moment)
        terms = self._measurable(signal)
        names = sorted((n for n, t in terms.items() if isinstance(t, VocabularyLoss)), key=self._is_off)
        this = self._pass(names, outputs, signal, batch)
        weights = [number(terms[name].weight) for name in names[: this.active]]
        total, sums, health = weigh(outputs, this, weights)
        total, told = self._states(outputs, signal, batch, total)
        if not torch.isfinite(total.detach() + health):
            raise self._undefined(outputs, signal, batch, names)
        told |= dict(zip(names, sums.unbind(), strict=True))
        total = self._penalised(total, terms, batch.tokens)
        if self.training and torch.is_grad_enabled():
            for name, value in told.items():
                terms[name].observe(value, batch.tokens, moment)
        return Weighed(total=total, terms={name: told[name] for name in terms}, tokens=batch.tokens)

    def units(self) -> dict[str, str]:
        """Of what a run logs of it. A sum of terms of several units has none of its own."""
        told = {f"loss/{name}": loss.unit for name, loss in self.losses.items()}
        summed = {loss.unit for loss in self.losses.values() if isinstance(loss.weight, Quantity) or loss.weight}
        total = summed.pop() if len(summed) == 1 else "1/token"
        return told | {"loss/total": total} | dict.fromkeys(self.in_force(), "1")

    def in_force(self) -> dict[str, float]:
        """Every number that is no constant, as it is in this step: ``weight/<name>``, ``temperature/<name>``, …"""
        told = {
            f"{what}/{name}": value for name, loss in self.losses.items() for what, value in loss.in_force().items()
        }
        return told | varying({"temperature": self.temperature})

    @property
    def typical_temperature(self) -> float:
        """The one that all tokens share now; 1 where each domain has its own."""
        if isinstance(self.temperature, ByDomain):
            return 1.0
        return float(torch.as_tensor(number(self.temperature)).detach())  # it may be learned

    def alone(self, name: str) -> "Objective":
        """One term by itself at weight 1: a copy, so that nothing it learns or adapts is touched by looking at it."""
        term = copy.deepcopy(self.losses[name])
        del term.weight  # it may be a module, in whose place no number can be put
        term.weight = 1.0
        return Objective({name: term}, copy.deepcopy(self.temperature), self.chunk, self.compiled, self.kernel)

    def _is_off(self, name: str) -> bool:
        return is_off(self.losses[name].weight)

    def _measurable(self, signal: Signal | None) -> dict[str, Loss]:
        """The terms that can be measured: without a teacher, those that need none."""
        if signal is not None:
            return self.losses
        deaf = [name for name, loss in self.losses.items() if loss.asks and not self._is_off(name)]
        if deaf:
            raise BadInput(
                f"objective.losses.{deaf[0]}",
                "it needs a teacher's word, and the teacher said nothing",
                remedy="choose a teacher, or set its weight to 0",
            )
        return {name: loss for name, loss in self.losses.items() if not loss.asks}

    def _pass(self, names: list[str], outputs: Outputs, signal: Signal | None, batch: Batch) -> Pass:
        return Pass(
            losses=tuple(self.losses[name] for name in names),  # type: ignore[arg-type]
            active=sum(not self._is_off(name) for name in names),
            temperature=self._temperature(outputs, batch),
            head=outputs.head,
            signal=signal,
            targets=batch.targets,
            size=self.chunk,
            compiled=self.compiled,
            kernel=self.kernel,
            weights=batch.weights,
        )

    def _temperature(self, outputs: Outputs, batch: Batch) -> float | Quantity | Tensor:
        if isinstance(self.temperature, ByDomain):
            return self.temperature.of(batch, widened(outputs.hidden.dtype))  # (N,)
        return self.temperature

    def _states(
        self, outputs: Outputs, signal: Signal | None, batch: Batch, total: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the state losses to the total."""
        told = {}
        for name, loss in self._measurable(signal).items():
            if isinstance(loss, StateLoss):
                off = self._is_off(name)
                with torch.set_grad_enabled(torch.is_grad_enabled() and not off):
                    each = loss(outputs, signal, batch)  # (N,)
                    value = each.sum() if batch.weights is None else (each * batch.weights).sum()
                told[name] = value.detach()
                total = total if off else total + number(loss.weight) * value
        return total, told

    def _penalised(self, total: Tensor, terms: dict[str, Loss], tokens: int) -> Tensor:
        for loss in terms.values():
            penalty = loss.weight.penalty() if isinstance(loss.weight, Quantity) else None
            total = total if penalty is None else total + tokens * penalty
        return total

    def _undefined(self, outputs: Outputs, signal: Signal | None, batch: Batch, names: list[str]) -> NumericalStop:
        for name, loss in self._measurable(signal).items():
            if isinstance(loss, StateLoss) and not self._is_off(name):
                with torch.no_grad():
                    undefined.finite(loss(outputs, signal, batch), name, batch)
        return undefined.stop(outputs, batch, self._pass(names, outputs, signal, batch), names)

    def __str__(self) -> str:
        weighted = " + ".join(f"{shown(loss.weight)} · {name}" for name, loss in self.losses.items())
        width = max(map(len, self.losses), default=0)
        parts = [f"  {name:<{width}} = {loss.formula()}" for name, loss in self.losses.items()]
        shared = f"  T = {shown(self.temperature)} where a term names no other; nats per supervised token"
        return "\n".join([f"total = {weighted}", *parts, shared])

    def citations(self) -> str:
        """BibTeX of what the losses of this objective, their weights and its temperature stand on."""
        sources = [source for loss in self.losses.values() for source in loss.sources()]
        numbers = [*(loss.weight for loss in self.losses.values()), self.temperature]
        return citation.bibtex(sources + [s for value in numbers for s in citation.lines(type(value), "Source")])
