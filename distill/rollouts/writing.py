"""Write after prompts: several rows at once, by one or two models, each with its cache, until all have ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.rollouts.choices import Choice
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen


@dataclass(frozen=True)
class Draft:
    """What B rows came to, on the CPU.

    Attributes:
        tokens: (B, A) int64; what stands behind a row's length is no text.
        behaviour: (B, A) log-probability with which each was drawn.
        lengths: (B,) tokens written, the end mark among them.
        ended: (B,) bool, whether the writer ended it.
        entropy: (B, A) nats, of the first pen at each place.
        own: (B, A) bool, whether the token is the first pen's own.
    """

    tokens: Tensor
    behaviour: Tensor
    lengths: Tensor
    ended: Tensor
    entropy: Tensor
    own: Tensor

    @property
    def alive(self) -> Tensor:
        """(B, A) bool, where there is text."""
        return torch.arange(self.tokens.shape[1]) < self.lengths[:, None]


def room(models, prompts: Sequence[Sequence[Tensor]], length: int) -> int:
    """Tokens that can be written: ``length``, or fewer where a model has no more positions.

    Raises:
        BadInput: a prompt fills them all.
    """
    for model, given in zip(models, prompts, strict=True):
        limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        longest = max(len(prompt) for prompt in given)
        if limit is not None and longest >= limit:
            reason = f"a prompt of {longest:,} tokens leaves no room in the {limit:,} positions of the model"
            raise BadInput("rollout", reason, remedy="shorten the prompts")
        length = length if limit is None else min(length, limit - longest)
    return length


def _entropy(log_q: Tensor) -> Tensor:
    """(b, V) -> (b,) nats. Seven times faster than ``torch.special.entr``; an excluded token has no part in it."""
    return -torch.linalg.vecdot(log_q.exp(), log_q.clamp(min=-1e4)).float()


@torch.no_grad()
def write(pens: Sequence[Pen], choice: Choice, uniform: Tensor, language: Language) -> Draft:
    """Write until every row has ended or has as many tokens as there are uniform numbers.

    Args:
        pens: all with the same rows.
        choice: of the next token.
        uniform: (B, A, 2) float64.
        language: which tokens are ends.
    """
    count, length = uniform.shape[:2]
    device = pens[0].device
    uniform = uniform.to(device)
    ends = torch.tensor(sorted(language.ends), device=device)
    tokens = torch.zeros(count, length, dtype=torch.long, device=device)
    behaviour, entropy = torch.zeros(count, length, device=device), torch.zeros(count, length, device=device)
    own = torch.zeros(count, length, dtype=torch.bool, device=device)
    lengths = torch.full((count,), length, device=device)
    ended = torch.zeros(count, dtype=torch.bool, device=device)
    rows = torch.arange(count, device=device)  # (b,) those that are still on the desk
    sides = [pen.next() for pen in pens]
    for place in range(length):
        token, drawn, mine = choice(sides, uniform[rows, place])
        tokens[rows, place], behaviour[rows, place], own[rows, place] = token, drawn.float(), mine
        entropy[rows, place] = _entropy(sides[0])
        over = torch.isin(token, ends) & ~ended[rows]
        lengths[rows] = torch.where(over, place + 1, lengths[rows])
        ended[rows] |= over
        going = ~ended[rows]
        left = int(going.sum())
        if left == 0 or place + 1 == length:
            break
        if left <= len(rows) // 2:  # moving the cache costs as much as a step: not for every row that ends
            rows, token = rows[going], token[going]
            for pen in pens:
                pen.keep(going.nonzero()[:, 0])
        sides = [pen.next(token.to(pen.device)).to(device) for pen in pens]
    return Draft(*(told.cpu() for told in (tokens, behaviour, lengths, ended, entropy, own)))
