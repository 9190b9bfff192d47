"""How much of a decoder's answer each unit carries: activations on training text, heads, neurons and channels apart.

    channels    width D: what the norms let through, summed over all of them
    neurons     of each feed-forward, what its last matrix is multiplied with
    groups      of each attention, the heads that share a key and value head: what the output matrix is multiplied with

Formula: a unit's importance = sqrt(Σ_samples (mean over positions |activation|)²)
Source: Muralidharan et al. 2024, Compact Language Models via Pruning and Knowledge Distillation (Minitron),
    https://arxiv.org/abs/2407.14679, section 2.2: mean over the sequence, L2 over the batch; heads by the size of their
    output. Where the paper leaves room: the mean is of absolute values.

Left out on purpose: gradients and second derivatives, which the paper found no better and which cost a backward pass.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.models import evaluating
from distill.types import Batch


@dataclass(frozen=True)
class Importance:
    """Larger is more.

    Attributes:
        channels: (D,)
        neurons: L of (intermediate,)
        groups: L of (key and value heads,)
    """

    channels: Tensor
    neurons: tuple[Tensor, ...]
    groups: tuple[Tensor, ...]


@torch.no_grad()
def measured(model: PreTrainedModel, batches: Iterable[Batch]) -> Importance:
    """Of a decoder of the Llama family on training text.

    Args:
        model: left as it is.
        batches: a few; a sample is a row, packed or not.
    """
    sums: dict[str, Tensor] = {}
    layers: Any = model.base_model.layers
    with evaluating(model), _watched(_inputs(model), sums), _watched(_norms(model), sums, outputs=True):
        for batch in batches:
            model.base_model(**batch.inputs, use_cache=False)
    heads = layers[0].self_attn.config.num_key_value_heads
    neurons = tuple(sums[f"mlp.{i}"].sqrt() for i in range(len(layers)))
    widths = [sums[f"attention.{i}"].reshape(heads, -1) for i in range(len(layers))]
    channels = sum((sums[name].sqrt() for name in sums if name.startswith("norm.")), torch.zeros(()))
    return Importance(channels, neurons, tuple(width.sum(-1).sqrt() for width in widths))


def drawn(importance: Importance, seed: int) -> Importance:
    """The same sizes with importance by chance: what pruning at random is compared as."""
    chance = torch.Generator().manual_seed(seed)

    def alike(one: Tensor) -> Tensor:
        return torch.rand(one.shape, generator=chance)

    return Importance(
        alike(importance.channels),
        tuple(alike(one) for one in importance.neurons),
        tuple(alike(one) for one in importance.groups),
    )


def best(scores: Tensor, count: int) -> Tensor:
    """(count,) the places of the largest, in rising order; of equals the first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _inputs(model: PreTrainedModel) -> dict[str, nn.Module]:
    layers: Any = model.base_model.layers
    found: dict[str, nn.Module] = {}
    for i, layer in enumerate(layers):
        found |= {f"mlp.{i}": layer.mlp.down_proj, f"attention.{i}": layer.self_attn.o_proj}
    return found


def _norms(model: PreTrainedModel) -> dict[str, nn.Module]:
    body: Any = model.base_model
    found: dict[str, nn.Module] = {"norm.last": body.norm}
    for i, layer in enumerate(body.layers):
        found |= {f"norm.{i}.first": layer.input_layernorm, f"norm.{i}.second": layer.post_attention_layernorm}
    return found


@contextmanager
def _watched(modules: dict[str, nn.Module], sums: dict[str, Tensor], outputs: bool = False) -> Iterator[None]:
    handles = []
    for name, module in modules.items():
        if outputs:
            handles.append(module.register_forward_hook(partial(_of_output, sums, name)))
        else:
            handles.append(module.register_forward_pre_hook(partial(_of_input, sums, name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of_input(sums: dict[str, Tensor], name: str, _module: nn.Module, args: tuple[Tensor, ...]) -> None:
    _add(sums, name, args[0])


def _of_output(sums: dict[str, Tensor], name: str, _module: nn.Module, _args: object, output: Tensor) -> None:
    _add(sums, name, output)


def _add(sums: dict[str, Tensor], name: str, values: Tensor) -> None:
    """(B, S, units): squared means over positions, summed over rows."""
    told = values.float().abs().mean(1).square().sum(0)
    sums[name] = sums[name] + told if name in sums else told
