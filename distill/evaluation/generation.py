"""What models write, against what was to be written: quality of texts as a user would judge them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from distill.data.prompts import Prompt
from distill.errors import BadInput
from distill.evaluation import overlap
from distill.evaluation.bootstrap import resampled
from distill.evaluation.decoding import written
from distill.evaluation.measure import Measured, PromptMeasure
from distill.evaluation.subject import Subject
from distill.ranges import Count


@dataclass(frozen=True)
class Written:
    """One answer: ids and text, the reference, and whether the model ended it by itself."""

    ids: list[int]
    text: str
    reference: str
    ended: bool


class Generation(PromptMeasure):
    """Greedy answers against references: exact match, parsed accuracy, ROUGE-L, BLEU, chrF, diversity, repetition.

    Formula: repetition_4 = mean share of a text's 4-grams that stood in it before; distinct_n = different n-grams /
        n-grams of all texts; accuracy_parsed = share whose parsed answer is the reference's; ended = share that the
        model ended by its end mark; length_ratio = Σ characters written / Σ of the references
    Source: Lin 2004 (ROUGE), https://aclanthology.org/W04-1013; Papineni et al. 2002 (BLEU),
        https://aclanthology.org/P02-1040; Popović 2015 (chrF), https://aclanthology.org/W15-3049; Li et al. 2016
        (distinct-n), https://arxiv.org/abs/1510.03055.

    Args:
        prompts: how many.
        new_tokens: written at most.
        path: a .jsonl of ``{"prompt": …, "answer": …}`` to be answered instead of beginnings of the test text, whose
            reference is how the document goes on.
        answer: a regular expression that finds the answer in a text and in its reference, such as ``####\\s*(\\S+)``;
            its last match counts. None measures no accuracy.

    Raises:
        BadInput: the expression or the file cannot be used.

    Intervals: bootstrap over prompts, of corpus scores too. Caveat: of a language model's continuation, overlap with
    how a document really went on says little by itself; compare subjects.
    """

    def __init__(
        self, prompts: Count = 32, new_tokens: Count = 48, path: str | None = None, answer: str | None = None
    ) -> None:
        self.prompts, self.new_tokens, self.path = prompts, new_tokens, path
        self.parser = None if answer is None else overlap.parser(answer)

    def measure(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> Mapping[str, list[Measured]]:
        asked = [(one.text, one.continuation) for one in prompts] if self.path is None else self._read(Path(self.path))
        return {subject.name: self.rows([self._written(subject, *one) for one in asked]) for subject in subjects}

    def rows(self, texts: Sequence[Written]) -> list[Measured]:
        """Of the answers of one subject."""
        if not texts:
            return []
        single = [
            ("exact_match", [overlap.exact(one.text, one.reference) for one in texts], "fraction"),
            ("ended", [float(one.ended) for one in texts], "fraction"),
            ("generated_tokens", [float(len(one.ids)) for one in texts], "count"),
            ("repetition_4", [overlap.repeated(one.ids) for one in texts], "fraction"),
        ]
        if self.parser is not None:
            single.append(("accuracy_parsed", [self._right(one) for one in texts], "fraction"))
        if overlap.installed():
            found = overlap.rouge_l([one.text for one in texts], [one.reference for one in texts])
            single.append(("rouge_l", found, "fraction"))
        rows = [_mean(name, values, unit) for name, values, unit in single]
        return rows + _whole(texts)

    def _right(self, one: Written) -> float:
        assert self.parser is not None
        expected = overlap.answer(one.reference, self.parser)
        return float(expected is not None and overlap.answer(one.text, self.parser) == expected)

    def _written(self, subject: Subject, prompt: str, reference: str) -> Written:
        tokenizer = subject.tokenizer
        ids = torch.tensor([tokenizer(prompt).input_ids or [0]], device=subject.model.device)  # (1, S)
        longest = getattr(subject.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        room = self.new_tokens if longest is None else min(self.new_tokens, longest - ids.shape[1])
        end = tokenizer.eos_token_id
        found = [] if room < 1 else written(subject, ids, room, end if isinstance(end, int) else None)
        return Written(found, str(tokenizer.decode(found, skip_special_tokens=True)), reference, len(found) < room)

    def _read(self, path: Path) -> list[tuple[str, str]]:
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            return [(str(one["prompt"]), str(one["answer"])) for one in lines[: self.prompts]]
        except (OSError, ValueError, KeyError, TypeError) as problem:
            reason = f'is no .jsonl of {{"prompt", "answer"}} ({type(problem).__name__}: {problem})'
            raise BadInput("measure.prompt_measures.generation.path", reason, value=str(path)) from problem


def _mean(name: str, values: Sequence[float], unit: str) -> Measured:
    told = np.asarray(values)
    ends = resampled(len(told), lambda drawn: float(told[drawn].mean()))
    return Measured(name, float(told.mean()), unit, len(told), *ends)


def _whole(texts: Sequence[Written]) -> list[Measured]:
    """Numbers of the whole set, which are no means of single ones."""
    statistics: list[tuple[str, Callable[[Sequence[Written]], float], str, int]] = [
        ("distinct_1", lambda drawn: overlap.distinct([one.ids for one in drawn], 1), "fraction", 0),
        ("distinct_2", lambda drawn: overlap.distinct([one.ids for one in drawn], 2), "fraction", 0),
        ("length_ratio", _length_ratio, "fraction", 1000),
    ]
    if overlap.installed():
        statistics += [(name, _corpus(name), "count", 100) for name in ("bleu", "chrf")]
    rows = []
    for name, statistic, unit, resamples in statistics:
        ends: tuple[float, float] | tuple[None, None] = (None, None)  # a resample repeats texts: it is less diverse
        if resamples:
            ends = resampled(len(texts), lambda drawn, of=statistic: of([texts[i] for i in drawn]), resamples)
        rows.append(Measured(name, statistic(texts), unit, len(texts), *ends))
    return rows


def _corpus(name: str) -> Callable[[Sequence[Written]], float]:
    return lambda drawn: overlap.corpus_scores([one.text for one in drawn], [one.reference for one in drawn])[name]


def _length_ratio(texts: Sequence[Written]) -> float:
    reference = sum(len(one.reference) for one in texts)
    return sum(len(one.text) for one in texts) / reference if reference else float("nan")
