"""A student made of another: its recipe is taken as it is, and something is put into the model that it builds."""

from abc import abstractmethod
from typing import ClassVar, Self

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.families import AUTO
from distill.students.student import Calibration, Student
from distill.types import Family, ModelShape, Task


class Around(Student):
    """What all such students share.

    Args:
        source: any student.
    """

    families: ClassVar[frozenset[Family]] = frozenset(AUTO)

    def __init__(self, source: Student) -> None:
        self.source = source

    def of(self, task: Task) -> Self:
        self.source.of(task)
        return super().of(task)

    def see(self, text: Calibration) -> None:
        self.source.see(text)

    def shape(self, vocabulary: int) -> ModelShape:
        return self.source.shape(vocabulary)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        return self.changed(self.source.build(tokenizer))

    @abstractmethod
    def changed(self, model: PreTrainedModel) -> PreTrainedModel:
        """Put it in, in place; what ``plain`` cannot take out again is no part of it."""
