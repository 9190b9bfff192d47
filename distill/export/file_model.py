"""An exported ONNX file in the place of a model, so that every measure of a text and of writing can be asked of it.

Its answer is logits, made by ONNX Runtime, where a model answers with states: it says so with a head of width 0
(``types.Head``), which has nothing left to multiply. A packed row is read piece by piece, because the graph knows no
position ids; a row of ids and its cache are read together, as a model does.

Left out on purpose: files with an encoder (their re-check told their numbers), gradients, and other devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from distill.errors import BadInput
from distill.evaluation.subject import File
from distill.export.export import weights_in
from distill.export.gguf import Gguf
from distill.export.llama_cpp import LlamaCppRunner, installed
from distill.export.onnx_runner import OnnxRunner
from distill.export.resident import resident


class State(dict[str, np.ndarray]):
    """Keys and values by the name of their input, (B, H, P, D / H) each."""

    def batch_select_indices(self, rows: Tensor) -> None:
        """Go on with these rows alone: a cache of transformers calls it so."""
        self.update({name: kept[rows.numpy()] for name, kept in self.items()})


@dataclass
class Told(ModelOutput):
    """What a file answers: logits twice, under the names that models have for states and logits, and its cache."""

    last_hidden_state: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: State | None = None
    cache: State | None = None  # what transformers 5.24 makes of the former


class FileModel(PreTrainedModel):
    """A decoder that is an ONNX file.

    Args:
        runner: of the file.

    Raises:
        BadInput: the file has an encoder beside it.
    """

    config_class = PreTrainedConfig
    base_model_prefix = ""
    _supports_sdpa = True

    def __init__(self, runner: OnnxRunner) -> None:
        if runner.encoder is not None:
            reason = "is a pair of encoder and decoder, which is measured when it is exported"
            raise BadInput(str(runner.folder), reason, remedy="read its metrics.jsonl")
        super().__init__(PreTrainedConfig.from_dict({"max_position_embeddings": runner.positions}))
        self.runner = runner
        self.spoken = nn.Linear(1, runner.vocabulary, bias=False, device="meta")  # nothing is drawn
        self.spoken.weight = nn.Parameter(torch.empty(runner.vocabulary, 0), requires_grad=False)

    def get_output_embeddings(self) -> nn.Linear:
        return self.spoken

    @torch.no_grad()
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: State | None = None,
        use_cache: bool = False,
        **_: Any,
    ) -> Told:
        """(B, S) ids, after those that the cache holds -> (B, S, V) logits.

        Args:
            attention_mask: (B, P + S); only asked whether texts begin at the left, for what stands on the right of one
                changes nothing in it.
            position_ids: (B, S); where they begin again at 0 another sample begins.

        Raises:
            BadInput: texts are padded on the left, for which the graph has no mask.
        """
        if attention_mask is not None and not attention_mask[:, 0].all():
            reason = "reads prompts of one length at a time"
            raise BadInput(str(self.runner.folder), reason, remedy="give this measure batch_size=1")
        ids = input_ids.cpu().numpy()
        if position_ids is None or past_key_values is not None:
            logits, state = self.runner.step(ids, past_key_values)
        else:
            logits, state = self._packed(ids, position_ids.cpu().numpy()), {}
        told = torch.from_numpy(logits)
        return Told(last_hidden_state=told, logits=told, past_key_values=State(state) if use_cache else None)

    def _packed(self, ids: np.ndarray, places: np.ndarray) -> np.ndarray:
        logits = np.empty((*ids.shape, self.runner.vocabulary), np.float32)  # (B, S, V)
        for row, own in enumerate(places):
            begins = {0, *np.flatnonzero(own == 0).tolist(), ids.shape[1]}
            for start, stop in pairwise(sorted(begins)):
                logits[row, start:stop] = self.runner.step(ids[row : row + 1, start:stop])[0][0]
        return logits


def file_of(folder: Path, facts: Mapping[str, Any], threads: int) -> File:
    """What is told of an exported file beside what it answers.

    Args:
        folder: the export's.
        facts: of its ``export.json``.
        threads: that its own runtime computes with.
    """
    kind, widened = facts["format"], facts["format"] == Gguf.format
    size = sum(file.stat().st_size for file in weights_in(folder))
    clock = None
    if widened and installed():
        clock = LlamaCppRunner(folder / facts["file"], facts["vocabulary"], threads).taken
    return File(size, lambda tokens: resident(kind, folder, tokens), not widened, clock)
