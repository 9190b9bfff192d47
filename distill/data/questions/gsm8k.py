"""GSM8K: grade-school mathematics with rationales that people wrote; read from a file, never shipped."""

import re
from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import Tally
from distill.data.questions.question import Question, Reader
from distill.data.records import of_files
from distill.errors import BadInput

CALCULATED = re.compile(r"<<[^<>]*>>")


class GSM8K(Reader):
    """GSM8K as its authors publish it: question, and an answer that ends in ``#### 18``.

    Source: Cobbe et al. (2021). Training Verifiers to Solve Math Word Problems. arXiv:2110.14168

    Args:
        path: train.jsonl or test.jsonl, maybe .gz.
        calculator: keep the marks of its calculator, ``<<16-3-4=9>>``.
    """

    def __init__(self, path: str, calculator: bool = False) -> None:
        self.source, self.path, self.calculator = path, Path(path).expanduser(), calculator

    def read(self, tally: Tally) -> Iterator[Question]:
        for record in of_files(self.path, tally):
            whole, mark, answer = record.text("answer").rpartition("####")
            if not mark:
                raise BadInput(record.place, "an answer without ####", remedy="is this GSM8K?")
            rationale = whole if self.calculator else CALCULATED.sub("", whole)
            tally.domain = "gsm8k"
            yield Question(record.text("question"), answer.strip(), (rationale.strip(),), "gsm8k")
