"""The keys and values that a model keeps of what it has read, under the name that its transformers has for them.

transformers 5.24 calls argument and output ``cache``; before that they are ``past_key_values``. Left out on purpose:
what a cache is made of; that is the model's.
"""

from collections.abc import Mapping
from functools import cache
from inspect import signature
from typing import Any

from torch import nn

NEW, OLD = "cache", "past_key_values"


def given(model: nn.Module, kept: Any) -> dict[str, Any]:
    """What a model kept, as the argument that gives it back: ``model(ids, **given(model, kept))``."""
    return {_name(type(model)): kept}


def kept(told: Mapping[str, Any]) -> Any:
    """What is in a model's output to be given back."""
    return told[NEW] if NEW in told else told[OLD]


@cache
def _name(kind: type[nn.Module]) -> str:
    return NEW if NEW in signature(kind.forward).parameters else OLD
