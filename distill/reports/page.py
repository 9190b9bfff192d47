"""A document as one self-contained HTML page: its style, its script and its pictures are inside.

The page asks the network for nothing, and a Content-Security-Policy makes the browser hold it to that: only the
one script whose hash is named may run, and no address may be loaded. Everything from data, models and configs goes
through Jinja2's autoescape after ``escaping.shown``.
"""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from distill.reports.document import Document, colour
from distill.reports.escaping import shown

_TEMPLATES = ("page.html.j2", "blocks.html.j2", "page.css", "page.js")


def html(document: Document) -> str:
    """The whole page."""
    texts = _texts()
    script = texts["page.js"]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            document=document,
            style=Markup(texts["page.css"]),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        )
    )


@lru_cache(maxsize=1)
def _texts() -> dict[str, str]:
    folder = files("distill.reports") / "templates"
    return {name: (folder / name).read_text(encoding="utf-8").strip("\n") for name in _TEMPLATES}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader(_texts()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else shown(value, lines=True),
    )
    environment.filters["colour"] = colour
    environment.filters["relative"] = lambda path: quote(path, safe="/")
    environment.filters["drawn"] = Markup  # only ever given what drawing.py made, which escapes
    return environment
