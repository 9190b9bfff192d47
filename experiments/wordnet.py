"""The lines of WordNet's files: which folder, which part of speech, without the licence."""

from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import Tally
from distill.errors import BadInput


def entries(folder: str | None, part: str, tally: Tally) -> Iterator[tuple[str, str, str]]:
    """(where it stands, the line, its gloss without examples) of every synset of ``data.PART``, each a row counted.

    Args:
        folder: that holds ``data.noun`` and its like.
        part: ``noun``, ``verb``, ``adj`` or ``adv``.

    Raises:
        BadInput: WordNet is not there.
    """
    file = Path(folder or "").expanduser() / f"data.{part}"
    if not file.is_file():
        raise BadInput(str(file), "WordNet is not there", remedy="apt-get install wordnet-base, or data.path=FOLDER")
    for number, line in enumerate(file.read_text(encoding="latin-1").splitlines(), start=1):
        if not line.startswith("  "):  # the licence
            tally.rows += 1
            yield f"{file}:{number}", line, line.partition("| ")[2].partition('; "')[0].strip()
