"""Where a model begins to write: the samples of a batch, cut into a prompt and the data's own answer.

A sample whose supervision begins later than its first token brings its prompt along (chat, questions): all that stands
before the answer. Of several answers in one sample the last is written, behind the data's own earlier ones. Plain text
is supervised from its first token; there a number says how much of it is the prompt, and a sample that is shorter than
twice that is halved.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.rollouts.text import Text
from distill.types import Batch

READ = frozenset({"input_ids", "attention_mask", "position_ids"})


def begun(batch: Batch, prompt_length: int) -> list[Text]:
    """The samples as texts of the data's, on the CPU, in their order.

    Args:
        prompt_length: tokens of a prompt where the data has none.

    Raises:
        BadInput: the batch is no text of a decoder, or the teacher reads other tokens than the student.
    """
    if not batch.causal or not set(batch.inputs) <= READ:
        reason = f"models write after prompts of text alone, and this data shows {', '.join(sorted(batch.inputs))}"
        raise BadInput("rollout", reason, remedy="use rollout=data")
    if batch.spans is not None:
        reason = "what a student writes has no tokens of a teacher with another tokenizer"
        raise BadInput("rollout", reason, remedy="use rollout=data, or a teacher with the student's tokenizer")
    return list(_samples(batch, prompt_length))


def _samples(batch: Batch, prompt_length: int) -> Iterator[Text]:
    own, told = _Side(batch.inputs, batch.positions), _Side(batch.teacher_inputs, batch.teacher_positions)
    same = batch.teacher_inputs is batch.inputs or _equal(own, told)
    targets, domains = batch.targets.cpu(), batch.domains or ("",) * len(batch.samples)
    weights = None if batch.weights is None else batch.weights.cpu()
    bounds = torch.searchsorted(batch.owners.cpu(), torch.arange(len(batch.samples) + 1))
    for domain, start, stop in zip(domains, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if start == stop:
            continue
        positions = own.positions[start:stop]
        gaps = (positions[1:] - positions[:-1] != 1).nonzero()
        if len(gaps):  # the last answer alone
            start += int(gaps[-1]) + 1
        elif int(positions[0]) == own.begin(start):
            start += min(prompt_length, max((stop - start + 1) // 2, 1)) - 1
        prompt = own.upto(start)
        weight = 1.0 if weights is None else float(weights[start])
        yield Text(prompt, prompt if same else told.upto(start), targets[start:stop], domain=domain, weight=weight)


def _equal(own: "_Side", told: "_Side") -> bool:
    return torch.equal(own.ids, told.ids) and torch.equal(own.positions, told.positions)


class _Side:
    """What one of the two models is shown, on the CPU."""

    def __init__(self, inputs, positions: Tensor) -> None:
        ids = inputs["input_ids"].cpu()  # (B, S)
        self.width, self.ids, self.positions = ids.shape[1], ids.flatten(), positions.cpu()
        places, mask = inputs.get("position_ids"), inputs.get("attention_mask")
        self.places = None if places is None else places.cpu().flatten()
        self.left = None if mask is None else mask.cpu().long().argmax(1)  # (B,) padding before a row's text

    def begin(self, index: int) -> int:
        """Where the sample begins that the index-th supervised position lies in."""
        position = int(self.positions[index])
        if self.places is not None:
            return position - int(self.places[position])
        row = position // self.width
        return row * self.width + (0 if self.left is None else int(self.left[row]))

    def upto(self, index: int) -> Tensor:
        """(n,) ids from the sample's beginning to its index-th supervised position."""
        return self.ids[self.begin(index) : int(self.positions[index]) + 1]
