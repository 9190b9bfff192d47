"""Where a model's head is, and how to run the model without it.

A decoder with a plain head is asked through its body. Every other family does something between body and head (a
transform, a pooled state, a scale, dropout), so it is run as it is, with its head replaced by nothing for that call:
what would have gone into the head comes out. Left out on purpose: heads that are not linear, which are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.errors import BadInput
from distill.families import named_family

BY_BODY = frozenset({"causal", None})
"""Families whose head stands directly on their body's last state; a class that nobody lists is tried so too."""


def head_layer(model: PreTrainedModel) -> nn.Linear | None:
    """The linear layer that gives the logits; None of a bare encoder.

    Raises:
        BadInput: there is none where there should be one.
    """
    family = named_family(model)
    if family == "encoder":
        return None
    layer = model.get_output_embeddings()
    if isinstance(layer, nn.Linear):
        return layer
    size = {"classification": "num_labels", "ctc": "vocab_size"}.get(family or "")
    wanted = None if size is None else getattr(model.config, size)
    linear = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == wanted]
    if not linear:
        raise BadInput(
            f"model {model.config.model_type}",
            "has no linear head over a vocabulary",
            remedy="use a causal language model" if size is None else "use another architecture",
        )
    return linear[-1]


def added_bias(model: PreTrainedModel) -> Tensor | None:
    """(1, V) what the BART family adds to its logits beside the head's own bias; None elsewhere."""
    return dict(model.named_buffers(recurse=False)).get("final_logits_bias")


def stands_on_body(model: PreTrainedModel) -> bool:
    """Whether logits are the head applied to the body's last state."""
    return named_family(model) in BY_BODY or added_bias(model) is not None


@contextmanager
def headless(layer: nn.Linear) -> Iterator[list[Tensor]]:
    """Within, the layer hands on what it is given, and notes it in the list."""
    seen: list[Tensor] = []

    def hand_on(input: Tensor) -> Tensor:
        seen.append(input)
        return input

    layer.forward = hand_on
    try:
        yield seen
    finally:
        del layer.forward
