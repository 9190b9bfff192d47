"""In which words a teacher is asked, and how its answer is read: a page of config for each way.

Fields in braces are put in: ``{question}``, ``{answer}`` (the known one, to be explained), ``{wrong}`` (one that is not
right; the source's own, else the known number plus one, else nothing is asked), ``{examples}``. Other braces stay as
they are.
"""

import re
from dataclasses import replace

from distill.data.corpus import Tally
from distill.data.questions.question import said
from distill.data.questions.rows import Rows
from distill.errors import BadInput
from distill.ranges import Count
from distill.teachers.author import Writing


class Asking:
    """A template, and where the answer stands in what comes back.

    Args:
        template: of a prompt.
        answer: a regular expression; the last match's first group is the answer, null looks for none.
        given: the answer was told in the prompt, so a text that names none is taken to explain that one.
        examples: a .jsonl of {question, rationale, answer} for ``{examples}``; null for none.
        example: how each is written.
        most: examples that are shown.
        stop: what is written from here on is no part of the text: a model that goes on with the next question.

    Raises:
        BadInput: the expression is none, or the template wants examples and there are none.
    """

    def __init__(
        self,
        template: str = "{question}",
        answer: str | None = None,
        given: bool = False,
        examples: str | None = None,
        example: str = "Q: {question}\nA: {rationale} So the answer is {answer}.\n\n",
        most: Count = 4,
        stop: str | None = None,
    ) -> None:
        self.stop = stop
        self.template, self.given, self.example = template, given, example
        self.answer = None if answer is None else _expression(answer)
        self.shown = "" if examples is None else self._examples(examples, most)
        if "{examples}" in template and not self.shown:
            raise BadInput("ask.examples", "this way of asking shows some", remedy="ask.examples=FILE.jsonl")

    def words(self, question: str, answer: str = "", wrong: str = "") -> str:
        """The prompt."""
        fields = {"question": question, "answer": answer, "wrong": wrong or _other(answer), "examples": self.shown}
        return _filled(self.template, fields)

    def cut(self, writing: Writing) -> Writing:
        """Without what stands behind ``stop``; its tokens and nats stay those of all that was written."""
        if self.stop is None or self.stop not in writing.text:
            return writing
        return replace(writing, text=writing.text[: writing.text.index(self.stop)].strip(), ended=True)

    def read(self, text: str, known: str) -> str:
        """The answer in what came back; "" if nothing was looked for or found."""
        if self.answer is None:
            return known if self.given else ""
        found = said(text, self.answer)
        return found or (known if self.given else "")

    def told(self) -> list[object]:
        """What decides the words, for a fingerprint."""
        return [self.template, self.shown, self.stop]

    def _examples(self, path: str, most: int) -> str:
        rows = list(Rows(path).read(Tally()))[:most]
        bare = [one for one in rows if not one.rationales]
        if bare:
            raise BadInput(
                "ask.examples", "a row has no rationale", value=path, remedy="give question, rationale, answer"
            )
        told = [{"question": one.text, "rationale": one.rationales[0], "answer": one.answer} for one in rows]
        return "".join(_filled(self.example, fields) for fields in told)


def _filled(template: str, fields: dict[str, str]) -> str:
    """Only the named fields, each once: what is put in is not looked at again."""
    names = "|".join(fields)
    return re.sub(r"\{(" + names + r")\}", lambda found: fields[found[1]], template)


def _other(answer: str) -> str:
    """An answer that is not right, of a number."""
    return str(int(answer) + 1) if re.fullmatch(r"-?\d+", answer) else ""


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as problem:
        raise BadInput("ask.answer", f"is no regular expression ({problem})", value=pattern) from problem
