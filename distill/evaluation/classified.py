"""How well a classifier tells its classes apart; with ``Calibration``, whether it knows how well."""

from typing import ClassVar

import torch
from torch import Tensor

from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens


class Classified(TokenMeasure):
    """Accuracy with an interval, and the mean over classes of F1, precision and recall.

    Formula: accuracy = mean [argmax q = y]; f1_c = 2 tp / (2 tp + fp + fn) of class c; macro_f1 = mean over classes
        that have a sample or were predicted
    Source: Opitz and Burst 2019, Macro F1 and Macro F1, https://arxiv.org/abs/1911.03347, equation 3 (the mean of F1s,
        not the F1 of means).

    Caveat: scikit-learn and torchmetrics agree where every class occurs; torchmetrics too leaves out classes without
    sample and prediction. The interval of accuracy says nothing of another seed.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"classification"})

    def __init__(self) -> None:
        self.right = SampleMean()
        self.confusion = torch.zeros(0, 0, dtype=torch.int64)  # (V, V) true, predicted

    def update(self, tokens: Tokens) -> None:
        size, (_, found) = tokens.log_q.shape[-1], tokens.top
        if not self.confusion.numel():
            self.confusion = torch.zeros(size, size, dtype=torch.int64)
        self.right.add(found == tokens.targets, tokens.drawn)
        places = (tokens.targets * size + found).cpu()
        self.confusion += torch.bincount(places, minlength=size * size).view(size, size)

    def rows(self) -> list[Measured]:
        n = self.right.n
        precision, recall, f1 = _by_class(self.confusion.double())
        return [
            Measured("accuracy", self.right.value, "fraction", n, *self.right.interval()),
            Measured("macro_f1", f1, "fraction", n),
            Measured("macro_precision", precision, "fraction", n),
            Measured("macro_recall", recall, "fraction", n),
        ]


def _by_class(confusion: Tensor) -> tuple[float, float, float]:
    """(V, V) -> means over classes that occur on either side; 0 of 0 is 0."""
    hits, told, true = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    seen = (told + true) > 0
    parts = (hits / told.clamp(min=1), hits / true.clamp(min=1), 2 * hits / (told + true).clamp(min=1))
    first, second, third = (float(part[seen].mean()) if seen.any() else float("nan") for part in parts)
    return first, second, third
