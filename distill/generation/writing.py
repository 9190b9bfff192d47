"""Ask an author about prompts, batch by batch, and keep every batch at once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.generation.asking import Asking
from distill.generation.candidate import Candidate, Prompt
from distill.generation.parts import Parts
from distill.teachers.author import Ask, Author


@dataclass(frozen=True)
class Progress:
    """How far a job is, for whoever shows it."""

    prompts: int
    tokens: int
    seconds: float

    @property
    def pace(self) -> float:
        """Tokens a second, of this call."""
        return self.tokens / self.seconds if self.seconds else 0.0


def write(
    author: Author,
    prompts: Sequence[Prompt],
    asking: Asking,
    ask: Ask,
    parts: Parts,
    batch_size: int,
    seed: int,
    told: Callable[[Progress], object] = lambda progress: None,
) -> Progress:
    """Write after every prompt that is not answered yet.

    Args:
        prompts: with different keys.
        batch_size: prompts at once; what is written does not depend on it, but for rounding.
        seed: of all draws; a prompt's own is made of it and of its key.
        told: hears of every batch.
    """
    done = parts.done()
    left = [prompt for prompt in prompts if prompt.key not in done]
    begun, tokens = time.perf_counter(), 0
    progress = Progress(0, 0, 0.0)
    for start in range(0, len(left), batch_size):
        some = left[start : start + batch_size]
        written = author.write([one.text for one in some], ask, [_seed(one, seed) for one in some])
        found = [
            Candidate(
                key=prompt.key,
                number=number,
                text=one.text,
                answer=asking.read(one.text, prompt.reference),
                tokens=one.tokens,
                nats=one.nats,
                ended=one.ended,
                question=prompt.question,
                reference=prompt.reference,
                domain=prompt.domain,
                asked=prompt.text,
            )
            for prompt, several in zip(some, written, strict=True)
            for number, one in enumerate(map(asking.cut, several))
        ]
        parts.write(found)
        tokens += sum(one.tokens for one in found)
        progress = Progress(start + len(some), tokens, time.perf_counter() - begun)
        told(progress)
    return progress


def _seed(prompt: Prompt, seed: int) -> int:
    """63 bits of the prompt's key and the job's seed."""
    return (int(prompt.key[:16], 16) ^ (seed * 0x9E3779B97F4A7C15)) % 2**63
