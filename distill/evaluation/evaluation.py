"""The evaluation of a run: every subject on the same held-out text, every measure from one forward pass.

A batch is shown to the teacher once and to each subject once. Log-probabilities are made for some tokens at a time
and handed to all token measures; nothing of the size [held-out tokens, vocabulary] exists, so a set of any length
can be measured. Then come the measures that run the models themselves, and the texts.

Left out on purpose: tasks with answers (multiple choice, exact match). They are an evaluation of their own.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedModel

from distill.data.module import DataModule
from distill.data.prompts import Prompt
from distill.evaluation.bootstrap import RESAMPLES, SEED
from distill.evaluation.continuations import Continuations
from distill.evaluation.measure import Measured, ModelMeasure, PromptMeasure, SampleMeasure, TokenMeasure, Tokens
from distill.evaluation.subject import Subject
from distill.models import answer, evaluating
from distill.ranges import Count
from distill.rows import Row
from distill.signals.hidden import Hidden
from distill.teachers.teacher import Teacher
from distill.types import Batch, Outputs, Request, Signal

ELEMENTS = 2**22
"""Of the log-probabilities that exist at once for each side: 16 MiB in float32, which stays near the cache."""
FEWEST = 128
"""Tokens at once: below it the products lose their speed."""


@dataclass(frozen=True)
class Evaluated:
    """What came out: lines for ``metrics.jsonl`` and for ``samples.jsonl``."""

    rows: list[Row]
    samples: list[dict[str, Any]]


class Evaluation:
    """The measures of a run.

    Args:
        token_measures: by any name; they read held-out tokens.
        model_measures: by any name; they run the models.
        continuations: texts side by side, or None.
        tokens: stop with the batch that reaches this many held-out tokens; None takes all.
        prompt_measures: by any name; they let the models write.
        sample_measures: by any name; they let the models work on held-out samples.

    Measures that are not made for the data's kind are left out; where no data is given, it is text.
    """

    def __init__(
        self,
        token_measures: dict[str, TokenMeasure],
        model_measures: dict[str, ModelMeasure],
        continuations: Continuations | None = None,
        tokens: Count | None = None,
        prompt_measures: dict[str, PromptMeasure] | None = None,
        sample_measures: dict[str, SampleMeasure] | None = None,
    ) -> None:
        self.token_measures, self.model_measures = token_measures, model_measures
        self.continuations, self.tokens = continuations, tokens
        self.prompt_measures = prompt_measures or {}
        self.sample_measures = sample_measures or {}

    @property
    def prompts(self) -> int:
        """How many beginnings of documents it wants."""
        texts = 0 if self.continuations is None else self.continuations.prompts
        return max([texts, *(measure.prompts for measure in self.prompt_measures.values())])

    @torch.no_grad()
    def evaluate(
        self,
        subjects: Sequence[Subject],
        batches: Iterable[Batch],
        prompts: Sequence[Prompt] = (),
        teacher: Teacher | None = None,
        seed: int = 0,
        split: str = "test",
        device: torch.device | str = "cpu",
        data: DataModule | None = None,
    ) -> Evaluated:
        """Measure all subjects side by side.

        Args:
            subjects: with different names; they stay as they are.
            batches: of held-out text, finite.
            prompts: beginnings of documents.
            teacher: what agreement is measured with, where it has the batches' tokens (another tokenizer is compared in
                bits per byte alone). Its passes are not counted as passes of a training.
            seed: of the run, for the rows.
            split: the text's name in the rows.
            device: where all of it happens; subjects and teacher are moved there and stay.
            data: where the batches are from; None for text alone.
        """
        place, kind = torch.device(device), "text" if data is None else data.kind
        if teacher is not None:
            teacher.to(place)
        with ExitStack() as modes:
            for subject in subjects:
                subject.model.to(place)  # pyright: ignore[reportArgumentType]  (torch's overloads)
                modes.enter_context(evaluating(subject.model))
            speaks = data is None or data.task.family != "encoder"  # a bare encoder has no log-probabilities
            on_text = self._on_text if speaks else _on_nothing
            tallies, drawn = on_text(subjects, (batch.to(place) for batch in batches), teacher, kind)
            measured = {
                name: [*(row for tally in told for row in tally.rows()), *drawn] for name, told in tallies.items()
            }
            rows = [_row(subject, one, split, seed) for subject in subjects for one in measured[subject.name]]
            for measure in (one for one in self.model_measures.values() if one.suits(kind)):
                found = measure.measure(subjects)
                rows += [_row(subject, one, "none", seed) for subject in subjects for one in found[subject.name]]
            for written in self.prompt_measures.values() if prompts else ():
                found = written.measure(subjects, prompts[: written.prompts])
                rows += [_row(subject, one, split, seed) for subject in subjects for one in found[subject.name]]
            samples: list[dict[str, Any]] = [line for told in tallies.values() for one in told for line in one.lines()]
            samples += [] if self.continuations is None else self.continuations.texts(subjects, prompts)
            for worked in (one.measure(subjects, data) for one in self._on_samples(kind) if data is not None):
                rows += [_row(subject, one, split, seed) for subject in subjects for one in worked.rows[subject.name]]
                rows += [_told(name, one, split, seed) for name, told in worked.absent.items() for one in told]
                samples += worked.samples
        return Evaluated(rows, samples)

    def _on_samples(self, kind: str) -> list[SampleMeasure]:
        return [measure for measure in self.sample_measures.values() if measure.suits(kind)]

    def _on_text(
        self, subjects: Sequence[Subject], batches: Iterable[Batch], teacher: Teacher | None, kind: str
    ) -> tuple[Mapping[str, list[TokenMeasure]], list[Measured]]:
        """Each subject's measures after all of the text, without those that the teacher could not answer; and what the
        bootstrap of their intervals draws."""
        provided = frozenset() if teacher is None else teacher.provides
        suited = [measure for measure in self.token_measures.values() if measure.suits(kind)]
        usable = [measure for measure in suited if measure.needs <= provided]
        tallies = {subject.name: copy.deepcopy(usable) for subject in subjects}
        for subject in subjects:
            for tally in tallies[subject.name]:
                tally.begin(subject)
        passes = 0 if teacher is None else teacher.passes
        asked = any(measure.needs for measure in usable)
        seen = samples = 0
        documents: set[int] = set()
        for batch in batches if usable else ():
            asked = asked and batch.spans is None
            signal = teacher.teach(batch, Request()) if teacher is not None and asked else None
            for subject in subjects:
                own = batch.taught if subject.taught else batch
                outputs = _outputs(subject, own, signal, None if teacher is None else teacher.model)
                for tokens in _views(outputs, own, signal, samples):
                    for tally in tallies[subject.name]:
                        if asked or not tally.needs:
                            tally.update(tokens)
            documents.update(batch.documents or range(samples, samples + len(batch.samples)))
            seen, samples = seen + batch.tokens, samples + len(batch.samples)
            if self.tokens is not None and seen >= self.tokens:
                break
        if teacher is not None:
            teacher.passes = passes
        kept = {name: [tally for tally in told if asked or not tally.needs] for name, told in tallies.items()}
        return kept, _drawn(len(documents))


def _on_nothing(
    subjects: Sequence[Subject], batches: Iterable[Batch], teacher: Teacher | None, kind: str
) -> tuple[Mapping[str, list[TokenMeasure]], list[Measured]]:
    """Where no model gives a log-probability: no token measure of any subject."""
    return {subject.name: [] for subject in subjects}, []


def _outputs(subject: Subject, batch: Batch, signal: Signal | None, teacher: PreTrainedModel | None) -> Outputs:
    """The subject's answer; a teacher that has just read this very text is not asked again."""
    said = signal.outputs if signal is not None and subject.model is teacher else None
    if said is not None and _alike(batch.inputs, batch.teacher_inputs):
        return replace(said, head=said.head.cut(subject.vocabulary))
    return answer(subject.model, batch.inputs, batch.positions, vocabulary=subject.vocabulary)


def _alike(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one is other or (one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one))


def _views(outputs: Outputs, batch: Batch, signal: Signal | None, samples: int) -> Iterable[Tokens]:
    """The batch's tokens as the subject sees them, so many at a time that ``ELEMENTS`` is kept."""
    own, places = Hidden(outputs.hidden, outputs.head), within(batch.owners)
    size = max(FEWEST, ELEMENTS // max(outputs.head.vocabulary, 1))
    for start in range(0, batch.tokens, size):
        rows = slice(start, start + size)
        (logits,) = own.chunk(rows)  # (C, V)
        if signal is None:
            log_p, log_q = None, logits.log_softmax(-1)
        else:
            log_p, log_q = signal.pair(signal.chunk(rows), logits, 1.0)
        owners, told = batch.owners[rows] + samples, batch.bytes if start == 0 else 0
        named = any(batch.domains)
        domains = tuple(batch.domains[i] for i in batch.owners[rows].tolist()) if named else ()
        yield Tokens(log_q, batch.targets[rows], owners, told, log_p, places[rows], domains, _documents(batch, rows))


def _drawn(documents: int) -> list[Measured]:
    """Rows that say what stands behind the intervals: documents, resamples (``n``), and the seed of the draws."""
    if not documents:
        return []
    counted = Measured("bootstrap_documents", documents, "count", RESAMPLES)
    return [counted, Measured("bootstrap_seed", SEED, "count", RESAMPLES)]


def _documents(batch: Batch, rows: slice) -> torch.Tensor | None:
    """(C,) the document of each token."""
    if not batch.documents:
        return None
    return torch.tensor(batch.documents, device=batch.owners.device)[batch.owners[rows]]


def within(owners: torch.Tensor) -> torch.Tensor:
    """(N,) -> (N,) how many tokens of the same sample stand before each; a sample's tokens stand together."""
    here = torch.arange(owners.numel(), device=owners.device)
    begins = torch.ones_like(owners, dtype=torch.bool)
    begins[1:] = owners[1:] != owners[:-1]
    return here - torch.where(begins, here, 0).cummax(0).values if owners.numel() else here


def _row(subject: Subject, one: Measured, split: str, seed: int) -> Row:
    return _told(subject.name, one, split, seed, subject.step)


def _told(name: str, one: Measured, split: str, seed: int, step: int = 0) -> Row:
    return Row(name, one.metric, one.value, one.unit, split, step, seed, one.n, low=one.low, high=one.high)
