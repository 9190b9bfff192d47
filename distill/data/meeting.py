"""How two tokenizers meet: what they have in common and where they part, in numbers; read off the two alone.

Whether a training may go on with them is told by ``vocabulary.py``; here is what a person reads beside that verdict.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from distill.data.encode import Marks


@dataclass(frozen=True)
class Meeting:
    """Two tokenizers side by side.

    Attributes:
        teacher, student: tokens that each knows.
        strings: tokens that both know, whatever their ids.
        same_ids: those of them that have one id.
        templates: ``same``, ``other``, ``one`` (one side has none) or ``none``.
        begin, end: the marks of documents, (teacher's, student's); None where there is none.
    """

    teacher: int
    student: int
    strings: int
    same_ids: int
    templates: str
    begin: tuple[str | None, str | None]
    end: tuple[str | None, str | None]

    @classmethod
    def of(cls, teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase) -> "Meeting":
        theirs, ours = teacher.get_vocab(), student.get_vocab()
        both = theirs.keys() & ours.keys()
        marks = Marks.of(teacher), Marks.of(student)
        return cls(
            teacher=len(theirs),
            student=len(ours),
            strings=len(both),
            same_ids=sum(theirs[token] == ours[token] for token in both),
            templates=_templates(teacher.chat_template, student.chat_template),
            begin=(_token(teacher, marks[0].begin), _token(student, marks[1].begin)),
            end=(_token(teacher, marks[0].end), _token(student, marks[1].end)),
        )

    @property
    def overlap(self) -> float:
        """Of the student's tokens, the share that the teacher knows too."""
        return self.strings / max(self.student, 1)

    @property
    def agreement(self) -> float:
        """Of the tokens that both know, the share with one id."""
        return self.same_ids / max(self.strings, 1)

    def differences(self) -> list[str]:
        """What else is not the same on both sides, a line each."""
        told = []
        if self.templates in ("other", "one"):
            told.append({"other": "other chat templates", "one": "a chat template on one side only"}[self.templates])
        for name, (theirs, ours) in (("begin", self.begin), ("end", self.end)):
            if theirs != ours:
                told.append(f"documents {name} with {_shown(theirs)} for the teacher, {_shown(ours)} for the student")
        return told


def _templates(one: object, other: object) -> str:
    if not one and not other:
        return "none"
    return "one" if not one or not other else "same" if one == other else "other"


def _token(tokenizer: PreTrainedTokenizerBase, index: int | None) -> str | None:
    return None if index is None else str(tokenizer.convert_ids_to_tokens(index))


def _shown(token: str | None) -> str:
    return "no mark" if token is None else repr(token)
