"""What every way of making a student is: a recipe that builds a transformers model for a tokenizer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.types import CAUSAL, Batch, Family, ModelShape, Task

Calibration = Callable[[], Iterator[Batch]]
"""Batches of training text from the first on, the same at every call; nothing is read before it is called."""


class Student(ABC):
    """``build`` makes the model; it draws every random number from torch's global generator, which the caller seeds,
    so that a control built from the same recipe and seed has the same initial weights.

    Attributes:
        families: what it can make.
        task: what the data wants; ``build`` and ``shape`` answer for it.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"causal"})
    task: Task = CAUSAL

    def of(self, task: Task) -> Self:
        """The same recipe for what the data wants.

        Raises:
            BadInput: it makes no such model.
        """
        if task.family not in self.families:
            reason = f"makes {', '.join(sorted(self.families))} models, and the data wants {task.family}"
            raise BadInput("student", reason, value=type(self).__name__, remedy="distill list students")
        self.task = task
        return self

    def see(self, text: Calibration) -> None:
        """Be told, before ``build``, where training text is to be had, for a recipe that looks at activations."""
        return

    @abstractmethod
    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The student in training mode, in float32 unless the recipe says otherwise."""

    @abstractmethod
    def shape(self, vocabulary: int) -> ModelShape:
        """The sizes that ``build`` would give, without making a weight.

        Args:
            vocabulary: ids of the tokenizer, for a student that takes its vocabulary from there.
        """
