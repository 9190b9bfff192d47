"""Several numbers a token, from both sides' log-probabilities, with a gradient: for losses that combine tokens of a
text or weigh each by what the text's writer thought of it.

The one pass sees one token at a time and nothing of its text. This walks over the same chunks with checkpointing:
logits of a chunk are made, used, dropped, and made again in the backward pass, so no (N, V) tensor exists.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from distill.products import widened, working_dtype
from distill.types import Head, Outputs, Signal

Made = Callable[[Tensor, Tensor, slice], Tensor]
"""(log p, log q) of C tokens, each (C, K'), and which tokens they are -> (C, k)."""


def of_tokens(outputs: Outputs, signal: Signal, make: Made, temperature: float = 1.0, size: int = 256) -> Tensor:
    """(N, k) what ``make`` makes of every token.

    Args:
        outputs: the student's.
        signal: the teacher's word at the same positions.
        make: a function of the two sides that keeps nothing.
        temperature: of both sides.
        size: C.
    """
    hidden, head = outputs.hidden, outputs.head
    told = []
    for start in range(0, hidden.shape[0], size):
        rows = slice(start, min(start + size, hidden.shape[0]))

        def chunk(states: Tensor, weight: Tensor, bias: Tensor | None, rows: slice = rows) -> Tensor:
            logits = _logits(head, states, weight, bias)
            return make(*signal.pair(signal.chunk(rows), logits, temperature), rows)

        with torch.autocast(hidden.device.type, enabled=False):
            told.append(
                checkpoint(chunk, hidden[rows], head.weight, head.bias, use_reentrant=False, preserve_rng_state=False)
            )
    return torch.cat(told)  # pyright: ignore[reportArgumentType]  (checkpoint is not typed by what it calls)


def _logits(head: Head, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    wide = widened(working_dtype(states, weight))
    raw = states.to(wide) @ weight.to(wide).T  # (C, V)
    return head.shaped(raw if bias is None else raw + bias.to(wide))


def at(log: Tensor, targets: Tensor) -> Tensor:
    """(C, V), (C,) -> (C,)."""
    return log.gather(-1, targets[:, None])[:, 0]


def suffix_sums(values: Tensor, owners: Tensor, discount: float = 1.0) -> Tensor:
    """(N,) -> (N,) Σ_{t' ≥ t} discount^(t' − t) v_t' within each text, whose tokens stand together.

    Args:
        values: of every token.
        owners: (N,) whose it is.
        discount: of what comes one token later.
    """
    lengths = torch.unique_consecutive(owners, return_counts=True)[1]
    texts = torch.nn.utils.rnn.pad_sequence(list(values.split(lengths.tolist())), batch_first=True)  # (B, A)
    summed, total = torch.empty_like(texts), torch.zeros_like(texts[:, 0])
    for place in range(texts.shape[1] - 1, -1, -1):
        total = texts[:, place] + discount * total
        summed[:, place] = total
    return torch.cat([row[:n] for row, n in zip(summed, lengths.tolist(), strict=True)])
