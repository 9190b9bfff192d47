"""Off-policy: the text is the data's own."""

from typing import TYPE_CHECKING

from distill.rollouts.rollout import Rollout
from distill.types import Batch, Moment

if TYPE_CHECKING:
    from torch import nn


class Data(Rollout):
    """Train on the text as it stands in the data set."""

    def roll(self, batch: Batch, student: "nn.Module", moment: Moment) -> Batch:
        return batch
