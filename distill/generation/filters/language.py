"""By language, as py3langid guesses it (the extra ``language``)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import Natural


class Language(Filter):
    """Texts in one of some languages. Short ones cannot be told apart, so they stay.

    Source: Lui & Baldwin (2012). langid.py: An Off-the-shelf Language Identification Tool. ACL demo; as py3langid

    Args:
        languages: ISO 639-1.
        shortest: characters below which nobody guesses.

    Raises:
        BadInput: py3langid is not installed, or does not know a language.
    """

    def __init__(self, languages: list[str] | None = None, shortest: Natural = 20) -> None:
        self.languages, self.shortest = languages or ["en"], shortest
        known = {str(one) for one in self._guess.labels}
        if strangers := [one for one in self.languages if one not in known]:
            raise BadInput("filters.language.languages", "is no language that py3langid knows", value=strangers[0])

    @cached_property
    def _guess(self) -> Any:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError:
            reason = "py3langid is not installed"
            raise BadInput("filters.language", reason, remedy="pip install 'distill-lab[language]'") from None
        return LanguageIdentifier.from_model_file(MODEL_FILE)

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        texts = [one.text.strip() for one in group]
        return [len(one) < self.shortest or self._guess.classify(one)[0] in self.languages for one in texts]
