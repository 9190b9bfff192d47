"""The same attention kernel for all that are compared, whatever each was trained with.

A teacher whose attention weights a loss reads computes them in the open (``eager``), and would be timed against a
student whose kernel is fused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from transformers import PreTrainedModel


@contextmanager
def computed(models: Sequence[PreTrainedModel], kernel: str) -> Iterator[str]:
    """For a while, all models with this kernel, or all ``eager`` where one of them has no other; yields which it is."""
    before = [model.config._attn_implementation or "eager" for model in models]
    chosen = kernel if all(model._supports_sdpa for model in models) or kernel != "sdpa" else "eager"
    try:
        for model, own in zip(models, before, strict=True):
            if own != chosen:
                model.set_attn_implementation(chosen)
        yield chosen
    finally:
        for model, own in zip(models, before, strict=True):
            if own != chosen:
                model.set_attn_implementation(own)
