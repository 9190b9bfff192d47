"""A text in the tokens of two tokenizers as a batch, and models to say something about it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from distill.alignment.alignment import Alignment
from distill.data.encode import Marks
from distill.data.spelling import spelling
from distill.data.text import TextData
from distill.folders import known_ids
from distill.models import answer
from distill.signals.dense import Dense
from distill.types import Batch, Head, Outputs

TEXT = "The teacher said: the student reads. naïve théâtre 日本語\n  def teach(text): return text  # " * 3


def paired(folder: Path, student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, **more) -> TextData:
    """A small corpus, in the student's tokens, the teacher's beside."""
    folder.mkdir(exist_ok=True)
    for index in range(8):
        (folder / f"{index}.txt").write_text(f"{index} {TEXT[index:]} {'text ' * index}", encoding="utf-8")
    options = {"sequence_length": 24, "batch_size": 3, "validation": 0.2, "test": 0.2, **more}
    data = TextData(path=str(folder), **options)
    data.prepare(student)
    data.pair(teacher)
    return data


@dataclass
class Sides:
    """Random logits of both sides of a batch; float64."""

    batch: Batch
    student: Tensor
    teacher: Tensor

    @classmethod
    def of(cls, batch: Batch, student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, seed: int = 0):
        assert batch.spans is not None
        generator = torch.Generator().manual_seed(seed)

        def drawn(rows: int, tokenizer: PreTrainedTokenizerBase) -> Tensor:
            return 2 * torch.randn(rows, known_ids(tokenizer), generator=generator, dtype=torch.float64)

        return cls(batch, drawn(batch.tokens, student), drawn(batch.spans.teacher_targets.numel(), teacher))

    @property
    def signal(self) -> Dense:
        return Dense(self.teacher)

    @property
    def outputs(self) -> Outputs:
        """The student's logits as states before a head that leaves them as they are."""
        return Outputs(self.student, Head(torch.eye(self.student.shape[1], dtype=torch.float64)))

    def pair(self, alignment: Alignment, temperature: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """(log p, log q, heard) of the whole batch."""
        signal = alignment.align(self.signal, self.batch)
        assert signal is not None
        told = signal.chunk(slice(0, self.batch.tokens))
        heard = signal.heard(told)
        everywhere = torch.ones(self.batch.tokens, dtype=torch.bool)
        return *signal.pair(told, self.student, temperature), everywhere if heard is None else heard


def prepared(alignment: Alignment, student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase) -> Alignment:
    ends = Marks.of(student).end, Marks.of(teacher).end
    alignment.prepare(spelling(student, ends[0]), spelling(teacher, ends[1]))
    return alignment


def nats(model, batch: Batch) -> Tensor:
    """(N,) of a model on its own tokens."""
    told = answer(model, batch.inputs, batch.positions)
    return -told.head.logits(told.hidden).log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
