"""Beam search beside the naive search over all texts."""

from itertools import product

import pytest
import torch

from distill.rollouts.beam import search
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.scoring import scored

END = 0


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(vocabulary=6, width=8, seed=4).double().eval()


def likelihoods(model, prompt, length):
    """log p of every text of at most ``length`` tokens that ends, or is cut."""
    found = {}
    for text in (t for n in range(1, length + 1) for t in product(range(6), repeat=n)):
        if END in text[:-1] or (len(text) < length and text[-1] != END):
            continue
        found[text] = -scored(model, [prompt], [torch.tensor(text)], 6)[0]
    return found


def test_a_wide_beam_finds_the_best_text(model):
    prompts = [torch.tensor([1, 2]), torch.tensor([3, 4, 5])]
    language = Language(frozenset({END}), vocabulary=6)
    found = search(Pen(model, prompts, 3, language), 2, 6, 3, language.ends, power=0.0)
    for prompt, hypotheses in zip(prompts, found, strict=True):
        every = likelihoods(model, prompt, 3)
        best = hypotheses[0]
        assert every[tuple(best.tokens.tolist())] == pytest.approx(best.log_probability, abs=1e-6)
        assert best.log_probability == pytest.approx(max(every.values()), abs=1e-6)
        assert [h.score(0.0) for h in hypotheses] == sorted((h.score(0.0) for h in hypotheses), reverse=True)
        assert all(h.ended == (int(h.tokens[-1]) == END) for h in hypotheses)


def test_scores_are_those_of_one_text_alone(model):
    prompts, texts = (
        [torch.tensor([1]), torch.tensor([2, 3, 4])],
        [torch.tensor([5, 1, 0]), torch.tensor([], dtype=torch.long)],
    )
    both = scored(model, prompts, texts, 6)
    assert both[1] == 0.0
    assert both[0] == pytest.approx(scored(model, prompts[:1], texts[:1], 6)[0], abs=1e-9)
    with torch.no_grad():
        log_p = model(torch.tensor([[1, 5, 1]])).logits[0].log_softmax(-1)
    assert both[0] == pytest.approx(-float(log_p[range(3), [5, 1, 0]].sum()), abs=1e-6)
