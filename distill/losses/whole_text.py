"""The reverse KL of whole texts, by policy gradient: MiniLLM, and sampled-token on-policy distillation as its corner.

A token changes what comes after it, which no divergence of one position can see. The gradient has two parts: what the
token's own distribution costs, which is known exactly over the whole vocabulary, and what follows from the token that
was drawn, which is estimated by the text that was written. Each part and each correction is a switch here, so that the
paper's ablation, the authors' code and the plain policy gradient are settings of one loss.

Left out on purpose: several updates on one writing (the paper's four inner epochs) and its language modelling term,
which is a second loss on text of the data.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.divergences.kl import reverse_kl
from distill.errors import BadInput
from distill.losses.loss import StateLoss
from distill.losses.pieces import at, of_tokens, suffix_sums
from distill.losses.quantity import Quantity
from distill.ranges import Fraction, Positive
from distill.types import Batch, Outputs, Signal


class WholeText(StateLoss):
    """Reverse KL of the texts that a student writes, what follows from a token included (MiniLLM).

    Formula: ∇ = E Σ_t w_t ∇KL(q_t ‖ p_t) − E Σ_t ∇min(ρ_t A_t, clip(ρ_t, 1 ± ε) A_t), A_t = γ R_{t+1} (over its
        tokens), R_t = r_t + γ R_{t+1}, r_t = log p(y_t) − log q(y_t), ρ_t = q(y_t) / p̃(y_t), w_t = ρ_t held fixed
    Source: Gu, Dong, Wei, Huang (2024). MiniLLM: Knowledge Distillation of Large Language Models. arXiv:2306.08543

    The value told is w_t KL(q_t ‖ p_t), or −w_t r_t without the exact part: both estimate the reverse KL a token. It is
    not what the gradient is the slope of; RL losses have no such number.

    The authors' code lets R begin at the token's own reward although the exact part has counted it (``count_twice``),
    and whitens A over the batch (``whiten``); neither is in the paper. Their divisor of R_{t+1} is one less than the
    number of its terms; here it is the number.

    Args:
        single_step: the exact part; without it the token's own reward is in A_t, as drawn.
        length_norm: A_t over the number of its rewards (their discounts summed), so that a long text pays no more.
        discount: γ; 0 leaves what the token itself costs: sampled-token on-policy distillation without ``single_step``.
        importance: w and ρ by the token's own probability (the paper), by the whole text's (unbiased, and of large
            variance), or none.
        clip: ε of the probability ratio, or None.
        clip_reward: rewards are kept within this many nats, or None.
        whiten: A with mean 0 and deviation 1 over the tokens of the micro-batch.
        count_twice: the authors' code: A_t = R_t beside the exact part.
        weight: in the objective's total.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    written: ClassVar[bool] = True

    def __init__(
        self,
        single_step: bool = True,
        length_norm: bool = True,
        discount: Fraction = 1.0,
        importance: Literal["token", "text", "none"] = "token",
        clip: Positive | None = 0.2,
        clip_reward: Positive | None = None,
        whiten: bool = False,
        count_twice: bool = False,
        weight: float | Quantity = 1.0,
    ) -> None:
        super().__init__(weight)
        self.single_step, self.length_norm, self.discount = single_step, length_norm, discount
        self.importance, self.clip, self.clip_reward = importance, clip, clip_reward
        self.whiten, self.count_twice = whiten, count_twice

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        """
        Raises:
            BadInput: nobody wrote this text, or nobody says how likely its tokens were drawn.
        """
        assert signal is not None, "the objective does not measure it without a teacher"
        if "behaviour" not in batch.labels:
            reason = "is about text that a model wrote, and this is the data's"
            raise BadInput("objective", reason, remedy="use rollout=student or rollout=blended")

        def make(log_p: Tensor, log_q: Tensor, rows: slice) -> Tensor:
            token = batch.targets[rows]
            exact = reverse_kl(log_p, log_q) if self.single_step else torch.zeros_like(log_q[:, 0])
            return torch.stack([at(log_q, token), at(log_p, token), exact], -1)

        own, theirs, exact = of_tokens(outputs, signal, make).unbind(-1)  # (N,) each
        return self.of(own, theirs, exact, batch.labels["behaviour"].to(own), batch.owners)

    def of(self, own: Tensor, theirs: Tensor, exact: Tensor, behaviour: Tensor, owners: Tensor) -> Tensor:
        """(N,) values whose gradient is the estimate.

        Args:
            own, theirs: log-probabilities of the written tokens, the student's with a gradient.
            exact: KL(q ‖ p) at each state, with a gradient; not read without ``single_step``.
            behaviour: log-probability with which each was drawn; infinite for a text that nobody drew.
            owners: whose token it is.
        """
        drawn = torch.isfinite(behaviour)
        ratio = self._ratio(own, torch.where(drawn, behaviour, own.detach()), owners)
        weights = ratio.detach() * drawn
        reward = (theirs - own).detach()
        if self.clip_reward is not None:
            reward = reward.clamp(-self.clip_reward, self.clip_reward)
        follow = self._follow(reward, owners)
        gain = ratio * follow
        if self.clip is not None:
            gain = torch.minimum(gain, ratio.clamp(1 - self.clip, 1 + self.clip) * follow)
        surrogate = -gain * drawn
        if self.single_step:
            surrogate = surrogate + weights * exact
        told = weights * (exact.detach() if self.single_step else -reward)
        return told + surrogate - surrogate.detach()

    def _ratio(self, own: Tensor, behaviour: Tensor, owners: Tensor) -> Tensor:
        """(N,) ρ, whose slope is ρ ∇log q of the token."""
        if self.importance == "none":
            return (own - own.detach()).exp()
        if self.importance == "token":
            return (own - behaviour).exp()
        apart = (own - behaviour).detach()
        sums = suffix_sums(apart, owners)
        first = torch.ones_like(owners, dtype=torch.bool)
        first[1:] = owners[1:] != owners[:-1]
        whole = sums[first][first.long().cumsum(0) - 1]  # (N,) of the text that the token is in
        return whole.exp() * (own - own.detach()).exp()

    def _follow(self, reward: Tensor, owners: Tensor) -> Tensor:
        """(N,) A_t."""
        total = suffix_sums(reward, owners, self.discount)
        count = suffix_sums(torch.ones_like(reward), owners, self.discount)
        if self.single_step and not self.count_twice:
            total, count = total - reward, count - 1  # γ R_{t+1} and the discounts in it
        if self.length_norm:
            total = torch.where(count > 0.5 * self.discount, total / count.clamp(min=1e-12), 0.0)
        if self.whiten:
            total = (total - total.mean()) / (total.std(correction=0) + 1e-8)
        return total

    def formula(self) -> str:
        long = "R_t" if self.count_twice or not self.single_step else "γ R_{t+1}"
        parts = [f"A = {long}{' / its tokens' if self.length_norm else ''}", f"γ = {self.discount:g}"]
        parts += [f"weights by {self.importance}"] + ([] if self.clip is None else [f"ε = {self.clip:g}"])
        first = "w KL(q ‖ p) − " if self.single_step else "−"
        return f"{first}min(ρ A, clip(ρ) A); {', '.join(parts)}"
