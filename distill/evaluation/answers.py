"""Test questions answered: whether the answer is right, and what reasons were given for it.

Greedy, many questions at once, with a cache. A student that learnt answers and reasons as two tasks is asked for both;
its reasons then did not lead to its answer, and a reader is told so. Left out on purpose: a judgement of the reasons
themselves; a right answer with wrong reasons counts as right, and the page shows both.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar

import torch

from distill.data.module import DataModule
from distill.data.questions.question import normal
from distill.data.rationale import Asked, RationaleData
from distill.evaluation.bootstrap import resampled
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject
from distill.models import evaluating
from distill.ranges import Count, Natural
from distill.rollouts.choices import Own
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.writing import room, write


class Answers(SampleMeasure):
    """Exact match of the answers to test questions, whole and by domain.

    Formula: exact_match = right / questions; answered = with an answer that can be read / questions

    Numbers are compared as ``data.questions.question.normal`` writes them. Intervals: bootstrap over questions.

    Args:
        questions: asked at most.
        new_tokens: written at most after each.
        batch_size: questions at once.
        shown: questions whose texts go into the report.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"rationale"})

    def __init__(
        self, questions: Count = 200, new_tokens: Count = 96, batch_size: Count = 50, shown: Natural = 12
    ) -> None:
        self.questions, self.new_tokens, self.batch_size, self.shown = questions, new_tokens, batch_size, shown

    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        assert isinstance(data, RationaleData)  # of its kind
        asked = data.asked(self.questions)
        rows: dict[str, list[Measured]] = {}
        samples: list[dict[str, str]] = []
        for subject in subjects:
            texts = self._written(subject, [one.prompt for one in asked])
            said = [data.answered(text) for text in texts]
            right = [one is not None and one == normal(a.question.answer) for one, a in zip(said, asked, strict=True)]
            rows[subject.name] = _rows(asked, said, right)
            samples += self._samples(subject, asked, texts, said, right)
        return Worked(rows, samples)

    def _samples(
        self,
        subject: Subject,
        asked: Sequence[Asked],
        texts: Sequence[str],
        said: Sequence[str | None],
        right: Sequence[bool],
    ) -> list[dict[str, str]]:
        shown = asked[: self.shown]
        apart = [one.reasons for one in shown if one.reasons is not None and one.reasons != one.prompt]
        reasons = self._written(subject, apart) if apart else list(texts)
        return [
            {
                "kind": "rationale",
                "subject": subject.name,
                "prompt": one.question.text,
                "text": told if one.reasons is not None else "",
                "answer": answer or "",
                "verdict": "right" if is_right else "wrong",
                "reference": one.question.answer,
                "reasons": one.question.rationales[0] if one.question.rationales else "",
                "apart": "apart" if apart else "",
            }
            for one, told, answer, is_right in zip(shown, reasons, said, right, strict=False)
        ]

    def _written(self, subject: Subject, prompts: Sequence[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(prompts), self.batch_size):
            found += continued(subject, prompts[start : start + self.batch_size], self.new_tokens)
        return found


def continued(subject: Subject, prompts: Sequence[str], new_tokens: int) -> list[str]:
    """What a subject writes after plain prompts, greedily, up to its end mark."""
    tokenizer = subject.tokenizer
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id == tokenizer.eos_token_id else None
    ids = [tokenizer(one, split_special_tokens=True).input_ids for one in prompts]
    given = [torch.tensor(one if begin is None else [begin, *one]) for one in ids]
    language = Language.of(tokenizer, subject.vocabulary)
    length = room([subject.model], [given], new_tokens)
    with ExitStack() as modes, torch.no_grad():
        modes.enter_context(evaluating(subject.model))
        pen = Pen(subject.model, given, length, language)
        draft = write([pen], Own(0.0), torch.zeros(len(given), length, 2, dtype=torch.float64), language)
    kept = [row[:n].tolist() for row, n in zip(draft.tokens, draft.lengths.tolist(), strict=True)]
    return [str(text).strip() for text in tokenizer.batch_decode(kept, skip_special_tokens=True)]


def _rows(asked: Sequence[Asked], said: Sequence[str | None], right: Sequence[bool]) -> list[Measured]:
    found = [
        _mean("exact_match", [float(one) for one in right]),
        _mean("answered", [float(one is not None) for one in said]),
    ]
    domains = sorted({one.question.domain for one in asked})
    for domain in domains if len(domains) > 1 else ():
        here = [float(ok) for ok, one in zip(right, asked, strict=True) if one.question.domain == domain]
        found.append(_mean(f"domain/{domain}/exact_match", here))
    return found


def _mean(metric: str, values: Sequence[float]) -> Measured:
    if not values:
        return Measured(metric, math.nan, "fraction", 0)
    told = torch.tensor(values, dtype=torch.float64).numpy()
    return Measured(
        metric,
        float(told.mean()),
        "fraction",
        len(values),
        *resampled(len(values), lambda drawn: float(told[drawn].mean())),
    )
