"""Endless word problems with a rationale each, made by reasoning-gym from a hundred templates."""

from collections.abc import Iterator

from distill.data.corpus import Tally
from distill.data.questions.question import Question, Reader
from distill.errors import BadInput
from distill.ranges import Count, Natural

ENDING = " Give the result as your final answer. Do not include units."


class GSMSymbolic(Reader):
    """Problems like GSM8K's with other names and numbers at every draw.

    Source: Mirzadeh et al. (2024). GSM-Symbolic. arXiv:2410.05229; as reasoning-gym makes them (needs the extra
        ``reasoning``).

    Args:
        count: problems that are drawn; equal ones are one.
        seed: of the draw.
        templates: numbers of the templates that are drawn from; null for all hundred. A domain is a template.
    """

    def __init__(self, count: Count = 2000, seed: Natural = 0, templates: list[int] | None = None) -> None:
        self.count, self.seed, self.templates = count, seed, templates
        self.source = f"gsm_symbolic ({count:,} problems)"

    def read(self, tally: Tally) -> Iterator[Question]:
        from random import Random

        known = _generators()
        chosen = sorted(known) if self.templates is None else self.templates
        if strangers := [number for number in chosen if number not in known]:
            reason = "no such template, or one that reasoning-gym leaves out"
            raise BadInput("data.questions.templates", reason, value=strangers[0])
        for index in range(self.count):
            chance = Random(self.seed * 1_000_003 + index)
            number = chance.choice(chosen)
            made = known[number](chance, 1.0)
            rationale = str(made["metadata"]["answer_cot"]).rpartition("####")[0].strip()
            tally.rows += 1
            tally.domain = f"template_{number}"
            text = str(made["question"]).removesuffix(ENDING)
            yield Question(text, str(made["answer"]), (rationale,), tally.domain)


def _generators() -> dict:
    try:
        from reasoning_gym.arithmetic.gsm_symbolic import gsm_symbolic as gym
    except ImportError:
        reason = "reasoning-gym is not installed"
        raise BadInput("data.questions", reason, remedy="pip install 'distill-lab[reasoning]'") from None
    made = gym.GSMSymbolicDataset(gym.GSMSymbolicDatasetConfig(seed=0, size=1))
    return {number: made.generators[number] for number in sorted(set(gym.tasks_ok))}
