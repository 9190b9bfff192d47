"""A model that reads prompts of several lengths at once and then goes on token by token, with its cache.

Prompts are padded on the left, so that all rows write at the same place; prompts of one length need no mask. Rows that
have ended can be laid down, which frees their share of every later step. Left out on purpose: ``generate``, which obeys
a config that comes with the model's folder and so draws from another distribution than the student's own, tells no
probabilities, and knows no second model beside the first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from distill.cached import given, kept
from distill.models import head
from distill.rollouts.language import Language


class Pen:
    """(b,) tokens -> (b, V) log-probabilities of the next ones.

    Args:
        model: in evaluation mode.
        prompts: (n_b,) ids each.
        room: tokens that will be written at most.
        language: which ids may be written.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Tensor], room: int, language: Language) -> None:
        self.body, self.device = model.base_model, model.device
        whole = head(model)
        self.head = whole if language.vocabulary is None else whole.cut(language.vocabulary)
        self.banned = torch.tensor(sorted(i for i in language.banned if i < self.head.vocabulary), device=self.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        self.width = int(lengths.max())
        ids = torch.full((len(prompts), self.width), language.padding)  # (B, S)
        for b, prompt in enumerate(prompts):
            ids[b, self.width - len(prompt) :] = prompt
        self.ids, self.lengths = ids.to(self.device), lengths.to(self.device)
        self.mask: Tensor | None = None  # (B, S + room)
        if int(lengths.min()) < self.width:
            self.mask = torch.ones(len(prompts), self.width + room, dtype=torch.long, device=self.device)
            self.mask[:, : self.width] = torch.arange(self.width, device=self.device) >= (
                self.width - self.lengths[:, None]
            )
        self.past: Cache | None = None
        self.read = 0

    def next(self, tokens: Tensor | None = None) -> Tensor:
        """What may come after these tokens, after the prompts if None; (b, V), float32 or wider."""
        ids = self.ids if tokens is None else tokens[:, None]
        seen, self.read = self.read, self.read + ids.shape[1]
        told = self.body(
            input_ids=ids, **given(self.body, self.past), use_cache=True, **self._places(seen, ids.shape[1])
        )
        self.past = kept(told)
        logits = self.head.logits(told.last_hidden_state[:, -1])  # (b, V)
        if self.banned.numel():
            logits[:, self.banned] = -torch.inf
        return logits.log_softmax(-1)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        assert self.past is not None, "rows are laid down after the prompts were read"
        self.past.batch_select_indices(rows)  # pyright: ignore[reportAttributeAccessIssue]  (of every layered cache)
        self.lengths = self.lengths[rows]
        self.mask = None if self.mask is None else self.mask[rows]

    def _places(self, seen: int, count: int) -> dict[str, Tensor]:
        if self.mask is None:
            return {}
        places = torch.arange(seen, seen + count, device=self.device) - (self.width - self.lengths)[:, None]
        return {"attention_mask": self.mask[:, : seen + count], "position_ids": places.clamp(min=0)}
