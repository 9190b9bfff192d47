"""What a word of a command line says of an exported file: a folder with an ``export.json``, or the file inside it.

Such a folder may come from anywhere, so what it says is checked here, before anything is loaded. Left out on purpose:
its manifest, which ``distill export`` writes for whoever passes the folder on.
"""

from pathlib import Path
from typing import Any

from distill.errors import BadInput
from distill.storage import read_json

FACTS, EXPORTS = "export.json", "exports"
"""What an exported folder says of itself, and where a run keeps its own."""
KEYS = {"format": str, "label": str, "subject": str, "file": str, "vocabulary": int}
AGAIN = "make it again: distill export RUN"


def exported_at(word: str) -> tuple[Path, dict[str, Any]] | None:
    """The exported folder that a word names, by itself or by its file, and what it says of itself; None: it is none.

    Raises:
        BadInput: it says what no export says, or its file is not there.
    """
    place = Path(word).expanduser()
    folder = place.parent if place.is_file() else place
    facts = read_json(folder / FACTS)
    if facts is None or (folder != place and facts.get("file") != place.name):
        return None
    for key, kind in KEYS.items():
        if not isinstance(facts.get(key), kind):
            raise BadInput(str(folder / FACTS), f"is no export's: {key} is wrong", value=facts.get(key), remedy=AGAIN)
    file = facts["file"]
    if Path(file).name != file:
        raise BadInput(str(folder / FACTS), "names a file that lies elsewhere", value=file, remedy=AGAIN)
    if facts["format"] != "huggingface" and not (folder / file).is_file():  # that one is checked as any model's folder
        raise BadInput(str(folder), "lacks its file", value=file, remedy=AGAIN)
    return folder, facts


def run_of(folder: Path) -> Path:
    """The run in whose ``exports`` an exported folder lies, or the folder itself."""
    home = folder.resolve().parent
    return home.parent if home.name == EXPORTS else folder
