"""Questions from the user's own rows, or from what ``distill generate`` wrote."""

from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import NULL, Tally
from distill.data.questions.question import Question, Reader
from distill.data.records import Record, of_files


class Rows(Reader):
    """Rows of a .jsonl or .parquet: question, answer, and one rationale or several.

    Args:
        path: a file or a folder of them; its domains are the rows' own, else the files'.
        question, answer, rationale: the fields; ``rationales`` may hold a list instead of the last.
    """

    def __init__(
        self, path: str, question: str = "question", answer: str = "answer", rationale: str = "rationale"
    ) -> None:
        self.source, self.path = path, Path(path).expanduser()
        self.question, self.answer, self.rationale = question, answer, rationale

    def read(self, tally: Tally) -> Iterator[Question]:
        for record in of_files(self.path, tally):
            if record.value(self.question) is None or record.value(self.answer) is None:
                tally.drop(NULL)
                continue
            tally.domain = record.domain
            text, answer = record.text(self.question), record.text(self.answer)
            yield Question(text, answer.strip(), self._rationales(record), record.domain)

    def _rationales(self, record: Record) -> tuple[str, ...]:
        several = record.fields.get("rationales")
        if isinstance(several, list):
            return tuple(str(one).strip() for one in several if one)
        return (record.text(self.rationale).strip(),) if record.fields.get(self.rationale) is not None else ()
