"""Whether a model keeps the pieces of a packed row apart. Asked of the model itself, not of a list of names.

transformers builds the block-wise causal mask from position ids that begin again, but only for architectures that read
them, only without an attention mask and only without a cache. A model that does not do it learns from a neighbour that
is not there at inference, and its teacher's answers depend on what happened to share a row.

Source: the packed position ids of transformers (``masking_utils.find_packed_sequence_indices``).
"""

import torch
from torch import nn

from distill.errors import BadInput

LEAK = 0.1
"""Measured on tiny models of 13 architectures, transformers 5.23: below 1e-6 in float32 and 0.02 in bfloat16 for those
that keep pieces apart (Llama, Qwen 3, Gemma 3, Mistral, GPT-2, GPT-NeoX, GPT-Neo, Phi); 0.4 to 1.0 for those that do
not (OPT, BLOOM, Falcon, MPT, Mamba)."""


def leak(model: nn.Module, vocabulary: int, length: int = 12) -> float:
    """How far a piece behind another one is from the same piece alone, in units of how far it would be if it saw it.

    Formula: max|packed - alone| / max|joined - alone| over the logits of the second piece, where ``joined`` has
    position ids that run on. 0: apart; 1: together. Infinite if the model cannot be given position ids at all.

    Args:
        model: a causal language model, in any mode; left in the mode it was in.
        vocabulary: ids below it exist.
        length: of each of the two pieces.
    """
    device = next(model.parameters()).device
    first = torch.arange(length, device=device) % vocabulary
    second = (7 * torch.arange(length, device=device) + 3) % vocabulary
    both = torch.cat([first, second])[None]  # (1, 2 length)
    again = torch.arange(length, device=device).repeat(2)[None]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        alone = _logits(model, second[None], again[:, :length])
        packed = _logits(model, both, again)[:, length:]
        joined = _logits(model, both, torch.arange(2 * length, device=device)[None])[:, length:]
    except TypeError:
        return float("inf")
    finally:
        for module, mode in modes.items():
            module.training = mode
    seen = (joined - alone).abs().max().item()
    return (packed - alone).abs().max().item() / max(seen, 1e-30)


def _logits(model: nn.Module, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, position_ids=places, use_cache=False).logits.float()


def check_isolation(model: nn.Module, vocabulary: int, place: str) -> None:
    """Refuse packed rows for a model that would look into its neighbours.

    Args:
        place: what a person calls the model: ``teacher.path``, a folder, …

    Raises:
        BadInput: it does.
    """
    found = leak(model, vocabulary)
    if not found < LEAK:
        kind = type(model).__name__
        raise BadInput(place, "documents packed in a row would see each other", value=kind, remedy="data.packing=false")
