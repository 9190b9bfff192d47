"""A transformers model as a runner: the student that a file is compared with, and files that transformers reads."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import Cache, PreTrainedModel

from distill.export.runner import Runner
from distill.models import head


class TorchRunner(Runner):
    """The body with its cache, then the head; no generation config is obeyed.

    Args:
        model: in evaluation mode.
        vocabulary: the head is cut to this many ids.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: int) -> None:
        self.model, self.head = model.eval(), head(model).cut(vocabulary)
        self.vocabulary = self.head.vocabulary
        self.positions = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self.past: Cache | None = None

    def restart(self) -> None:
        self.past = None

    @torch.no_grad()
    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        given = torch.tensor([list(ids)], device=self.model.device)  # (1, S)
        told = self.model.base_model(input_ids=given, past_key_values=self.past, use_cache=True)
        self.past = told.past_key_values
        states = told.last_hidden_state[0]  # (S, D)
        return self.head.logits(states[-1:] if last else states).float().cpu().numpy()
