"""From the ``Source:`` lines of docstrings to BibTeX, so that what a part cites stands in one place only.

A source reads ``Source: AUTHORS (YEAR). TITLE. WHERE``; lines indented further than it go on with it. A part
that rests on several has several.
"""

import inspect
import re
from collections.abc import Iterable

_SOURCE = re.compile(r"^Source: (?P<authors>.+?) \((?P<year>\d{4})\)\. (?P<title>.+?)\. (?P<where>.+)$")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def line(part: object, name: str) -> str:
    """The text after ``name:`` in a docstring, or "" where there is none."""
    return next(iter(lines(part, name)), "")


def lines(part: object, name: str) -> list[str]:
    """Every ``name: …`` of a part's own docstring, continuation lines joined."""
    found: list[str] = []
    going_on = False
    for raw in inspect.cleandoc(getattr(part, "__doc__", None) or "").splitlines():
        if raw.startswith(f"{name}: "):
            found.append(raw.removeprefix(f"{name}: ").strip())
            going_on = True
        elif going_on and raw.startswith("    "):
            found[-1] += " " + raw.strip()
        else:
            going_on = False
    return found


def bibtex(sources: Iterable[str]) -> str:
    """BibTeX of sources (the text after ``Source:``), each once, in the order of first use.

    Raises:
        ValueError: a source is not of the form above.
    """
    return "\n\n".join(_entry(source) for source in dict.fromkeys(sources))


def _entry(source: str) -> str:
    match = _SOURCE.match(f"Source: {source}")
    if match is None:
        raise ValueError(f"not a source: {source!r}; write AUTHORS (YEAR). TITLE. WHERE")
    authors = re.split(r", | & | and ", match["authors"])
    people = [re.sub(r" et al\.?$", " and others", name) for name in authors]
    key = re.sub(r"\W", "", authors[0].split(" et al")[0].split()[-1]).lower() + match["year"]
    key += re.sub(r"\W", "", match["title"].split()[0]).lower()
    told = {"author": " and ".join(people), "title": "{" + match["title"] + "}", "year": match["year"]}
    if arxiv := _ARXIV.search(match["where"]):
        told |= {"eprint": arxiv[1], "archivePrefix": "arXiv"}
    where = _ARXIV.sub("", match["where"]).strip(" .,;")
    if where:
        told["howpublished"] = where
    return f"@misc{{{key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in told.items()) + "}"
