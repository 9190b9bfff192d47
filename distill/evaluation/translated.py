"""Translations of held-out sources, measured against people's, and how long they take. Needs the extra ``eval``."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, ClassVar

from distill.data.encode import Marks
from distill.data.translation import TranslationData
from distill.data.writing import written
from distill.errors import BadInput
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject
from distill.ranges import Count

RESAMPLES = 200


class Translated(SampleMeasure):
    """BLEU and chrF of greedy and of beam-search translations, sentences a second, and time to the first token.

    Formula: bleu, chrf: sacrebleu's corpus scores of greedy translations, /beam of a beam search; sentences_per_second
        = sentences / time to translate them all greedily, in batches; first_token_ms = median over single sentences;
        sentence_speedup = ratio to the ``reference``
    Source: Post 2018, A Call for Clarity in Reporting BLEU Scores, W18-6319; Popović 2015, chrF, W15-3049

    Intervals are sacrebleu's bootstrap over sentences; its signature stands in ``samples.jsonl``.

    Args:
        samples: test pairs, at most.
        beams: of the beam search; 1 leaves it out.
        shown: translations that are shown in the report.
        singles: sources that are timed one at a time.
        reference: the subject that the others are compared with, if it is there.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"translation"})

    def __init__(
        self,
        samples: Count = 200,
        beams: Count = 5,
        shown: Count = 3,
        singles: Count = 8,
        reference: str = "teacher",
    ) -> None:
        self.samples, self.beams, self.shown = samples, beams, shown
        self.singles, self.reference = singles, reference

    def measure(self, subjects: Sequence[Subject], data: Any) -> Worked:
        """
        Raises:
            BadInput: sacrebleu is not installed.
        """
        rows: dict[str, list[Measured]] = {}
        texts: dict[str, list[str]] = {}
        seconds: dict[str, float] = {}
        signature = ""
        for subject in subjects:
            texts[subject.name], seconds[subject.name] = self._texts(subject, data, 1)
            rows[subject.name], signature = _scores(texts[subject.name], self._references(data), "")
            if self.beams > 1:
                beam, _ = self._texts(subject, data, self.beams)
                rows[subject.name] += _scores(beam, self._references(data), "/beam")[0]
        for subject in subjects:
            count, own = len(texts[subject.name]), seconds[subject.name]
            rows[subject.name].append(Measured("sentences_per_second", count / own, "sentences/s", count))
            if self.reference in seconds:
                rows[subject.name].append(Measured("sentence_speedup", seconds[self.reference] / own, "x", count))
            rows[subject.name].append(self._first(subject, data))
        signed = [{"subject": name, "prompt": "sacrebleu's signatures", "text": signature} for name in texts]
        return Worked(rows, [*self._shown(texts, data), *signed])

    def _examples(self, data: TranslationData) -> Sequence[Any]:
        return data.rows["test"][: self.samples]

    def _references(self, data: TranslationData) -> list[str]:
        return [row.fields[1] for row in self._examples(data)]

    def _texts(self, subject: Subject, data: TranslationData, beams: int) -> tuple[list[str], float]:
        """(translations, seconds they took, without decoding them into text)."""
        sources = [row.source for row in self._examples(data)]
        padding, begin = Marks.of(data.prepare()).padding, time.perf_counter()
        found = [told[0] for told in written(subject.model, sources, data.searched(beams), padding)]
        took = time.perf_counter() - begin
        return [str(subject.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in found], took

    def _first(self, subject: Subject, data: TranslationData) -> Measured:
        config, padding = data.searched(1), Marks.of(data.prepare()).padding
        config.max_new_tokens = 1
        times = []
        for row in [*self._examples(data)[:1], *self._examples(data)[: self.singles]]:
            begin = time.perf_counter()
            next(written(subject.model, [row.source], config, padding))
            times.append(1e3 * (time.perf_counter() - begin))
        return Measured("first_token_ms", median(times[1:]), "ms", len(times) - 1)

    def _shown(self, texts: Mapping[str, list[str]], data: TranslationData) -> list[dict[str, str]]:
        rows = self._examples(data)[: self.shown]
        return [
            {"subject": name, "prompt": f"{row.fields[0]}  [people: {row.fields[1]}]", "text": told[number]}
            for number, row in enumerate(rows)
            for name, told in texts.items()
        ]


def _scores(texts: list[str], references: list[str], end: str) -> tuple[list[Measured], str]:
    """(BLEU and chrF with intervals, what was computed exactly)."""
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise BadInput("measure", "sacrebleu is not installed", remedy="pip install 'distill-lab[eval]'") from None
    rows, signatures = [], []
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        told = _scored(metric, texts, references)
        mean, half = float(getattr(told, "_mean", told.score)), float(getattr(told, "_ci", 0.0))
        low, high = (mean - half, mean + half) if half > 0 else (None, None)
        rows.append(Measured(f"{name}{end}", float(told.score), "count", len(texts), low, high))
        signatures.append(f"{name} {metric.get_signature()}")
    return rows, "; ".join(signatures)


def _scored(metric: Any, texts: list[str], references: list[str]) -> Any:
    """A corpus's score with its bootstrap; without, where some resamples share no word with people's: sacrebleu's own
    mean does not take their exact zeros beside its other numbers."""
    try:
        return metric.corpus_score(texts, [references], n_bootstrap=RESAMPLES)
    except TypeError:
        return metric.corpus_score(texts, [references])
