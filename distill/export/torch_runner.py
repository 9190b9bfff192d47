"""A transformers model as a runner: the student that a file is compared with, and files that transformers reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import Cache, PreTrainedModel

from distill.cached import given, kept
from distill.export.runner import Runner
from distill.heads import stands_on_body
from distill.models import head


class TorchRunner(Runner):
    """The model with its cache; no generation config is obeyed.

    A decoder is asked through its body, its head at the places that are wanted. An encoder-decoder encodes what it
    hears once; a decoder that sees is shown the picture with its first ids.

    Args:
        model: in evaluation mode.
        vocabulary: the head is cut to this many ids.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: int) -> None:
        self.model, self.head = model.eval(), head(model).cut(vocabulary)
        self.vocabulary = self.head.vocabulary
        self.positions = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self.encodes = bool(model.config.is_encoder_decoder)
        self.restart()

    def restart(self) -> None:
        self.past: Cache | None = None
        self.heard: dict[str, Any] = {}

    @torch.no_grad()
    def hear(self, inputs: Mapping[str, np.ndarray]) -> None:
        tensors = {name: torch.from_numpy(value).to(self.model.device) for name, value in inputs.items()}
        if self.encodes:
            model: Any = self.model
            self.heard = {"encoder_outputs": model.get_encoder()(**tensors)}
            tensors = {name: value for name, value in tensors.items() if name == "attention_mask"}
        self.heard |= tensors

    @torch.no_grad()
    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        fresh = torch.tensor([list(ids)], device=self.model.device)  # (1, S)
        if not self.encodes and not self.heard and stands_on_body(self.model):
            body = self.model.base_model
            told = body(input_ids=fresh, **given(body, self.past), use_cache=True)
            states = told.last_hidden_state[0]  # (S, D)
            logits = self.head.logits(states[-1:] if last else states)
        else:
            name = "decoder_input_ids" if self.encodes else "input_ids"
            told = self.model(**{name: fresh}, **self.heard, **given(self.model, self.past), use_cache=True)
            logits = told.logits[0, -1:] if last else told.logits[0]
            self.heard = self.heard if self.encodes else {}
        self.past = kept(told)
        return logits[:, : self.vocabulary].float().cpu().numpy()
