"""Questions whose answers come with reasons: answers alone, reasons and answers as one text, or as two tasks.

    data = RationaleData(GSMSymbolic(2000), form="tasks", tokenizer=TrainedBPE(512))

Teacher and student see the same samples, so every objective on logits works on answers and reasons alike. Validation
and test are made of the samples that a student is used with: label samples, or whole texts for ``single``.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

from distill.data.answers import AnswerData, Laid, Shape
from distill.data.corpus import Corpus, Document, Tally, gather
from distill.data.domains import Domains
from distill.data.mixture import Mixture
from distill.data.questions.question import Gathered, Question, Reader, normal, said
from distill.data.spelled import Sample, Spelled
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput
from distill.ranges import Count, Fraction, Natural, NonNegative, Share

LABEL, RATIONALE = "label", "rationale"
UNEXPLAINED = "no_rationale"


@dataclass(frozen=True)
class Asked:
    """A test question as a model is asked it.

    Attributes:
        question: with its answer and rationales.
        prompt: after which a model answers.
        reasons: after which it gives its reasons; the same where both are one text, None where it never learnt to.
    """

    question: Question
    prompt: str
    reasons: str | None


class RationaleData(AnswerData):
    """Questions with answers and reasons.

    Formula: tasks: L = L_label + λ L_rationale, each the mean over its own tokens in the training text
    Source: Hsieh et al. (2023). Distilling Step-by-Step! arXiv:2305.02301, equation 3

    The paper has λ = 1. Its code computes α L_label + (1 − α) L_rationale with α = ½: half of the paper's total, so
    with AdamW the same direction and, through clipping and ε alone, not quite the same steps.

    Args:
        questions: where they come from.
        form: what is learnt: the ``label`` alone; reasons, then label, as a ``single`` text; or both as ``tasks`` that
            their prefixes tell apart.
        balance: of ``tasks``: each task's mean counts (the paper), or every token alike (``tokens``).
        rationale_weight: λ.
        label_prefix, rationale_prefix: of the two tasks.
        behind: what stands between a question and what is written.
        mark: what stands before the label in a single text.
        answer: a regular expression that finds the label in it; null takes the source's custom.
        rationales: of one question that are learnt at most.
        tokenizer: a recipe to train one on the training questions; null takes a model's own.
        share, validation, test: fractions of the questions, as in ``TextData``.
        sequence_length, truncated, batch_size, packing, seed, workers, evaluation_tokens: as in ``ChatData``.
        mixture, domain_weights, train_domains: as in ``ChatData``.
        cache: a folder for a trained tokenizer.
    """

    kind: ClassVar[str] = "rationale"

    def __init__(
        self,
        questions: Reader,
        form: Literal["label", "single", "tasks"] = "tasks",
        balance: Literal["tasks", "tokens"] = "tasks",
        rationale_weight: NonNegative = 1.0,
        label_prefix: str = "[label] ",
        rationale_prefix: str = "[rationale] ",
        behind: str = "\n",
        mark: str = "\n#### ",
        answer: str | None = None,
        rationales: Count = 1,
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.1,
        sequence_length: Count = 256,
        truncated: Fraction = 0.05,
        batch_size: Count = 8,
        packing: bool = True,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        mixture: Mixture | None = None,
        domain_weights: dict[str, float] | None = None,
        train_domains: list[str] | None = None,
        cache: str | None = None,
    ) -> None:
        shape = Shape(share, validation, test, sequence_length, batch_size, packing, seed, workers, evaluation_tokens,
                      truncated, Domains(mixture, domain_weights or {}, train_domains))  # fmt: skip
        super().__init__(shape, tokenizer, cache)
        self.questions, self.form, self.balance, self.most = questions, form, balance, rationales
        self.rationale_weight = rationale_weight
        self.prefixes = {LABEL: label_prefix, RATIONALE: rationale_prefix}
        self.behind, self.mark = behind, mark
        self.pattern = _pattern(answer or questions.pattern)
        self.gathered = Gathered()

    # ------------------------------------------------------------------------------------------------------- samples

    @cached_property
    def corpus(self) -> Corpus:
        tally = Tally()
        return gather(self.questions.source, self.gathered.add(self.questions.read(tally)), tally)

    def spelled(self, document: Document, training: bool) -> list[Spelled] | str:
        question = self.gathered.questions[document.text]
        chosen = question.rationales[: self.most]
        if self.form != "label" and not chosen:
            return UNEXPLAINED
        if self.form == "label":
            return [_learnt(question.text + self.behind, question.answer, LABEL)]
        if self.form == "single":
            begin, share = question.text + self.behind, 1 / len(chosen)
            texts = [_learnt(begin, one + self.mark + question.answer, "", share) for one in chosen]
            return texts if training else texts[:1]
        label = _learnt(self.prefixes[LABEL] + question.text + self.behind, question.answer, LABEL)
        begin = self.prefixes[RATIONALE] + question.text + self.behind
        reasons = [_learnt(begin, one, RATIONALE, self.rationale_weight / len(chosen)) for one in chosen]
        return [label, *(one for one in reasons if one.weight)] if training else [label]

    def whole(self, document: Document) -> str:
        """The same for every form, so that forms can be compared."""
        question = self.gathered.questions[document.text]
        begin = "".join(self.prefixes.values()) + question.text + self.behind
        return begin + "\n".join(question.rationales) + self.mark + question.answer

    def weighed(self, samples: list[Sample]) -> list[Sample]:
        """Formula: weight of a task's token = N / N_task, so Σ weight · loss / N is the sum of the tasks' means."""
        if self.form != "tasks" or self.balance == "tokens":
            return samples
        counts: Counter[str] = Counter()
        for sample in samples:
            counts[sample.task] += sample.tokens
        whole = sum(counts.values())
        return [replace(one, weight=one.weight * whole / counts[one.task]) for one in samples]

    def told(self) -> list[object]:
        rows = [[q.text, q.answer, list(q.rationales)] for q in self.gathered.questions.values()]
        content = hashlib.sha256(repr(rows).encode()).hexdigest()
        form = [self.form, self.balance, self.rationale_weight, self.most, self.behind, self.mark]
        return [content, *form, sorted(self.prefixes.items())]

    # -------------------------------------------------------------------------------------------------- being asked

    def asked(self, count: int) -> list[Asked]:
        """The first test questions, as the student is used."""
        self.prepare()
        laid: Laid = self._laid["test"]
        questions = [self.gathered.questions[document.text] for document in laid.documents[:count]]
        return [Asked(one, *self._prompts(one.text)) for one in questions]

    def _prompts(self, question: str) -> tuple[str, str | None]:
        if self.form == "tasks":
            return tuple(self.prefixes[task] + question + self.behind for task in (LABEL, RATIONALE))  # type: ignore[return-value]
        whole = question + self.behind
        return whole, (whole if self.form == "single" else None)

    def answered(self, written: str) -> str | None:
        """The label in what a model wrote after a prompt; None if there is none."""
        return said(written, self.pattern) if self.form == "single" else (normal(written) or None)


def _learnt(prompt: str, answer: str, task: str, weight: float = 1.0) -> Spelled:
    text = prompt + answer
    return Spelled(text, ((len(prompt), len(text)),), task=task, weight=weight)


def _pattern(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as problem:
        raise BadInput("data.answer", f"is no regular expression ({problem})", value=expression) from problem
