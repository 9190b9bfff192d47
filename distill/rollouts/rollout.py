"""What every rollout is: it may replace the text of a batch before anybody answers it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from distill.rollouts.language import Language
from distill.types import Batch, Moment, Outputs, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Teaching = Callable[[], "PreTrainedModel | None"]
"""The teacher's model, loaded when it is asked for; None of a teacher that has none here."""


class Rollout(ABC):
    """Batch -> the batch to train on.

    Attributes:
        writes: text comes that the data did not hold; read as text, before anything is built.
        written: tokens that models have written so far on this rank.
    """

    writes: ClassVar[bool] = False
    written: int = 0

    @abstractmethod
    def roll(self, batch: Batch, student: "PreTrainedModel", moment: Moment) -> Batch:
        """The batch to train on: the same one, or one with text written by a model.

        Every draw is a function of the state that torch's global generator was seeded with, which it leaves alone:
        the student's dropout is the same whoever writes.
        """

    def meet(self, language: Language, teacher: Teaching) -> None:
        """Hear of the tokens and of the teacher, once, before the first step."""
        return

    def hear(self, nats_per_token: float) -> None:
        """Hear how the student did on the validation text."""
        return

    def watch(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> None:
        """Hear what student and teacher said of the text just given, at the steps that are logged."""
        return

    def account(self) -> Mapping[str, float]:
        """Numbers about the last text, by name, for the log."""
        return {}

    def units(self) -> Mapping[str, str]:
        """Of the account, where they are not nats a token."""
        return {}

    def cost(self, student: float, teacher: float) -> float:
        """FLOPs of writing, per supervised token, expected over a training; reading the prompts is left out.

        Args:
            student, teacher: FLOPs of a forward pass a token.
        """
        return 0.0

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of it: plain values and tensors."""
        return {"written": self.written}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.written = state["written"]
