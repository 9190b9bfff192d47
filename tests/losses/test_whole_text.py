"""The gradients of losses on written text, against the truth: every text of a tiny language is enumerated.

Three tokens, four places, tables of logits by prefix, float64: 81 texts, and expectations that are sums. The names
I17 to I21 are those of the identities: MiniLLM's gradient, its single-step form, sums of token KLs, sampled
sequence-level distillation and importance weights.
"""

from itertools import product

import pytest
import torch

from distill.losses.whole_text import WholeText

A, L = 3, 4
TEXTS = torch.tensor(list(product(range(A), repeat=L)))  # (81, 4)
PREFIXES = {prefix: i for i, prefix in enumerate(p for n in range(L) for p in product(range(A), repeat=n))}
STATES = torch.tensor([[PREFIXES[tuple(text[:t].tolist())] for t in range(L)] for text in TEXTS])  # (81, 4)
OWNERS = torch.arange(len(TEXTS)).repeat_interleave(L)
PLAIN = {"length_norm": False, "importance": "none", "clip": None}


def table(seed):
    return torch.randn(len(PREFIXES), A, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TEACHER, START = table(1).log_softmax(-1), table(0)


def of_tokens(logs):
    """(40, 3) -> (81, 4) of the tokens of every text."""
    return logs[STATES, TEXTS]


def exact(divergence="reverse"):
    """The gradient of the sequence KL, by summing over all texts."""
    theta = START.clone().requires_grad_(True)
    own, theirs = of_tokens(theta.log_softmax(-1)).sum(1), of_tokens(TEACHER).sum(1)
    a, b = (own, theirs) if divergence == "reverse" else (theirs, own)
    (a.exp() * (a - b)).sum().backward()
    return theta.grad


def estimates(behaviour=None, **switches):
    """(81, 40, 3) the loss's gradient of every text, and (81,) how likely each is drawn."""
    theta = START.clone().requires_grad_(True)
    log_q = theta.log_softmax(-1)
    told = of_tokens(log_q.detach()) if behaviour is None else behaviour
    kl = (log_q.exp() * (log_q - TEACHER)).sum(-1)[STATES]  # (81, 4)
    own, theirs, exact, drawn = (x.flatten() for x in (of_tokens(log_q), of_tokens(TEACHER), kl, told))
    values = WholeText(**switches).of(own, theirs, exact, drawn, OWNERS).view(len(TEXTS), L).sum(1)
    rows = [torch.autograd.grad(value, theta, retain_graph=True)[0] for value in values]
    return torch.stack(rows), told.sum(1).exp()


def expected(behaviour=None, **switches):
    gradients, likely = estimates(behaviour, **switches)
    return (likely[:, None, None] * gradients).sum(0)


def apart(found, truth):
    return ((found - truth).norm() / truth.norm()).item()


def blend(share):
    """log p̃ of every token."""
    return (share * of_tokens(TEACHER).exp() + (1 - share) * of_tokens(START.log_softmax(-1)).exp()).log()


def test_i17_the_policy_gradient_is_the_gradient_of_the_sequence_kl():
    assert apart(expected(single_step=False, **PLAIN), exact()) < 1e-12


def test_i18_the_exact_part_and_what_follows_are_the_same_gradient():
    assert apart(expected(single_step=True, **PLAIN), exact()) < 1e-12


def test_i18_counting_a_reward_twice_is_another_gradient():
    assert apart(expected(single_step=True, count_twice=True, **PLAIN), exact()) > 0.3


def test_i18_gkd_is_the_single_step_alone_and_so_is_the_drawn_token():
    log_q = START.clone().requires_grad_(True)
    reached = of_tokens(START.log_softmax(-1)).sum(1).exp()
    kl = (log_q.softmax(-1) * (log_q.log_softmax(-1) - TEACHER)).sum(-1)[STATES].sum(1)
    (gkd,) = torch.autograd.grad((reached * kl).sum(), log_q)  # nothing flows back through the drawing
    assert apart(expected(single_step=True, discount=0.0, **PLAIN), gkd) < 1e-12
    assert apart(expected(single_step=False, discount=0.0, **PLAIN), gkd) < 1e-12
    assert apart(gkd, exact()) > 0.3


@pytest.mark.parametrize("discount", [0.0, 1.0])
def test_the_exact_part_lowers_the_variance(monkeypatch, discount):
    """Of four languages together; with all that follows, one in eight by chance has it the other way round."""

    def variance(single_step):
        gradients, likely = estimates(single_step=single_step, discount=discount, **PLAIN)
        mean = (likely[:, None, None] * gradients).sum(0)
        return (likely * (gradients - mean).flatten(1).square().sum(1)).sum().item()

    exact_part, drawn = 0.0, 0.0
    for seed in range(20, 24):
        monkeypatch.setitem(globals(), "START", table(seed))
        exact_part, drawn = exact_part + variance(True), drawn + variance(False)
    assert exact_part < drawn


@pytest.mark.parametrize(("first", "second"), [(START.log_softmax(-1), TEACHER), (TEACHER, START.log_softmax(-1))])
def test_i19_the_sequence_kl_is_the_sum_of_expected_token_kls(first, second):
    whole = of_tokens(first).sum(1)
    sequence = (whole.exp() * (whole - of_tokens(second).sum(1))).sum()
    tokens = (first.exp() * (first - second)).sum(-1)[STATES].sum(1)
    assert torch.allclose(sequence, (whole.exp() * tokens).sum(), rtol=1e-12)


def test_i19_sequence_total_variation_is_bounded_by_tokens():
    q, p = START.log_softmax(-1), TEACHER
    over_q, over_p = of_tokens(q).sum(1).exp(), of_tokens(p).sum(1).exp()
    tokens = (p.exp() - q.exp()).abs().sum(-1)[STATES].sum(1)
    assert 0.5 * (over_p - over_q).abs().sum() <= 0.25 * ((over_p + over_q) * tokens).sum()


def test_i20_learning_the_teachers_draws_is_sequence_forward_kl():
    theta = START.clone().requires_grad_(True)
    drawn = of_tokens(TEACHER).sum(1).exp()
    value = -(drawn * of_tokens(theta.log_softmax(-1)).sum(1)).sum()
    kl = (drawn * (drawn.log() - of_tokens(START.log_softmax(-1)).sum(1))).sum()
    assert torch.allclose(value, kl - (drawn * drawn.log()).sum(), rtol=1e-12)
    (gradient,) = torch.autograd.grad(value, theta)
    assert apart(gradient, exact("forward")) < 1e-12


@pytest.mark.parametrize("single_step", [True, False])
def test_i20_weights_of_the_whole_text_are_unbiased_and_those_of_the_token_are_not(single_step):
    free = {"single_step": single_step, "length_norm": False, "clip": None}
    assert apart(expected(blend(0.4), importance="text", **free), exact()) < 1e-12
    assert apart(expected(blend(0.4), importance="token", **free), exact()) > 0.01


def test_without_the_teachers_share_the_weights_are_one():
    free = {"length_norm": False, "clip": None}
    assert apart(expected(blend(0.0), importance="token", **free), exact()) < 1e-12


def test_what_follows_is_a_mean_over_what_follows_and_the_last_token_has_nothing():
    loss = WholeText(discount=1.0, length_norm=True)
    reward, owners = torch.tensor([1.0, 2.0, 6.0, 5.0, 7.0]), torch.tensor([0, 0, 0, 1, 1])
    assert loss._follow(reward, owners).tolist() == [4.0, 6.0, 0.0, 7.0, 0.0]
    assert WholeText(single_step=False)._follow(reward, owners).tolist() == [3.0, 4.0, 6.0, 6.0, 7.0]
    assert WholeText(discount=0.0)._follow(reward, owners).tolist() == [0.0] * 5
    half = WholeText(discount=0.5, length_norm=False)._follow(reward, owners)
    assert half.tolist() == [2.5, 3.0, 0.0, 3.5, 0.0]


def test_a_ratio_beyond_the_clip_moves_nothing():
    own = torch.tensor([-1.0, -1.0], dtype=torch.float64, requires_grad=True)
    theirs = torch.zeros(2, dtype=torch.float64)  # the rewards are positive
    far = torch.tensor([-3.0, -1.0], dtype=torch.float64)
    loss = WholeText(single_step=False, length_norm=False, discount=0.0, clip=0.2)
    loss.of(own, theirs, torch.zeros_like(own), far, torch.tensor([0, 1])).sum().backward()
    assert own.grad.tolist() == [0.0, -1.0]


def test_text_of_the_data_has_no_weight():
    own = torch.tensor([-1.0, -1.0], requires_grad=True)
    behaviour = torch.tensor([torch.inf, -1.0])
    value = WholeText().of(own, torch.zeros(2), own.square(), behaviour, torch.tensor([0, 1]))
    value.sum().backward()
    assert value[0] == 0
    assert own.grad[0] == 0
    assert own.grad[1] != 0
