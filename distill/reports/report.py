"""Write the report of a run, a sweep, or several folders: ``report.html`` and ``report.md``, the same facts.

    distill report runs/quickstart-1a2b3c4d

Both files replace their predecessors whole or not at all. Imports no torch: a page for 16 runs takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.reports.document import Document
from distill.reports.gather import gather
from distill.reports.markdown import markdown
from distill.reports.page import html
from distill.reports.story import story
from distill.storage import write_text


@dataclass(frozen=True)
class Written:
    """What was written where; ``document`` is what both files say."""

    document: Document
    html: Path
    markdown: Path


def write(folders: Sequence[Path], into: Path | None = None) -> Written:
    """Gather the folders and write their report.

    Args:
        folders: run folders, sweep folders, or folders of runs.
        into: where the two files go; without it into the folder, or into the current one if there are several.

    Raises:
        BadInput: a folder is missing or holds no run.
        ResourceStop: the report cannot be written.
    """
    base = into or (folders[0] if len(folders) == 1 else Path())
    return written(story(gather(folders), base), base)


def written(document: Document, folder: Path) -> Written:
    """Write a document as both files.

    Raises:
        ResourceStop: the place cannot be written.
    """
    page, text = folder / "report.html", folder / "report.md"
    write_text(page, html(document))
    write_text(text, markdown(document))
    return Written(document, page, text)
