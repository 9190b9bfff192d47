"""The text inside every Python: the language reference of ``pydoc_data.topics`` and the standard library's docstrings.

About 2,250 documents and 1.65 million characters, with nothing to download. The sources are parsed, never imported or
run. Which documents there are depends on the Python version, so the corpus hash in a report tells two versions apart.
Left out on purpose: tests, the IDLE editor and other programs that some distributions package apart, and docstrings
of fewer than 200 characters ("Return the name."), which are counted as short.
"""

import ast
import hashlib
import json
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import SHORT, Corpus, Tally, gather
from distill.data.keep import kept
from distill.errors import BadInput

FORMAT = 2
"""Of what is kept."""
SHORTEST = 200
REFERENCE, LIBRARY = "reference", "library"
"""The two domains: topics of the language reference, docstrings of the standard library."""
PACKAGED_APART = frozenset({"ensurepip", "idlelib", "lib2to3", "test", "tests", "turtledemo"})
LEFT_OUT = PACKAGED_APART | {"__pycache__", "dist-packages", "pydoc_data", "site-packages"}
UNREADABLE = "unreadable"
TOPICS = "pydoc_data/topics.py"


def python_docs(cache: Path | None = None, library: Path | None = None) -> Corpus:
    """The documentation inside this Python, each document once.

    Args:
        cache: a folder in which what was gathered is kept, since parsing 575 files takes 2 to 4 s.
        library: the folder of the standard library's sources; this Python's own by default.

    Raises:
        BadInput: this Python has no sources (an embedded or a stripped one).
    """
    tally = Tally()
    return gather(f"the documentation inside Python {sys.version.split()[0]}", docs(tally, cache, library), tally)


def docs(tally: Tally, cache: Path | None = None, library: Path | None = None) -> Iterator[str]:
    """The same as a reader: texts, with the tally saying where each is from and which were no documents."""
    root = library or Path(sysconfig.get_paths()["stdlib"])
    sources = _sources(root)
    if not (root / TOPICS).is_file() or not sources:
        raise BadInput(str(root), "this Python carries no documentation", remedy="data.path=FILE_OR_FOLDER")
    folder = cache and cache / "corpora"
    parts = json.loads(kept(folder, _name(root, sources), lambda: json.dumps(_texts(root, sources))))
    for domain, texts in parts.items():
        tally.domain = domain
        for text in texts:
            tally.rows += 1
            if text is None:
                tally.drop(UNREADABLE)
            elif text.strip() and len(text) < SHORTEST:
                tally.drop(SHORT)
            else:
                yield text


def _sources(root: Path) -> list[Path]:
    """Every module, in an order that no file system changes."""
    found = [path for path in root.rglob("*.py") if LEFT_OUT.isdisjoint(path.relative_to(root).parts)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _name(root: Path, sources: list[Path]) -> str:
    """Keyed by the version and by the files: distributions patch and strip the same version differently."""
    files = [(path.relative_to(root).as_posix(), path.stat().st_size) for path in [root / TOPICS, *sources]]
    key = hashlib.sha256(json.dumps([FORMAT, sys.version, files]).encode()).hexdigest()
    return f"python-{sys.version_info[0]}.{sys.version_info[1]}-{key[:16]}.json"


def _texts(root: Path, sources: list[Path]) -> dict[str, list[str | None]]:
    """By domain; None stands for a file that cannot be parsed."""
    library: list[str | None] = []
    for path in sources:
        try:
            library.extend(_docstrings(_parsed(path)))
        except (SyntaxError, ValueError, RecursionError):
            library.append(None)
    return {REFERENCE: list(_topics(root / TOPICS)), LIBRARY: library}


def _topics(path: Path) -> Iterator[str]:
    """The strings of ``topics = {name: text, …}``, read as data."""
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign):
            yield from ast.literal_eval(node.value).values()


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Of the module, its classes and its functions, breadth first, without their indentation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def _parsed(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in somebody else's sources are not this program's news
        return ast.parse(path.read_bytes())
