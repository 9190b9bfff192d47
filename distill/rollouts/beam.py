"""Beam search over several prompts at once, with one cache.

Left out on purpose: penalties and early stopping by a bound, which change what is found in ways no paper states.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.rollouts.pen import Pen


@dataclass(frozen=True)
class Hypothesis:
    """(t,) tokens, their log-probability, and whether it ended."""

    tokens: Tensor
    log_probability: float
    ended: bool

    def score(self, power: float) -> float:
        """log p / t^power: 0 prefers short texts as the model does, 1 the mean."""
        return self.log_probability / len(self.tokens) ** power


@torch.no_grad()
def search(pen: Pen, count: int, beams: int, length: int, ends: frozenset[int], power: float) -> list[list[Hypothesis]]:
    """The best hypotheses of each prompt, best first, at most ``beams``.

    Formula: at every place the K continuations of highest Σ log p are kept; one that ends leaves the search and is
        compared with the others by Σ log p / t^power
    Source: Graves (2012), arXiv:1211.3711, section 3; length as in Wu et al. (2016), arXiv:1609.08144, without its 5.

    Args:
        pen: has read nothing yet.
        count: B prompts.
        beams: K; no more than half of the vocabulary.
        length: tokens at most.
        ends: ids that end a text.
        power: of the length.
    """
    done: list[list[Hypothesis]] = [[] for _ in range(count)]
    scores, tokens = pen.next().topk(beams, dim=-1)  # (B, K)
    pen.keep(torch.arange(count, device=pen.device).repeat_interleave(beams))
    written = tokens.reshape(-1, 1)  # (B K, 1)
    final = torch.tensor(sorted(ends), device=pen.device)
    for place in range(length):
        last, ended = place + 1 == length, torch.isin(tokens, final)  # (B, K)
        for b, k in (torch.isfinite(scores) & (ended | last)).nonzero().tolist():
            own = written[b * beams + k]
            done[b].append(Hypothesis(own.cpu(), float(scores[b, k]), bool(ended[b, k])))
        scores = scores.masked_fill(ended, -torch.inf)
        if last or all(len(one) >= beams for one in done) or not torch.isfinite(scores).any():
            break
        log_p = pen.next(tokens.reshape(-1))  # (B K, V)
        total = scores[:, :, None] + log_p.view(count, beams, -1)
        scores, flat = total.view(count, -1).topk(beams, dim=-1)
        parents, tokens = flat // log_p.shape[-1], flat % log_p.shape[-1]
        rows = (torch.arange(count, device=pen.device)[:, None] * beams + parents).reshape(-1)
        pen.keep(rows)
        written = torch.cat([written[rows], tokens.reshape(-1, 1)], dim=1)
    return [sorted(one, key=lambda each: -each.score(power))[:beams] for one in done]
