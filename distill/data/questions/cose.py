"""CoS-E: CommonsenseQA with explanations that people wrote; two files that are joined by id."""

from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import Tally
from distill.data.questions.question import Question, Reader
from distill.data.records import Record, of_files
from distill.errors import BadInput

UNEXPLAINED = "no_explanation"


class CoSE(Reader):
    """Questions with choices, and an open-ended explanation of each.

    Source: Rajani et al. (2019). Explain Yourself! Leveraging Language Models for Commonsense Reasoning.
        arXiv:1906.02361

    Its authors warn that some explanations are biased by gender, and many repeat one phrase.

    Args:
        path: of the questions (train_rand_split.jsonl, maybe .xz).
        explanations: of the explanations (cose_train_v1.0.jsonl, maybe .xz).
    """

    def __init__(self, path: str, explanations: str) -> None:
        self.source, self.path = path, Path(path).expanduser()
        self.explanations = Path(explanations).expanduser()

    def read(self, tally: Tally) -> Iterator[Question]:
        told = {one.text("id"): one.value("explanation") for one in of_files(self.explanations, Tally())}
        for record in of_files(self.path, tally):
            tally.domain = "cose"
            explained = told.get(record.text("id"))
            if not isinstance(explained, dict) or not explained.get("open-ended"):
                tally.drop(UNEXPLAINED)
                continue
            yield _question(record, str(explained["open-ended"]).strip())


def _question(record: Record, rationale: str) -> Question:
    try:
        asked = record.value("question")
        choices = {str(one["label"]): str(one["text"]) for one in asked["choices"]}
        right = choices[record.text("answerKey")]
        text = f"{asked['stem']} {', '.join(choices.values())}?"
    except (KeyError, TypeError) as problem:
        raise BadInput(record.place, f"no question of CommonsenseQA ({problem})", remedy="check its path") from None
    wrong = next(one for one in choices.values() if one != right)
    return Question(text, right, (rationale,), "cose", wrong)
