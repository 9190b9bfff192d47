"""Two ways of saying the whole vocabulary: kept logits, and a final state with its head."""

import math

import pytest
import torch

from distill.signals.dense import Dense
from distill.signals.hidden import Hidden
from distill.signals.softening import log_probabilities
from distill.types import Head


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_a_state_and_its_head_say_what_the_logits_say(temperature, softcap):
    state, student = drawn(6, 4), drawn(6, 9, seed=1)
    head = Head(drawn(9, 4, seed=2), drawn(9, seed=3), scale=0.5, softcap=softcap)
    rows = slice(2, 5)
    pairs = []
    for signal in (Hidden(state, head), Dense(head.logits(state))):
        pairs.append(signal.pair(signal.chunk(rows), student[rows], temperature))
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    log_p, log_q = pairs[0]
    teacher = head.logits(state)[rows]
    torch.testing.assert_close(log_p, (teacher / temperature).log_softmax(-1), rtol=0, atol=1e-14)
    torch.testing.assert_close(log_q, (student[rows] / temperature).log_softmax(-1), rtol=0, atol=1e-14)


def test_nothing_the_teacher_says_carries_a_gradient():
    state = drawn(6, 4).requires_grad_()
    head = Head(drawn(9, 4, seed=2).requires_grad_(), drawn(9).requires_grad_())
    for signal in (Hidden(state, head), Dense(head.logits(state))):
        assert not any(tensor.requires_grad for tensor in signal.chunk(slice(0, 3)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_teachers_speak_in_float32(dtype):
    """The product of half operands summed in float32 differs from float64's by float32's rounding alone."""
    state, weight = drawn(6, 256).to(dtype), drawn(50, 256, seed=2).to(dtype)
    (logits,) = Hidden(state, Head(weight)).chunk(slice(None))
    exact = state.double() @ weight.double().T
    assert logits.dtype is torch.float32
    torch.testing.assert_close(logits.double(), exact, rtol=0, atol=1e-5)
    assert ((state @ weight.T).double() - exact).abs().max() > 1e-3  # what rounding to half would have cost


def test_excluded_tokens_stay_excluded_and_a_learned_temperature_keeps_a_finite_gradient():
    logits = drawn(3, 7)
    logits[:, 2] = -math.inf
    temperature = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    made = log_probabilities(logits, temperature)
    assert (made[:, 2] == -math.inf).all()
    torch.testing.assert_close(made.detach(), log_probabilities(logits, 2.0), rtol=0, atol=1e-15)
    made[:, [0, 1, 3, 4, 5, 6]].sum().backward()
    assert temperature.grad is not None
    assert temperature.grad.isfinite()


def test_vocabularies_of_two_sizes_are_refused():
    signal = Dense(drawn(2, 5))
    with pytest.raises(AssertionError, match="do not share a vocabulary"):
        signal.pair(signal.chunk(slice(None)), drawn(2, 6), 1.0)
