"""An encoder-decoder (text, speech, pictures) as two ONNX graphs: the encoder once, the decoder token by token.

    encoder.onnx    what is heard (input_ids and attention_mask; input_features; pixel_values)  ->  states (B, E, D)
    model.onnx      input_ids (B, S), states, [attention_mask (B, E)], past.i.key, past.i.value (B, H, P, D / H)
                    ->  logits (B, S, V), present.i.key, present.i.value

The decoder's own keys and values are kept from step to step. Left out on purpose: those of its attention to the
encoder's states, which are computed anew in every step from ``states``; kept, they would be inputs of a graph that is
another one at the first step.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from distill.cached import given, kept
from distill.evaluation.subject import Subject
from distill.export.onnx_runner import MASK
from distill.probe import probe


class Encoding(nn.Module):
    """What is heard, by name, to states."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]) -> None:
        super().__init__()
        whole: Any = model
        self.encoder, self.names = whole.get_encoder(), tuple(names)

    def forward(self, heard: list[Tensor]) -> Tensor:
        return self.encoder(**dict(zip(self.names, heard, strict=True)))[0]


class Decoding(nn.Module):
    """One call of the decoder."""

    def __init__(self, model: PreTrainedModel, vocabulary: int) -> None:
        super().__init__()
        self.model, self.vocabulary = model, vocabulary

    def forward(self, input_ids: Tensor, states: Tensor, mask: list[Tensor], past: list[Tensor]) -> tuple[Tensor, ...]:
        own: Any = DynamicCache(list(zip(past[0::2], past[1::2], strict=True)))
        told = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            decoder_input_ids=input_ids,
            **given(self.model, EncoderDecoderCache(own, DynamicCache())),
            use_cache=True,
            **({MASK: mask[0]} if mask else {}),
        )
        layers = own.layers
        return told.logits[..., : self.vocabulary], *(half for layer in layers for half in (layer.keys, layer.values))


def save_pair(student: Subject, encoder: Path, decoder: Path) -> None:
    """Write both graphs.

    Raises:
        Exception: of the exporter's own, at an architecture that it cannot follow.
    """
    model, free = student.model.eval(), torch.export.Dim.DYNAMIC
    heard = {name: torch.cat([value] * 2) for name, value in _heard(model).items()}  # two rows: one is a constant
    lengths = [{0: free} | ({1: free} if value.dim() == 2 else {}) for value in heard.values()]
    with torch.no_grad():
        states = Encoding(model, list(heard))(list(heard.values()))
        mask = [heard[MASK]] if MASK in heard and states.shape[1] == heard[MASK].shape[1] else []
        past = _past(model, states, mask)
        ids = torch.ones(2, 3, dtype=torch.long)
        program = torch.onnx.export(
            Encoding(model, list(heard)).eval(),
            (list(heard.values()),),
            dynamic_shapes=(lengths,),
            input_names=list(heard),
            output_names=["states"],
            dynamo=True,
            verbose=False,
        )
        names = [f"{i}.{half}" for i in range(len(past) // 2) for half in ("key", "value")]
        length = {1: free} if mask else {}
        step = torch.onnx.export(
            Decoding(model, student.vocabulary).eval(),
            (ids, states, mask, past),
            dynamic_shapes=({0: free, 1: free}, {0: free} | length, [{0: free, 1: free} for _ in mask],
                            [{0: free, 2: free} for _ in past]),
            input_names=["input_ids", "states", *([MASK] if mask else []), *(f"past.{name}" for name in names)],
            output_names=["logits", *(f"present.{name}" for name in names)],
            dynamo=True,
            verbose=False,
        )  # fmt: skip
    assert program is not None
    assert step is not None
    program.save(str(encoder), external_data=False)
    step.save(str(decoder), external_data=False)


def _heard(model: PreTrainedModel) -> dict[str, Tensor]:
    inputs, _ = probe(model)
    told = {name: value for name, value in inputs.items() if not name.startswith("decoder_")}
    if "input_ids" in told and MASK not in told:
        told[MASK] = torch.ones_like(told["input_ids"])
    return told


def _past(model: PreTrainedModel, states: Tensor, mask: list[Tensor]) -> list[Tensor]:
    """Examples of the decoder's keys and values, read off a real pass; of another length than the ids."""
    told: Any = model(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        decoder_input_ids=torch.ones(2, 5, dtype=torch.long),
        use_cache=True,
        **({MASK: mask[0]} if mask else {}),
    )
    return [half for layer in kept(told).self_attention_cache.layers for half in (layer.keys, layer.values)]
