"""By length, and by whether the author came to an end."""

from collections.abc import Sequence

from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import Natural


class Length(Filter):
    """Texts of a length, ended by their author.

    Args:
        shortest, longest: characters; null for no limit above.
        ended: drop what was cut off.
    """

    def __init__(self, shortest: Natural = 1, longest: Natural | None = None, ended: bool = True) -> None:
        self.shortest, self.longest, self.ended = shortest, longest, ended

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        return [
            len(one.text.strip()) >= self.shortest
            and (self.longest is None or len(one.text) <= self.longest)
            and (one.ended or not self.ended)
            for one in group
        ]
