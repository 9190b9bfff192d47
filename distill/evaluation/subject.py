"""Whose numbers they are."""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Subject:
    """A model to be measured.

    Attributes:
        name: in the rows: ``teacher``, ``student``, ``control``, ``control_compute``, or an exported file's.
        model: measured as if in evaluation mode; left in the mode it is in.
        tokenizer: decodes what it writes.
        vocabulary: ids that mean something, as many as a teacher of its tokens speaks of; the head is cut to them.
        folder: where its files lie, if they do.
        step: optimiser steps it was trained for here.
        taught: it reads the teacher's side of a batch (``Batch.taught``), where that has tokens of its own.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    vocabulary: int
    folder: Path | None = None
    step: int = 0
    taught: bool = False
