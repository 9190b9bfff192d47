"""Questions with known answers: a teacher is asked to answer them, or to explain the answer."""

from collections.abc import Iterator

from distill.data.corpus import Tally
from distill.data.questions.question import Reader
from distill.generation.asking import Asking
from distill.generation.candidate import Prompt
from distill.generation.prompts.source import Source


class Questions(Source):
    """Questions of any reader of ``data=rationale``; the reference is the known answer.

    Args:
        questions: where they come from.
    """

    def __init__(self, questions: Reader) -> None:
        self.questions = questions

    def prompts(self, asking: Asking, tally: Tally) -> Iterator[Prompt]:
        for one in self.questions.read(tally):
            text = asking.words(one.text, one.answer, one.wrong)
            yield Prompt(text, one.text, one.answer, one.domain)
