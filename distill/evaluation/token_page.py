"""Token by token where a student differs from its teacher: what the report's page of tokens is made of."""

from typing import Any, ClassVar

from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.evaluation.subject import Subject
from distill.ranges import Count

DIGITS = 4
"""Of a probability: as many as a reader looks at."""


class TokenPage(TokenMeasure):
    """The first held-out samples, token by token: divergence from the teacher, and the likeliest tokens of both.

    Formula: shown_kl_to_teacher = mean KL(p ‖ q) over the tokens shown; the page's numbers sum to it times their count

    Args:
        samples: how many are shown.
        tokens: of each, at most.
        top: likeliest tokens of each side.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, samples: Count = 2, tokens: Count = 64, top: Count = 5) -> None:
        self.samples, self.limit, self.top = samples, tokens, top
        self.subject: Subject | None = None
        self.shown: dict[int, list[dict[str, Any]]] = {}

    def begin(self, subject: Subject) -> None:
        self.subject = subject

    def update(self, tokens: Tokens) -> None:
        assert tokens.log_p is not None
        rows = (tokens.owners < self.samples).nonzero()[:, 0]
        if self.subject is None or self.subject.name == "teacher" or not rows.numel():
            return
        log_p, log_q = tokens.log_p[rows], tokens.log_q[rows]
        divergences = forward_kl(log_p, log_q).double().tolist()
        sides = [self._likeliest(side) for side in (log_p, log_q)]
        chances = log_q.gather(1, tokens.targets[rows, None])[:, 0].exp().tolist()
        owners, targets = tokens.owners[rows].tolist(), tokens.targets[rows].tolist()
        for i, (owner, target) in enumerate(zip(owners, targets, strict=True)):
            told = self.shown.setdefault(owner, [])
            if len(told) < self.limit:
                chance = round(chances[i], DIGITS)
                token = {"text": self._text(target), "kl": divergences[i], "chance": chance}
                told.append({**token, "teacher": sides[0][i], "own": sides[1][i]})

    def rows(self) -> list[Measured]:
        told = [token["kl"] for sample in self.shown.values() for token in sample]
        return [Measured("shown_kl_to_teacher", sum(told) / len(told), "nats/token", len(told))] if told else []

    def lines(self) -> list[dict[str, Any]]:
        """For ``samples.jsonl``: one line a sample that is shown."""
        assert self.subject is not None
        return [{"subject": self.subject.name, "sample": owner, "tokens": told} for owner, told in self.shown.items()]

    def _likeliest(self, log: Tensor) -> list[list[list[Any]]]:
        """For each row [[text, probability], …], the likeliest first."""
        values, ids = log.topk(min(self.top, log.shape[-1]), dim=-1)
        pairs = zip(values.exp().tolist(), ids.tolist(), strict=True)
        return [
            [[self._text(token), round(p, DIGITS)] for p, token in zip(row, names, strict=True)] for row, names in pairs
        ]

    def _text(self, token: int) -> str:
        assert self.subject is not None
        return str(self.subject.tokenizer.decode([token]))
