"""How much a model's prediction suffers when its prompt is spoiled: letters lost, doubled, exchanged."""

import random
from collections.abc import Mapping, Sequence

import torch

from distill.data.prompts import Prompt
from distill.divergences.kl import forward_kl
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, PromptMeasure
from distill.evaluation.sampling import sides
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.ranges import Count, Fraction, Natural
from distill.types import Outputs


class Noise(PromptMeasure):
    """What typing errors in a prompt cost: nats a token of the true continuation, and how far the prediction moves.

    Formula: noise_nats_per_token_change = mean −log q(y | x′) + log q(y | x); noise_kl = mean KL(q(· | x) ‖ q(· | x′))
        over the tokens y of how the document goes on, x′ the prompt with errors
    Source: Belinkov and Bisk 2018, Synthetic and Natural Noise Both Break Neural Machine Translation,
        https://arxiv.org/abs/1711.02173 (swaps and losses of letters).

    Args:
        prompts: beginnings of held-out documents.
        rate: chance of an error at a letter or digit: lost, doubled, or exchanged with the next, equally often.
        seed: of the errors, which are the same for every subject.

    The errors are in the text, so every tokenizer reads the same ones. Intervals: bootstrap over prompts.
    """

    def __init__(self, prompts: Count = 64, rate: Fraction = 0.1, seed: Natural = 0) -> None:
        self.prompts, self.rate, self.seed = prompts, rate, seed

    def measure(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> Mapping[str, list[Measured]]:
        noisy = [spoiled(one.text, self.rate, random.Random(self.seed + i)) for i, one in enumerate(prompts)]
        return {subject.name: self._rows(subject, prompts, noisy) for subject in subjects}

    def _rows(self, subject: Subject, prompts: Sequence[Prompt], noisy: Sequence[str]) -> list[Measured]:
        change, apart = SampleMean(), SampleMean()
        for number, (prompt, text) in enumerate(zip(prompts, noisy, strict=True)):
            follows = subject.tokenizer(prompt.continuation, add_special_tokens=False).input_ids
            if not follows:
                continue
            told = [_answered(subject, beginning, follows) for beginning in (prompt.text, text)]
            for rows, clean, spoilt in sides(*told):
                at, owners = torch.tensor(follows)[rows, None].to(clean.device), torch.full((len(clean),), number)
                change.add((clean.gather(1, at) - spoilt.gather(1, at))[:, 0], owners)
                apart.add(forward_kl(clean, spoilt), owners)
        return [
            Measured("noise_nats_per_token_change", change.value, "nats/token", change.n, *change.interval()),
            Measured("noise_kl", apart.value, "nats/token", apart.n, *apart.interval()),
            Measured("noise_seed", self.seed, "count", len(prompts)),
        ]


@torch.no_grad()
def _answered(subject: Subject, prompt: str, follows: list[int]) -> Outputs:
    """At the states that predict the continuation; the prompt's beginning is cut where positions do not suffice."""
    longest = getattr(subject.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    begun = subject.tokenizer(prompt).input_ids or [subject.tokenizer.bos_token_id or 0]
    begun = begun if longest is None else begun[-max(1, longest - len(follows)) :]
    ids = torch.tensor([[*begun, *follows[:-1]]], device=subject.model.device)  # (1, S)
    positions = torch.arange(len(begun) - 1, ids.shape[1], device=ids.device)
    return answer(subject.model, {"input_ids": ids}, positions, vocabulary=subject.vocabulary)


def spoiled(text: str, rate: float, chance: random.Random) -> str:
    """The text with errors at letters and digits; at a rate of 0 the text itself."""
    letters, at, written = list(text), 0, []
    while at < len(letters):
        letter = letters[at]
        if not letter.isalnum() or chance.random() >= rate:
            written.append(letter)
        elif (kind := chance.randrange(3)) == 1:
            written += [letter, letter]
        elif kind == 2 and at + 1 < len(letters):
            written += [letters[at + 1], letter]
            at += 1
        at += 1
    return "".join(written)
