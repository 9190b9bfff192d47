"""How well a model predicts held-out text: one number in three units."""

import math

from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens


class Likelihood(TokenMeasure):
    """Nats per token, bits per byte and perplexity of held-out text, with intervals.

    Formula: nats_per_token = −Σ log q(target) / tokens; perplexity = exp(nats_per_token);
        bits_per_byte = −Σ log2 q(target) / bytes that the targets spell

    Bits per byte alone compares models of different tokenizers: a tokenizer with longer tokens has fewer, harder
    ones. The interval of bits per byte is that of nats per token in the other unit: the ratio of tokens to bytes is
    taken as known.
    """

    def __init__(self) -> None:
        self.nats = SampleMean()
        self.bytes = 0

    def update(self, tokens: Tokens) -> None:
        self.nats.add(tokens.nats, tokens.drawn)
        self.bytes += tokens.bytes

    def rows(self) -> list[Measured]:
        mean, n, ends = self.nats.value, self.nats.n, self.nats.interval()
        bits = n / self.bytes / math.log(2) if self.bytes else 0.0  # a byte for each nat a token; labels spell none
        low, high = (None if end is None else end * bits for end in ends)
        least, most = (None if end is None else _exp(end) for end in ends)
        rows = [
            Measured("nats_per_token", mean, "nats/token", n, *ends),
            Measured("perplexity", _exp(mean), "count", n, least, most),
        ]
        return [rows[0], Measured("bits_per_byte", mean * bits, "bits/byte", n, low, high), *rows[1:]] if bits else rows


def _exp(nats: float) -> float:
    return math.inf if nats > 700 else math.exp(nats)
