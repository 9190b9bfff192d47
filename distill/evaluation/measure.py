"""What every measure is. A new measure is one file with one of these four, and its line in ``conf/measure``.

A ``TokenMeasure`` reads log-probabilities that are made once for all of them; a ``ModelMeasure`` runs the models
itself, all of them side by side, so that what is compared was measured in the same minutes; a ``PromptMeasure`` lets
them write after the same beginnings; a ``SampleMeasure`` lets them work on the held-out samples of a data module, as
they do where they are used. Each says for which kinds of data it is made, and is left out elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from distill.data.module import DataModule
from distill.data.prompts import Prompt
from distill.evaluation.subject import Subject


@dataclass(frozen=True)
class Measured:
    """A ``rows.Row`` without what the evaluation knows: subject, split, step and seed."""

    metric: str
    value: float
    unit: str
    n: int = 1
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tokens:
    """C held-out tokens as a subject sees them; no more of the (N, V) ever exists.

    Attributes:
        log_q: (C, V) the subject's log-probabilities, float32 or wider.
        targets: (C,) int64.
        owners: (C,) int64, the sample of each token, counted through the whole split.
        bytes: UTF-8 bytes that the targets of the whole batch spell, told with its first tokens and 0 after.
        log_p: (C, V) the teacher's, if there is one.
        domains: C names of where each is from; empty where nobody says.
        places: (C,) int64, how many supervised tokens of its sample stand before each; None where nobody counted.
        documents: (C,) int64, the document of each in the split; None where a sample is a document of its own.
    """

    log_q: Tensor
    targets: Tensor
    owners: Tensor
    bytes: int = 0
    log_p: Tensor | None = None
    places: Tensor | None = None
    domains: tuple[str, ...] = ()
    documents: Tensor | None = None

    @property
    def drawn(self) -> Tensor:
        """(C,) what a bootstrap draws whole: the document of each, for tokens of one are not independent."""
        return self.owners if self.documents is None else self.documents

    @property
    def count(self) -> int:
        """C."""
        return self.targets.numel()

    @cached_property
    def nats(self) -> Tensor:
        """(C,) −log q of the targets."""
        return -self.log_q.gather(1, self.targets[:, None])[:, 0]

    @cached_property
    def top(self) -> tuple[Tensor, Tensor]:
        """((C,) log-probability, (C,) id) of the likeliest token."""
        values, ids = self.log_q.max(-1)
        return values, ids


class Measure:
    """What all four have.

    Attributes:
        data_kinds: of data (``DataModule.kind``) that it is made for; empty: for all.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset()

    def suits(self, kind: str) -> bool:
        return not self.data_kinds or kind in self.data_kinds


class TokenMeasure(Measure, ABC):
    """Sees every held-out token once. What a config makes is the empty measure; each subject gets a copy of it.

    Attributes:
        needs: what it asks of a teacher; without such a teacher it is left out.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def begin(self, subject: Subject) -> None:
        """Hear whose tokens they will be, before the first of them."""
        return

    @abstractmethod
    def update(self, tokens: Tokens) -> None:
        """Take in some tokens."""

    @abstractmethod
    def rows(self) -> list[Measured]:
        """What came out, once all tokens were seen."""

    def lines(self) -> list[dict[str, Any]]:
        """What a reader should see besides, for ``samples.jsonl``."""
        return []


class ModelMeasure(Measure, ABC):
    """Measures models, not text."""

    @abstractmethod
    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        """Rows by the subject's name; all models are in evaluation mode and no gradient is kept."""


@dataclass(frozen=True)
class Worked:
    """What came of working on samples: rows by the subject's name, and lines for ``samples.jsonl``, each with its
    ``subject`` and whatever else a reader should see. ``absent``: rows by the name of whoever is no subject, since only
    what it said of the samples is at hand."""

    rows: Mapping[str, list[Measured]]
    samples: list[dict[str, str]]
    absent: Mapping[str, list[Measured]] = field(default_factory=dict)


class SampleMeasure(Measure, ABC):
    """Lets models work on held-out samples: classify, translate, transcribe, answer."""

    @abstractmethod
    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        """
        Args:
            subjects: all in evaluation mode, no gradient is kept.
            data: prepared, of one of its ``data_kinds``: what that module offers beside the contract may be used.
        """


class PromptMeasure(Measure, ABC):
    """Measures what models write, or would write, after the beginnings of held-out documents.

    Attributes:
        prompts: how many beginnings it wants.
    """

    prompts: int

    @abstractmethod
    def measure(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> Mapping[str, list[Measured]]:
        """Rows by the subject's name.

        Args:
            subjects: all in evaluation mode, no gradient is kept; ``told_apart`` finds the teacher among them.
            prompts: in the students' tokens; as many as there are, at most ``prompts``.
        """


def told_apart(subjects: Sequence[Subject]) -> Subject | None:
    """The teacher, where it is a subject that speaks in the students' tokens."""
    return next((one for one in subjects if one.name == "teacher" and not one.taught), None)
