"""Show what can be chosen: every group, or the choices of the groups named (distill list losses).

Everything is read from the files: a choice's yaml, and the docstring and class attributes of the part that it names.
No part is imported.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.cli.arguments import Arguments
from distill.cli.definitions import Definition, attribute
from distill.cli.kinds import nearest
from distill.cli.nodes import coarser_of, needs_of, part_of
from distill.cli.sources import Loader, Sources, told
from distill.errors import BadInput


@dataclass(frozen=True)
class Choice:
    """One yaml of a group, as a row of a table."""

    name: str
    says: str
    formula: str
    source: str
    needs: str


def run(arguments: Arguments) -> int:
    """Print a table of groups, or one table for each group named."""
    if arguments.overrides or arguments.multirun:
        raise BadInput("command line", "list takes names of groups only", value=" ".join(arguments.overrides) or "-m")
    sources = Sources.of(arguments.config_dir, arguments.plugins)
    console = Console()
    if not arguments.words:
        console.print(_groups(sources))
    for group in [_group(word, sources) for word in arguments.words]:
        console.print(table(group, choices(group, sources)))
    return 0


def choices(group: str, sources: Sources) -> list[Choice]:
    """Every choice of a group. Where several say the same of themselves, the yaml's own comment tells them apart."""
    paths = {name: path for name in sources.options(group) if (path := sources.file(f"{group}/{name}"))}
    nodes = {name: _node(path) for name, path in paths.items()}
    lines = {name: _docstring(node).partition("\n")[0] for name, node in nodes.items()}
    shared = Counter(lines.values())
    return [
        Choice(
            name=_short(name),
            says=(_comment(path) if shared[lines[name]] > 1 else "") or lines[name] or _comment(path),
            formula=_told("Formula", nodes[name]),
            source=_told("Source", nodes[name]),
            needs=_wants(nodes[name]),
        )
        for name, path in paths.items()
    ]


def table(group: str, rows: list[Choice]) -> Table:
    """The choices of a group, what is known of each on lines of their own: sources are too long for columns."""
    made = Table(title=f"{group}=…", title_justify="left", show_lines=True)
    made.add_column(group, no_wrap=True)
    made.add_column("what it is", overflow="fold")
    for row in rows:
        lines = [Text(row.says)]
        lines += [Text(row.formula, style="cyan")] if row.formula else []
        lines += [Text(row.source, style="dim")] if row.source else []
        lines += [Text(row.needs, style="green")] if row.needs else []
        made.add_row(row.name, Text("\n").join(lines))
    return made


def _groups(sources: Sources) -> Table:
    made = Table(title="distill list GROUP", title_justify="left")
    made.add_column("group", no_wrap=True)
    made.add_column("choices", overflow="fold")
    for group in sources.groups:
        names = ", ".join(_short(name) for name in sources.options(group))
        made.add_row(group, Text(names))
    return made


def _group(word: str, sources: Sources) -> str:
    """The group that a word names, in the singular or the plural."""
    groups = sources.groups
    forms = [word, word.removesuffix("s"), word.removesuffix("es"), f"{word}s"]
    for form in forms:
        if form in groups:
            return form
    close = nearest(word, groups)
    meant = f" (did you mean {close}?)" if close else ""
    raise BadInput("command line", f"no such group, expected one of {', '.join(groups)}{meant}", value=word)


def _short(name: str) -> str:
    """``hinton_2015/hinton_2015`` is written ``hinton_2015``."""
    parts = name.split("/")
    return parts[0] if len(set(parts)) == 1 else name


def _node(path: Path) -> dict:
    """A choice's own keys over those of the choices of its group that its defaults list names."""
    try:
        node = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise BadInput(told(path), "broken YAML", remedy="distill train names the line") from problem
    if not isinstance(node, dict):
        return {}
    below: dict = {}
    for name in node.get("defaults") or []:
        beside = path.with_name(f"{name}.yaml") if isinstance(name, str) and "/" not in name else path
        if beside != path and beside.is_file():
            below |= _node(beside)
    return below | node


def _speakers(node: dict) -> list[Definition]:
    """Whose docstrings describe a choice: its part's first, or first that of the function which the part only wraps
    (a divergence), saying itself no formula."""
    part = part_of(node)
    wrapped = [part_of(value) for value in node.values() if isinstance(value, dict) and value.get("_partial_")]
    says_itself = part is not None and _fields("Formula", part)
    return [one for one in ([part, *wrapped] if says_itself else [*wrapped, part]) if one]


def _docstring(node: dict) -> str:
    return next((one.docstring for one in _speakers(node) if one.docstring), "")


def _told(word: str, node: dict) -> str:
    """The lines of a choice's docstring that start with ``Formula:`` or ``Source:``, then those of the parts in it."""
    own = next((found for one in _speakers(node) if (found := _fields(word, one))), [])
    parts = [part_of(value) for value in node.values() if isinstance(value, dict) and not value.get("_partial_")]
    return "\n".join([*own, *(line for part in parts if part for line in _fields(word, part))])


def _fields(word: str, definition: Definition) -> list[str]:
    pattern = rf"^[ \t]*{word}:[ \t]*(.+?)(?=\n[ \t]*(?:\n|[A-Z]\w*:)|\Z)"
    return [" ".join(found.split()) for found in re.findall(pattern, definition.docstring, re.M | re.S)]


def _wants(node: dict) -> str:
    part = part_of(node)
    if part is not None and isinstance(attribute(part, "needs"), frozenset):
        coarser = coarser_of(node)
        bound = f", or {' or '.join(sorted(coarser))} for a bound" if coarser else ""
        return f"needs {', '.join(sorted(needs_of(node))) or 'nothing'}{bound}"
    provided = attribute(part, "provides") if part else None
    return f"provides {', '.join(sorted(map(str, provided))) or 'nothing'}" if isinstance(provided, frozenset) else ""


def _comment(path: Path) -> str:
    """The first sentence of the comment that a yaml opens with, commands left out."""
    text = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("# ").strip()
        text += [] if words.startswith(("@package", "distill ")) else [words]
    return re.split(r"(?<=[.])(?<! al[.])\s", " ".join(text), maxsplit=1)[0]
