"""Reading a prompt and writing on, token by token, with the cache: what speed is measured of and texts are made with.

Left out on purpose: ``generate``. It reads a generation config that comes with the model (a temperature, a penalty,
a forced token), so two folders of one model may write different texts, and it knows no surplus rows.
"""

import torch
from torch import Tensor
from transformers import Cache

from distill.cached import given, kept
from distill.evaluation.subject import Subject
from distill.models import head


class Writer:
    """A greedy reader and writer of one sequence, or of several of one length.

    Args:
        subject: its model is called through its body, its head only at the last position.
    """

    def __init__(self, subject: Subject) -> None:
        self.body = subject.model.base_model
        self.head = head(subject.model).cut(subject.vocabulary)
        self.past: Cache | None = None

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """(B, S) ids that follow those read before -> (B, 1) the likeliest next one."""
        return self.scores(ids).argmax(-1, keepdim=True)

    @torch.no_grad()
    def scores(self, ids: Tensor) -> Tensor:
        """(B, S) ids that follow those read before -> (B, V) logits of the next one."""
        told = self.body(input_ids=ids, **given(self.body, self.past), use_cache=True)
        self.past = kept(told)
        return self.head.logits(told.last_hidden_state[:, -1])


def written(subject: Subject, ids: Tensor, length: int, stop: int | None = None) -> list[int]:
    """At most ``length`` ids that follow (1, S) ``ids``, up to ``stop``, which is not among them."""
    writer, found = Writer(subject), []
    token = writer.read(ids)
    while (number := int(token)) != stop:
        found.append(number)
        if len(found) == length:
            break
        token = writer.read(token)
    return found
