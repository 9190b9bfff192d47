"""A student that knows the old tasks, and can copy an answer that stands before its eyes: all that self-distillation
presumes of a language model. Trained once for each seed and kept in the cache, so that every arm begins with the same
weights.
"""

import hashlib
import random
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.data.encode import Marks
from distill.data.tokenizer import fingerprint
from distill.folders import load_causal_lm
from distill.ranges import Count, Natural, Positive
from distill.storage import write_folder
from distill.students.from_scratch import FromScratch
from distill.students.student import Student
from distill.training.optim import AdamW
from distill.types import ModelShape
from experiments.self_distillation_2026.tasks import LENGTH, asked, drawn, known

FORMAT = 2
SMOOTHING = 0.1
"""Of the labels: a student that is certain of a wrong word is not moved by reverse KL, and no language model is."""


class Schooled(Student):
    """A small decoder taught the old tasks and to answer a question as the line before it does.

    Half of the rows are of old tasks (``s:abcd=bcde``); half are ``k:abcd=wxyz``, a line end and ``k:abcd=`` again,
    with any other letter for the task and any answer, so that the answer is the one that was shown. Answers alone are
    learnt.

    Args:
        layers, width, heads: of the decoder, as in ``from_scratch``.
        steps: optimiser steps.
        batch_size: rows of each.
        learning_rate: peak.
        seed: of the run: another seed begins elsewhere and reads other rows.
        cache: where the weights are kept.
    """

    def __init__(
        self,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        steps: Count = 1500,
        batch_size: Count = 64,
        learning_rate: Positive = 4e-3,
        seed: Natural = 0,
        cache: str = ".",
    ) -> None:
        self.source = FromScratch(layers, width, heads)
        self.steps, self.batch_size, self.learning_rate, self.seed = steps, batch_size, learning_rate, seed
        self.cache = Path(cache).expanduser() / "warm"

    def shape(self, vocabulary: int) -> ModelShape:
        return self.source.shape(vocabulary)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        told = [FORMAT, sorted(map(str, vars(self.source).items())), self.steps, self.batch_size, self.learning_rate]
        told += [self.seed, fingerprint(tokenizer)]
        folder = self.cache / hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                write_folder(folder, self._schooled(self.source.build(tokenizer), tokenizer).save_pretrained)
        return load_causal_lm(str(folder)).train()

    def _schooled(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        optimizer, schedule = AdamW(self.learning_rate, warmup=50).build(model.named_parameters(), self.steps)
        chance, marks = random.Random(self.seed), Marks.of(tokenizer)
        for step in range(self.steps):
            make = known if step % 2 else shown
            rows = [make(chance) for _ in range(self.batch_size)]
            ids = spelled([question + answer for question, answer in rows], tokenizer, marks)  # (B, S)
            logits = model(input_ids=ids[:, :-1]).logits[:, -(LENGTH + 1) :]  # (B, L + 1, V)
            targets = ids[:, -(LENGTH + 1) :]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return model


def shown(chance: random.Random) -> tuple[str, str]:
    """A question behind itself and its answer, and that answer."""
    question, answer = asked(chance.choice("abcdefghijklmnopqr"), drawn(chance)), drawn(chance)
    return f"{question}{answer}\n{question}", answer


def spelled(texts: list[str], tokenizer: PreTrainedTokenizerBase, marks: Marks) -> Tensor:
    """(B, S) rows of one length, marks included."""
    begin = [] if marks.begin is None else [marks.begin]
    return torch.tensor([[*begin, *tokenizer(one).input_ids, marks.end] for one in texts])
