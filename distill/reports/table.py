"""The result table in the terminal, with the verdict above it.

Subjects are rows where the terminal is wide enough, columns where it is not, so that every number stays readable at
80 columns; a table of many settings shows its first columns, one of two runs all of them. Text is shown letter by
letter: no markup and no control character of a name is obeyed.
"""

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from distill.reports.document import Document, Heading, Item, Table
from distill.reports.escaping import shown

_SECTIONS = ("All settings", "Result", "The best setting")
_FIRST = ("Domain shift", "By domain")
"""Of these the first table alone: what it leaves out is in the report."""
_COLOURS = {"teacher": "bright_black", "student": "blue", "control": "dark_orange", "control_compute": "green"}


def show(document: Document, console: Console) -> None:
    """Print verdict, remarks and the result tables of a report."""
    console.print(Text.assemble((f"{shown(document.headline)}. ", "bold"), shown(document.sentence)))
    for line in document.remarks:
        console.print(Text(f"! {shown(line)}", "yellow"))
    for section in document.sections:
        if section.title.startswith((*_SECTIONS, *_FIRST)):
            for block in section.blocks[: 1 if section.title in _FIRST else None]:
                if isinstance(block, Table):
                    console.print()
                    if section.title in _FIRST:
                        console.print(Text(shown(f"{section.title}: {block.caption}"), "dim"))
                    console.print(fitting(block, console))


def fitting(table: Table, console: Console) -> Grid:
    """The table as it is; where it is too wide, turned on its side, or with its first columns only."""
    turned = _turned(table)
    for count in range(len(table.headings), 1, -1):
        upright = _grid(table.headings[:count], tuple(row[:count] for row in table.rows))
        if _fits(upright, console):
            if count < len(table.headings):
                upright.caption = Text(f"{len(table.headings) - count} more columns in report.md", "dim")
            return upright
        if _fits(turned, console):
            return turned
    return turned


def whole(table: Table, console: Console) -> Grid:
    """Every column of the table; where it is too wide, words are folded and numbers are not."""
    grid = _grid(table.headings, table.rows)
    fits = _fits(grid, console)
    for column, heading in zip(grid.columns, table.headings, strict=True):
        column.no_wrap = heading.numeric or fits
        column.overflow = "fold"
    return grid


def _fits(grid: Grid, console: Console) -> bool:
    return console.measure(grid, options=console.options.update(width=10_000)).maximum <= console.width


def _grid(headings: tuple[Heading, ...], rows: tuple[tuple[Item, ...], ...]) -> Grid:
    grid = _empty()
    for heading in headings:
        words = "\n".join(filter(None, [heading.title, " ".join(filter(None, [heading.unit, heading.arrow]))]))
        grid.add_column(Text(shown(words, lines=True)), justify="right" if heading.numeric else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*(_text(item) for item in row))
    return grid


def _turned(table: Table) -> Grid:
    grid = _empty()
    grid.add_column(Text(shown(table.headings[0].title)), justify="left")
    for row in table.rows:
        grid.add_column(_text(row[0]), justify="right")
    for i, heading in enumerate(table.headings[1:], start=1):
        name = " ".join(filter(None, [heading.title, heading.unit, heading.arrow]))
        grid.add_row(Text(shown(name)), *(_text(row[i]) for row in table.rows))
    return grid


def _empty() -> Grid:
    return Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)


def _text(item: Item) -> Text:
    style = "bold" if item.best else _COLOURS.get(item.subject, "")
    words = Text(shown(item.text), style)
    if item.best:
        words.append(" *")
    if item.detail:
        words.append(f" {shown(item.detail)}", "dim")
    return words
