"""A student that has learnt the text by itself first: where on-policy distillation begins in every paper of its kind.

Trained once for each seed and kept in the cache, so that all arms of a sweep, and their controls, begin with the same
weights. It lives here because a library's student should be an ordinary training run; here that run is a dozen lines.
"""

import hashlib
from pathlib import Path

import torch
from filelock import FileLock
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.data.tokenizer import fingerprint
from distill.folders import load_causal_lm
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.models import answer
from distill.ranges import Count, Natural, Positive
from distill.storage import write_folder
from distill.students.from_scratch import FromScratch
from distill.students.student import Calibration, Student
from distill.training.optim import AdamW
from distill.types import ModelShape, Moment

FORMAT = 1


class Warm(Student):
    """A small decoder after some steps on the text alone.

    Args:
        layers, width, heads: of the decoder, as in ``from_scratch``.
        steps: optimiser steps, of one micro-batch each.
        learning_rate: peak.
        seed: of the run: another seed begins elsewhere and reads in another order.
        cache: where the warmed weights are kept.
    """

    def __init__(
        self,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        steps: Count = 500,
        learning_rate: Positive = 4e-3,
        seed: Natural = 0,
        cache: str = ".",
    ) -> None:
        self.source = FromScratch(layers, width, heads)
        self.steps, self.learning_rate, self.seed = steps, learning_rate, seed
        self.cache = Path(cache).expanduser() / "warm"
        self._text: Calibration | None = None

    def see(self, text: Calibration) -> None:
        self._text = text

    def shape(self, vocabulary: int) -> ModelShape:
        return self.source.shape(vocabulary)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        assert self._text is not None, "a run says where its text is before it builds a student"
        first = next(self._text())
        told = [FORMAT, sorted(map(str, vars(self.source).items())), self.steps, self.learning_rate, self.seed]
        told += [fingerprint(tokenizer), *first.samples]
        folder = self.cache / hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                model = self._warmed(self.source.build(tokenizer), self._text)
                write_folder(folder, model.save_pretrained)
        return load_causal_lm(str(folder)).train()

    def _warmed(self, model: PreTrainedModel, text: Calibration) -> PreTrainedModel:
        optimizer, schedule = AdamW(self.learning_rate, warmup=20).build(model.named_parameters(), self.steps)
        objective = Objective({"ce": CrossEntropy()})
        for step, batch in zip(range(self.steps), text(), strict=False):
            outputs = answer(model, batch.inputs, batch.positions)
            total = objective(outputs, None, batch, Moment(step, self.steps)).total
            (total / batch.tokens).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return model
