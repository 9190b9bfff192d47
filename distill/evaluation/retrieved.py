"""What vectors of texts are good for: finding a text's partner among all others, and saying how alike two texts are."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from distill.data.module import DataModule
from distill.data.sentences import SentenceData
from distill.evaluation.bootstrap import resampled
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject
from distill.losses.sentence_pairs import SentencePairs
from distill.losses.states.compared import directions
from distill.losses.states.pooled import pooled
from distill.models import answer
from distill.ranges import Count, Natural
from distill.types import Outputs

RESAMPLES = 400
SEED = 0
"""Of the pairs of texts whose likeness is compared."""


class Retrieved(SampleMeasure):
    """How often a held-out text's partner is found among the partners of all, and whether a model's cosines are ranked
    as its teacher's are.

    Formula: rank_i = 1 + the number of j with cos(a_i, b_j) > cos(a_i, b_i); recall_at_k = mean [rank ≤ k];
        mrr = mean 1 / rank; spearman_to_teacher = Spearman's ρ of both models' cosines of ``compared`` pairs of texts,
        drawn once, and of the data's own; nats_per_token = the contrastive loss of pairs, a batch at a time
    Source: Muennighoff et al. 2023, MTEB, https://arxiv.org/abs/2210.07316 (retrieval and similarity of vectors by
        cosine); Voorhees 1999, The TREC-8 question answering track report (mean reciprocal rank)

    Intervals: bootstrap over texts.

    Args:
        samples: pairs of the test part at most.
        compared: pairs of texts whose likeness is compared.
        at: the larger k of the two recalls; the other is 1.
        shown: searches in the report, with what each subject found first.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"sentences"})

    def __init__(self, samples: Count = 2000, compared: Count = 5000, at: Count = 10, shown: Natural = 4) -> None:
        self.samples, self.compared, self.at, self.shown = samples, compared, at, shown

    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        assert isinstance(data, SentenceData), "data_kinds says so"
        rows = list(data.rows["test"][: self.samples])
        vectors = {one.name: _vectors(one, data, self.samples) for one in subjects}
        taught = self._likeness(*vectors["teacher"][:2]) if "teacher" in vectors else None
        found: dict[str, list[Measured]] = {}
        texts: list[dict[str, str]] = []
        for name, (first, second, nats) in vectors.items():
            scores = first @ second.T  # (n, n)
            ranks = 1 + (scores > scores.diagonal()[:, None]).sum(1).double().cpu().numpy()
            told = [Measured("nats_per_token", nats, "nats/token", 2 * len(rows))]
            told += [_mean("recall_at_1", ranks <= 1), _mean(f"recall_at_{self.at}", ranks <= self.at)]
            told.append(_mean("mrr", 1 / ranks))
            if taught is not None:
                rho = spearman(self._likeness(first, second), taught)
                told.append(Measured("spearman_to_teacher", rho, "1", len(taught)))
            found[name] = told
            best = scores[: self.shown].argmax(1).tolist()
            texts += [
                {"subject": name, "prompt": f"{row.fields[0]}  [{row.fields[1]}]", "text": rows[place].fields[1]}
                for row, place in zip(rows, best, strict=False)
            ]
        return Worked(found, texts)

    def _likeness(self, first: Tensor, second: Tensor) -> Tensor:
        """Cosines of the data's pairs and of drawn ones, the same for every model."""
        texts = torch.cat([first, second])  # (2 n, D)
        draws = np.random.default_rng(SEED).integers(len(texts), size=(2, self.compared))
        one, other = (texts[torch.as_tensor(side, device=texts.device)] for side in draws)
        return torch.cat([(first * second).sum(1), (one * other).sum(1)])


def spearman(one: Tensor, other: Tensor) -> float:
    """Spearman's ρ: the correlation of ranks; equal numbers take their ranks as they stand."""
    ranks = torch.stack([values.argsort().argsort().double() for values in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])


def _vectors(subject: Subject, data: SentenceData, samples: int) -> tuple[Tensor, Tensor, float]:
    """((n, D) of first texts, (n, D) of second texts, both of length 1; the loss of pairs, a mean over texts)."""
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    nats, texts, loss = 0.0, 0, SentencePairs()
    for batch in data.test_batches():
        batch = batch.to(subject.model.device)
        told: Outputs = answer(subject.model, batch.inputs, batch.positions)
        count = len(batch.samples)
        vectors = directions(pooled(told.hidden, batch.owners, count))
        first_token = torch.searchsorted(batch.owners, torch.arange(count, device=batch.owners.device))
        nats += float(loss(told, None, batch)[first_token].sum())
        texts += count
        for side, part in zip(sides, vectors.chunk(2), strict=True):
            side.append(part)
        if texts >= 2 * samples:
            break
    first, second = (torch.cat(side)[:samples] for side in sides)
    return first, second, nats / texts


def _mean(name: str, each: np.ndarray) -> Measured:
    values = each.astype(float)
    low, high = resampled(len(values), lambda drawn: float(values[drawn].mean()), RESAMPLES)
    return Measured(name, float(values.mean()), "fraction", len(values), low, high)
