"""A teacher's body in 8 or 4 bits, where the platform can compute with them.

Only the linear layers of the body are rounded: the embedding and the head stay as they are, for the signal is made of
them. Left out on purpose: quantised checkpoints from elsewhere, whose formats are many, and quantising activations.
"""

import contextlib
import io
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import torch

from distill.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Weights = Literal["full", "int8", "int4"]
KEY = "teacher.weights"


def refuse_unsupported(weights: Weights) -> None:
    """Refuse what this platform cannot do, before a weight is loaded.

    Raises:
        BadInput: torchao is not installed, or there is no kernel for so few bits.
    """
    if weights == "full":
        return
    if weights == "int4" and not torch.cuda.is_available():
        reason = "4 bits have kernels for CUDA alone, and there is no such device here"
        raise BadInput(KEY, reason, value=weights, remedy=f"write {KEY}=int8, or full")
    if find_spec("torchao") is None:
        reason = "needs torchao, which is not installed"
        raise BadInput(KEY, reason, value=weights, remedy="pip install 'distill-lab[quant]'")


def round_body(model: "PreTrainedModel", weights: Weights) -> None:
    """Round the body's linear layers in place, by groups of weights with a scale each (torchao's weight-only kinds).

    Raises:
        BadInput: this platform's torchao cannot.
    """
    if weights == "full":
        return
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it tells at import which of its CUDA libraries it cannot load
            torchao = import_module("torchao.quantization")
            kind = torchao.Int8WeightOnlyConfig if weights == "int8" else torchao.Int4WeightOnlyConfig
            torchao.quantize_(model.base_model, kind())
    except Exception as problem:  # which kernels are there is known only to torchao, in many words
        said = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
        raise BadInput(
            KEY, f"torchao cannot on this machine ({said})", value=weights, remedy=f"{KEY}=full"
        ) from problem
