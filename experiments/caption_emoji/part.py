"""Noto's emoji as pictures, their English names as captions, in two parts: single ones, and people in five skin tones.

Pictures are PNGs inside Debian's ``fonts-noto-color-emoji`` (Apache-2.0), read by fontTools without any shaping; names
are the package ``emoji``'s (BSD-3). An emoji of several characters is the glyph that the font's ligatures make of them.
Left out on purpose: flags, and couples of whom each has a skin tone.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from distill.data.corpus import Tally
from distill.data.source import Item, Source
from distill.errors import BadInput

NAMELESS, UNDRAWN = "nameless", "not_in_the_font"
JOINED = 0xFE0F
"""Says "as a picture"; ligatures do without it."""
TONE = "skin tone"


class NotoEmoji(Source):
    """Emoji in the order of their code points.

    Args:
        font: ``NotoColorEmoji.ttf``.
        part: ``single``: of one code point each, every one of another thing (1,377); ``toned``: one person, hand or
            couple in one of five skin tones, so that what is held out was seen in other tones.

    Raises:
        BadInput: the font or a package is missing.
    """

    def __init__(self, font: str, part: Literal["single", "toned"] = "single") -> None:
        self.font, self.part = Path(font), part
        if not self.font.is_file():
            remedy = "apt-get install --no-install-recommends fonts-noto-color-emoji"
            raise BadInput("data.source.font", "is not there", value=font, remedy=remedy)
        if missing := [name for name in ("fontTools", "emoji") if find_spec(name) is None]:
            raise BadInput("data.source", f"needs {' and '.join(missing)}", remedy="pip install fonttools emoji")

    @property
    def name(self) -> str:
        return "Noto emoji and their English names"

    def items(self, tally: Tally) -> Iterator[Item]:
        from fontTools.ttLib import TTFont

        font: Any = TTFont(self.font, lazy=True)
        pictures = font["CBDT"].strikeData[0]
        found = _singles(font) if self.part == "single" else _toned(font, tally)
        for place, glyph, caption in found:
            if glyph not in pictures:
                continue
            tally.rows += 1
            if not caption:
                tally.drop(NAMELESS)
                continue
            yield Item(place, bytes(pictures[glyph].imageData), {"text": caption})


def _singles(font: Any) -> Iterator[tuple[str, str, str]]:
    """(code point, glyph, name); an empty name where nobody gave one."""
    import emoji

    for code, glyph in sorted(font.getBestCmap().items()):
        told = emoji.demojize(chr(code))
        yield f"U+{code:04X}", glyph, "" if told == chr(code) else _plain(told)


def _toned(font: Any, tally: Tally) -> Iterator[tuple[str, str, str]]:
    """The same of emoji with exactly one skin tone in their name."""
    import emoji

    ligatures, characters = _ligatures(font), font.getBestCmap()
    wanted = emoji.STATUS["fully_qualified"]
    for text, known in sorted(emoji.EMOJI_DATA.items()):
        caption = _plain(str(known["en"]))
        if known["status"] != wanted or caption.count(TONE) != 1:
            continue
        glyphs = tuple(characters.get(ord(one), "") for one in text if ord(one) != JOINED)
        if glyphs not in ligatures:
            tally.rows += 1
            tally.drop(UNDRAWN)
            continue
        yield " ".join(f"U+{ord(one):04X}" for one in text), ligatures[glyphs], caption


def _ligatures(font: Any) -> Mapping[Sequence[str], str]:
    """Of several glyphs, which one is drawn: OpenType's lookup type 4, wrapped in type 7 or not."""
    tables = [table for lookup in font["GSUB"].table.LookupList.Lookup for table in lookup.SubTable]
    inner = [table.ExtSubTable if table.LookupType == 7 else table for table in tables]
    return {
        (first, *one.Component): one.LigGlyph
        for table in inner
        if table.LookupType == 4
        for first, ones in table.ligatures.items()
        for one in ones
    }


def _plain(name: str) -> str:
    return name.strip(":").replace("_", " ").lower()
