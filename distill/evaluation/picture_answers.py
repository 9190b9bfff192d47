"""What models answer about held-out pictures: accuracy by kind of question, captions, agreement, latency."""

import base64
import io
import re
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from distill.data.greedy import greedy
from distill.data.image_text import ImageTextData
from distill.data.module import DataModule
from distill.data.views import Pictures, Shown, View
from distill.evaluation.bootstrap import resampled
from distill.evaluation.cider import cider
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural

BATCH = 64
TIMED = 12
THUMBNAIL = 96
"""Pixels of a picture in the report."""


class PictureAnswers(SampleMeasure):
    """Greedy answers to questions about pictures, or captions, against what people wrote.

    Formula: exact_match = share of answers equal to the reference, but for case, articles at the ends and white space;
        exact_match/<kind> of the questions of a kind; answer_agreement = share equal to the teacher's, right or wrong;
        answer_ms = median time of one answer alone, picture included; answer_speedup = the teacher's over the
        subject's, median over rounds in which each subject answers the same question
    Source: exact match as for closed sets of answers in Antol et al. 2015, VQA, https://arxiv.org/abs/1505.00468; BLEU
        (sacrebleu) and CIDEr-D for captions: Papineni et al. 2002, https://aclanthology.org/P02-1040; Vedantam et al.
        2015, https://arxiv.org/abs/1411.5726.

    Args:
        samples: of the test part at most.
        new_tokens: of an answer at most.
        shown: answers of every subject that go into the report, with the picture.

    Intervals: bootstrap over samples. VQA's soft accuracy over ten people is left out: these sets have one answer.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"image_text"})

    def __init__(self, samples: Count = 1000, new_tokens: Count = 16, shown: Natural = 8) -> None:
        self.samples, self.new_tokens, self.shown = samples, new_tokens, shown

    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        assert isinstance(data, ImageTextData), "data_kinds says so"
        samples = list(data.rows["test"][: self.samples])
        views = {one.name: _view(one, data) for one in subjects}
        said = {one.name: self._answers(one, views[one.name], samples) for one in subjects}
        rows = {name: _scores(told, said.get("teacher"), samples) for name, told in said.items()}
        for name, times in self._times(subjects, views, samples).items():
            rows[name] += times
        chosen = [round(i * (len(samples) - 1) / max(self.shown - 1, 1)) for i in range(min(self.shown, len(samples)))]
        texts = [
            {"subject": name, "prompt": _prompt(samples[i]), "text": told[i], "picture": thumbnail(samples[i])}
            for i in chosen
            for name, told in said.items()
        ]
        return Worked(rows, texts)

    def _answers(self, subject: Subject, view: View, samples: Sequence[Shown]) -> list[str]:
        """Samples whose prompts are of one length are answered together."""
        lengths = [len(view.prefix(one)) for one in samples]
        told = [""] * len(samples)
        for length in sorted(set(lengths)):
            places = [place for place, one in enumerate(lengths) if one == length]
            for first in range(0, len(places), BATCH):
                some = places[first : first + BATCH]
                for place, text in zip(some, self._said(subject, view, [samples[i] for i in some]), strict=True):
                    told[place] = text
        return told

    def _said(self, subject: Subject, view: View, samples: Sequence[Shown]) -> list[str]:
        inputs = {name: value.to(subject.model.device) for name, value in view.asked(samples).items()}
        end = subject.tokenizer.eos_token_id
        found = greedy(
            subject.model, inputs, self.new_tokens, end if isinstance(end, int) else None, subject.vocabulary
        )
        return [str(subject.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in found]

    def _times(
        self, subjects: Sequence[Subject], views: dict[str, View], samples: Sequence[Shown]
    ) -> dict[str, list[Measured]]:
        """Each round asks each subject the same, so that a busy machine is busy for all of them."""
        taken: dict[str, list[float]] = {one.name: [] for one in subjects}
        for sample in [samples[0], *samples[:TIMED]]:  # the first round warms up
            for subject in subjects:
                begin = time.perf_counter()
                self._said(subject, views[subject.name], [sample])
                taken[subject.name].append(1e3 * (time.perf_counter() - begin))
        counted = {name: np.array(times[1:]) for name, times in taken.items()}
        rows = {name: [Measured("answer_ms", float(np.median(t)), "ms", len(t))] for name, t in counted.items()}
        if "teacher" in counted:
            for name, times in counted.items():
                ratio = float(np.median(counted["teacher"] / times))
                rows[name].append(Measured("answer_speedup", ratio, "x", len(times)))
        return rows


def normalised(text: str) -> str:
    """Lower case, one space between words, no full stop at the end, no article at the beginning."""
    return re.sub(r"^(a|an|the) ", "", " ".join(text.lower().split()).rstrip(". "))


def thumbnail(sample: Shown) -> str:
    """A PNG of the picture as a ``data:`` address: the report asks the network for nothing."""
    content = sample.content if isinstance(sample.content, bytes) else sample.content.read_bytes()
    picture = Pictures()(content)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    written = io.BytesIO()
    picture.save(written, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")


def _view(subject: Subject, data: ImageTextData) -> View:
    return data.teacher_view if subject.taught and data.teacher_view is not None else data.view


def _prompt(sample: Shown) -> str:
    return f"{sample.texts['question'] or 'What is this?'} ({sample.texts['answer']})"


def _scores(said: Sequence[str], teacher: Sequence[str] | None, samples: Sequence[Shown]) -> list[Measured]:
    references = [one.texts["answer"] for one in samples]
    right = np.array([normalised(a) == normalised(b) for a, b in zip(said, references, strict=True)], dtype=float)
    rows = [_mean("exact_match", right)]
    kinds = np.array([one.texts["kind"] for one in samples])
    named = sorted({str(one) for one in kinds} - {""})
    rows += [_mean(f"exact_match/{kind}", right[kinds == kind]) for kind in named]
    if teacher is not None:
        alike = [normalised(a) == normalised(b) for a, b in zip(said, teacher, strict=True)]
        rows.append(_mean("answer_agreement", np.array(alike, dtype=float)))
    if not any(one.texts["question"] for one in samples):
        rows.append(_mean("cider", np.array(cider(said, [[one] for one in references])), "count"))
        if find_spec("sacrebleu") is not None:
            from distill.evaluation.overlap import corpus_scores

            rows.append(Measured("bleu", corpus_scores(said, references)["bleu"], "count", len(said)))
    return rows


def _mean(name: str, values: np.ndarray, unit: str = "fraction") -> Measured:
    ends = resampled(len(values), lambda drawn: float(values[drawn].mean()), 400)
    return Measured(name, float(values.mean()), unit, len(values), *ends)
