"""Whose numbers they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.evaluation.timed import Timed


@dataclass(frozen=True)
class File:
    """An exported file, where that is what is measured.

    Attributes:
        bytes: of its weights on disk.
        resident: bytes that a process holds which loads it and reads so many tokens; None where nobody tells.
        answers: whether ``Subject.model`` is the file as it runs. Else it was widened to be read, and neither its speed
            nor its memory are the file's.
        clock: seconds to the first token after some ids, and of each of so many further, by a runtime of its own.
    """

    bytes: int
    resident: Callable[[int], int | None]
    answers: bool = True
    clock: Callable[[Sequence[int], int], Timed] | None = None


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
        file: of an exported file.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    vocabulary: int
    folder: Path | None = None
    step: int = 0
    taught: bool = False
    file: File | None = None
