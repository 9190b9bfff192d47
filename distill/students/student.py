"""What every way of making a student is: a recipe that builds a transformers model for a tokenizer."""

from abc import ABC, abstractmethod

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.types import ModelShape


class Student(ABC):
    """``build`` makes the model; it draws every random number from torch's global generator, which the caller seeds,
    so that a control built from the same recipe and seed has the same initial weights."""

    @abstractmethod
    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The student in training mode, in float32 unless the recipe says otherwise."""

    @abstractmethod
    def shape(self, vocabulary: int) -> ModelShape:
        """The sizes that ``build`` would give, without making a weight.

        Args:
            vocabulary: ids of the tokenizer, for a student that takes its vocabulary from there.
        """
