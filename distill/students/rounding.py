"""Weights and inputs rounded as a file will round them, with a gradient that looks through: the parts of fake_quant.

    int8    one scale for a matrix, as in ONNX Runtime's dynamic quantisation
    int8_row    one for each output, as with per_channel
    q8_0, q4_0  one for each 32 weights of a row, stored in float16: llama.cpp's

Left out on purpose: torchao. Its fake quantisers know none of these four layouts, and a student should be trained with
the rounding of the file that it becomes.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

Layout = Literal["int8", "int8_row", "q8_0", "q4_0"]
BLOCK = 32
"""Weights that share a scale in Q8_0 and Q4_0."""


class Rounded(nn.Module):
    """A parametrisation of a weight: rounded forward, as it is backward.

    Formula: w' = s · clamp(round(w / s)), ∂w'/∂w = 1 (straight through); s = max |w| / 127 over a matrix (int8), a row
        (int8_row) or 32 weights (q8_0); q4_0: s = −w* / 8 with w* the weight of largest size, in steps of −8 to 7
    Source: Jacob et al. 2018, https://arxiv.org/abs/1712.05877 (rounding in training); Bengio et al. 2013,
        https://arxiv.org/abs/1308.3432 (straight through); the block layouts are llama.cpp's, as its ``gguf`` package
        writes them.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout: Layout = layout

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (rounded(weight.detach(), self.layout) - weight.detach())


class RoundedInputs:
    """A hook before a layer: what it is multiplied with, in 8 bits by its own range, as it comes.

    Formula: x' = s · (clamp(round(x / s) + z, 0, 255) − z), s = (max x − min x) / 255 over the tensor, both ends
        widened to hold 0; z = round(−min x / s)
    Source: ONNX's DynamicQuantizeLinear.
    """

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
        values = inputs[0]
        told = values.detach()
        low, high = told.amin().clamp(max=0), told.amax().clamp(min=0)
        scale = ((high - low) / 255).clamp(min=torch.finfo(told.dtype).tiny)
        zero = torch.round(-low / scale)
        near = (torch.clamp(torch.round(told / scale) + zero, 0, 255) - zero) * scale
        return (values + (near - told), *inputs[1:])

    @staticmethod
    def removed(module: nn.Module) -> None:
        """Take such hooks off a module."""
        for number, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, RoundedInputs):
                del module._forward_pre_hooks[number]


def rounded(weight: Tensor, layout: Layout) -> Tensor:
    """(…, D) the nearest weights that the layout can hold; a row that is no multiple of 32 stays as it is in blocks."""
    if layout in ("q8_0", "q4_0"):
        if weight.shape[-1] % BLOCK:
            return weight
        return _blocks(weight.reshape(-1, BLOCK), layout).reshape(weight.shape).to(weight.dtype)
    largest = weight.abs().amax() if layout == "int8" else weight.abs().amax(-1, keepdim=True)
    scale = (largest / 127).clamp(min=torch.finfo(weight.dtype).tiny)
    return torch.clamp(torch.round(weight / scale), -127, 127) * scale


def _blocks(weight: Tensor, layout: Layout) -> Tensor:
    """(n, 32)"""
    wide = weight.float()
    if layout == "q8_0":
        scale = wide.abs().amax(-1, keepdim=True) / 127
        steps = _away(wide * _inverse(scale))
    else:
        largest = wide.gather(1, wide.abs().argmax(-1, keepdim=True))
        scale = largest / -8
        steps = torch.clamp(torch.trunc(wide * _inverse(scale) + 8.5), 0, 15) - 8
    return steps * scale.half().float()


def _inverse(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, torch.zeros_like(scale), 1 / scale)


def _away(values: Tensor) -> Tensor:
    """The nearest integer, halves away from 0."""
    return torch.sign(values) * torch.floor(values.abs() + 0.5)
