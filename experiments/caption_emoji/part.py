"""Noto's emoji as pictures, their names as captions: 1,377 of them, named by people.

Pictures are PNGs inside Debian's ``fonts-noto-color-emoji`` (Apache-2.0), read by fontTools without any shaping; names
are the package ``emoji``'s (BSD-3). Flags and sequences of several characters are left out: they need shaping.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.data.corpus import Tally
from distill.data.source import Item, Source
from distill.errors import BadInput

NAMELESS = "nameless"


class NotoEmoji(Source):
    """Emoji of one code point each, in the order of their code points.

    Args:
        font: ``NotoColorEmoji.ttf``.

    Raises:
        BadInput: the font or a package is missing.
    """

    def __init__(self, font: str) -> None:
        self.font = Path(font)
        if not self.font.is_file():
            remedy = "apt-get install --no-install-recommends fonts-noto-color-emoji"
            raise BadInput("data.source.font", "is not there", value=font, remedy=remedy)
        if missing := [name for name in ("fontTools", "emoji") if find_spec(name) is None]:
            raise BadInput("data.source", f"needs {' and '.join(missing)}", remedy="pip install fonttools emoji")

    @property
    def name(self) -> str:
        return "Noto emoji and their English names"

    def items(self, tally: Tally) -> Iterator[Item]:
        import emoji
        from fontTools.ttLib import TTFont

        font: Any = TTFont(self.font, lazy=True)
        pictures = font["CBDT"].strikeData[0]
        for code, glyph in sorted(font.getBestCmap().items()):
            if glyph not in pictures:
                continue
            tally.rows += 1
            told = emoji.demojize(chr(code))
            if told == chr(code):
                tally.drop(NAMELESS)
                continue
            caption = told.strip(":").replace("_", " ").lower()
            yield Item(f"U+{code:04X}", bytes(pictures[glyph].imageData), {"text": caption})
