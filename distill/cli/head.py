"""What a run says of its teacher before it begins: distill preflight in three lines, at no cost worth naming.

A teacher whose weights are not here yet, or that would have to be asked over a network, is not loaded or asked for it.
"""

from typing import TYPE_CHECKING

from distill.cli.candidates import store_bytes
from distill.cli.estimate import amount, estimate

if TYPE_CHECKING:
    from distill.cli.parts import Parts

SAMPLES = 8
"""Held-out samples at least; one batch of the quickstart."""


def head(parts: "Parts") -> list[str]:
    """Lines about memory and passes, the store, and the teacher on a little held-out text."""
    if not parts.teacher.provides:
        return []
    cost = estimate(parts.config, parts.plugins)
    store = store_bytes(parts)
    kept = "" if store is None else f"; its word about all of the text takes {amount(store)} (teacher=stored)"
    passes = cost.steps["student"] * parts.config["trainer"].get("accumulate_grad_batches", 1)
    told = [f"at most {passes:,} teacher passes, about {amount(cost.memory)} of memory{kept}"]
    return told + _heard(parts)


def _heard(parts: "Parts") -> list[str]:
    from distill.evaluation.aptitude import aptitude

    teacher = parts.teacher
    here = "logits" in teacher.provides and teacher.exact is teacher and not teacher.changes
    if not here or parts.data.task.family != "causal":
        return []
    found = aptitude(teacher, None, parts.data.validation_batches(), SAMPLES, parts.vocabulary)
    if not found.tokens:
        return []
    likelihood = f"{found.nats.value:.2f} nats a token, {found.bits_per_byte:.2f} bits a byte"
    right = f"right at {100 * found.accuracy.value:.0f} % of them, calibration error {found.calibration_error:.2f}"
    said = f"the teacher on {found.tokens:,} held-out tokens: {likelihood}, entropy {found.entropy.value:.2f}, {right}"
    return [f"{said} (distill preflight compares teachers)"]
