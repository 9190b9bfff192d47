"""Text from data, models and configs, made harmless: what was written is shown, nothing of it is obeyed.

HTML is escaped by Jinja2 (autoescape) and by ``drawing.py``; the terminal gets ``rich.text.Text``, which reads no
markup. This file holds what all three need first: no control character survives.
"""

import re
from unicodedata import category

_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji need them to be read
_SIGNS = re.compile(r"([\\`*_\[\]|~$@]|:(?=//))")
"""What starts a span, a link, a cell, mathematics, a mention or a bare address, wherever it stands."""
_STARTS = re.compile(r"^(\d*)([#+=.)-])")
"""What makes a line a heading, a list or a rule, if it stands first."""


def shown(text: object, lines: bool = False) -> str:
    """``text`` with every control, bidirectional and surrogate character written out as its escape.

    Args:
        text: anything; shown by ``str``.
        lines: keep line ends and tabs, for text that is shown as a block.
    """
    allowed = _JOINERS + ("\n\t" if lines else "")
    whole = str(text)
    if lines:
        whole = whole.replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in allowed or category(c) == "Zs" else _written_out(c) for c in whole)


def in_markdown(text: object, start: bool = False) -> str:
    """``text`` on one line of Markdown, every sign that Markdown or its HTML could obey made a literal.

    Args:
        text: anything.
        start: it stands at the start of a line.
    """
    plain = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    inert = _SIGNS.sub(r"\\\1", plain)
    return _STARTS.sub(r"\1\\\2", inert.lstrip()) if start else inert


def fenced(text: object, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    body = shown(text, lines=True)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
