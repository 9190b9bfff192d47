"""How many multiplications and additions a token costs: by the sizes of a model, and by counting what runs."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from distill.evaluation.attention import computed
from distill.evaluation.footprint import prompt
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.models import shape
from distill.ranges import Count


class Flops(ModelMeasure):
    """Floating-point operations a token of a forward pass over a text, by analysis and by counter.

    Formula: flops_per_token = 2 · weights that are multiplied + 4 · L · S · width of the attention, S the keys of every
        query (the whole row, as an unfused attention computes it); flops_per_token_counted = what
        ``torch.utils.flop_counter`` counts of the same pass / S
    Source: Kaplan et al. 2020, Scaling Laws for Neural Language Models, https://arxiv.org/abs/2001.08361, table 1 (it
        leaves the embedding out, and halves nothing for the causal mask either).

    Args:
        tokens: S, of the text; fewer if the model has fewer positions. The head is applied at each of them.

    The counter sees products of matrices, convolutions and attention, no elementwise operation. Both are of the model
    as it is: weights that a quantised file stores in 8 bits are multiplied as often. So nothing is told of a file.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, tokens: Count = 256) -> None:
        self.tokens = tokens

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        return {one.name: self._rows(one) if one.file is None else [] for one in subjects}

    def _rows(self, subject: Subject) -> list[Measured]:
        ids = prompt(subject, self.tokens)  # (1, S)
        sizes, length = shape(subject.model), ids.shape[1]
        told = sizes.flops_per_token + 4 * sizes.layers * length * _attention_width(subject)
        with computed([subject.model], "eager"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            subject.model(input_ids=ids, use_cache=False)
        return [
            Measured("flops_per_token", told, "count", length),
            Measured("flops_per_token_counted", counter.get_total_flops() / length, "count", length),
        ]


def _attention_width(subject: Subject) -> int:
    """Query heads times the width of one, which need not be the width of a state."""
    config = subject.model.config.get_text_config(decoder=True)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return head * config.num_attention_heads
