"""A report as data: sections of tables, figures, listings and prose.

One document is made from the facts and written twice, by ``page.py`` as HTML and by ``markdown.py``; so both state
the same facts. Text is kept as it was found: whoever writes it out escapes it.
"""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Item:
    """One cell of a table.

    Attributes:
        text: as shown.
        value: the number behind it, to full precision; the page shows it on hover.
        detail: an interval or a remark, in smaller type.
        best: the best of its column.
        subject: whose colour stands before it.
        href: a relative address.
    """

    text: str
    value: float | None = None
    detail: str = ""
    best: bool = False
    subject: str = ""
    href: str = ""


@dataclass(frozen=True)
class Heading:
    """A column's name, its unit, and an arrow that says which way is better."""

    title: str
    unit: str = ""
    arrow: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    kind: ClassVar[str] = "table"
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Item, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure; ``group`` names the toggle that shows it, ``shown`` whether it starts out shown."""

    svg: str
    group: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Figure:
    """Drawings with one caption, one legend (subject, label) and the numbers they were drawn from."""

    kind: ClassVar[str] = "figure"
    panels: tuple[Panel, ...]
    caption: str
    legend: tuple[tuple[str, str], ...] = ()
    numbers: Table | None = None

    @property
    def groups(self) -> tuple[tuple[str, bool], ...]:
        """Toggles: name and whether its panels start out shown; none where there is but one."""
        found = {panel.group: panel.shown for panel in self.panels if panel.group}
        return tuple(found.items()) if len(found) > 1 else ()


@dataclass(frozen=True)
class Prose:
    kind: ClassVar[str] = "prose"
    text: str


@dataclass(frozen=True)
class Remarks:
    """What is missing or odd, one line each."""

    kind: ClassVar[str] = "remarks"
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """Text shown letter by letter: a formula, a command, BibTeX."""

    kind: ClassVar[str] = "listing"
    text: str
    language: str = ""
    label: str = ""


@dataclass(frozen=True)
class Pairs:
    """Names and what they stand for."""

    kind: ClassVar[str] = "pairs"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Voices:
    """What each subject wrote after the same prompt: ``(prompt, ((subject, label, text), …))``; and for each prompt the
    picture that was shown with it (a ``data:`` address), empty for none."""

    kind: ClassVar[str] = "voices"
    prompts: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    caption: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """A token of a text: ``shade`` from 0 to 1, and two lists of (text, figure) that stand side by side on hover."""

    text: str
    shade: float
    over: str
    left: tuple[tuple[str, str], ...]
    right: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shaded:
    """Texts whose tokens are shaded: (subject, label, remark, tokens); ``worst`` says the same in numbers."""

    kind: ClassVar[str] = "shaded"
    texts: tuple[tuple[str, str, str, tuple[Token, ...]], ...]
    caption: str
    worst: Table


Block = Table | Figure | Prose | Remarks | Listing | Pairs | Voices | Shaded


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: of the run or sweep.
        kicker: what kind of report it is, in a few words.
        headline: the verdict in a few words.
        sentence: the verdict with its numbers.
        remarks: what a reader has to know before anything else.
        sections: in reading order; empty ones are left out.
    """

    title: str
    kicker: str
    headline: str
    sentence: str
    remarks: tuple[str, ...]
    sections: tuple[Section, ...] = field(default=())


SUBJECT_NAMES = {
    "teacher": "teacher",
    "student": "student",
    "control": "control",
    "control_compute": "control, extra steps",
}


def label(subject: str) -> str:
    """A subject's name as a reader sees it."""
    return SUBJECT_NAMES.get(subject, subject)


def colour(subject: str) -> str:
    """The class that carries the subject's colour and dash, the same in every picture."""
    return f"s-{subject}" if subject in SUBJECT_NAMES else "s-other"
