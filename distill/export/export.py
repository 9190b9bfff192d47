"""What every export is: it writes a student as files that run without this package, and runs those files again.

A new format is one file with one of these and a yaml in ``conf/export``. The verb gives it a draft folder, re-checks
what it wrote there, adds the card, and only then lets the folder appear under its name.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from distill.evaluation.measure import Measured
from distill.evaluation.subject import Subject
from distill.export.onnx_runner import FACTS
from distill.export.runner import Runner
from distill.ranges import Fraction, NonNegative, Positive


class Bound:
    """How far the file may be from the student on held-out text; beyond any of the three the export fails.

    Formula: KL(student ‖ file) ≤ ``kl`` nats per token; share of tokens with the same likeliest one ≥ ``agreement``;
        bits per byte of the file − the student's ≤ ``bits_per_byte``

    Args:
        kl: mean over tokens, at temperature 1.
        agreement: top-1.
        bits_per_byte: that the file may be worse by.
    """

    def __init__(self, kl: Positive, agreement: Fraction, bits_per_byte: NonNegative) -> None:
        self.kl, self.agreement, self.bits_per_byte = kl, agreement, bits_per_byte


@dataclass(frozen=True)
class Opened:
    """An exported file, read back.

    Attributes:
        runner: what its logits come from.
        how: who ran it, in words.
        clock: whose speed is the file's own, which that of a reader that widens it first is not; None if nobody's is.
    """

    runner: Runner
    how: str
    clock: Runner | None


class Export(ABC):
    """A format.

    Attributes:
        format: what ``export.json`` says it is.
        bound: what the re-check holds the file to.
    """

    format: ClassVar[str]
    bound: Bound

    @property
    @abstractmethod
    def label(self) -> str:
        """Format and precision, part of the folder's name: ``onnx-int8``."""

    @abstractmethod
    def check(self, student: Subject) -> None:
        """Refuse, with BadInput, what cannot be written: before anything is."""

    @abstractmethod
    def write(self, student: Subject, folder: Path) -> str:
        """Write everything that the format needs into an empty folder; the name of the file that holds the weights."""

    @abstractmethod
    def open(self, folder: Path, student: Subject) -> Opened:
        """Read back what ``write`` wrote."""

    @abstractmethod
    def usage(self, file: str) -> str:
        """How to run it without this package: Markdown, for the card."""

    def run_elsewhere(
        self, folder: Path, prompts: Sequence[Sequence[int]], expected: Sequence[Tensor]
    ) -> list[Measured]:
        """What a runtime of its own says, where ``open`` had to read the file with another; nothing by default.

        Args:
            folder: with the file in it.
            prompts: ids that a text begins with.
            expected: (V,) the student's log-probabilities of what follows each.
        """
        return []


def write_facts(export: Export, name: str, file: str, student: Subject, folder: Path) -> None:
    """``export.json``: what the folder is, for whoever opens it later."""
    config = student.model.config.get_text_config(decoder=True)
    facts = {
        "format": export.format,
        "label": export.label,
        "subject": name,
        "file": file,
        "vocabulary": student.vocabulary,
        "positions": getattr(config, "max_position_embeddings", None),
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def weights_in(folder: Path) -> list[Path]:
    """The files that hold weights."""
    return sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".onnx", ".data", ".gguf", ".pte"))
