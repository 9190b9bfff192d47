"""Names of runs, sweeps and exports: readable, and unable to leave their folder.

A name is one path component of at most 120 bytes from letters, digits and ``._=+-``, starting with a letter or a
digit: nothing in it means anything to a shell, a URL, a terminal or a file system that ignores case in its own way.
"""

import re
import unicodedata

from distill.errors import BadInput

LONGEST = 120
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


def check(name: str) -> str:
    """The name itself, if it may be a folder's.

    Raises:
        BadInput: it may not.
    """
    if not _SAFE.fullmatch(name) or len(name) > LONGEST:
        raise BadInput("name", f"not a name of at most {LONGEST} letters, digits and ._=+-", value=name)
    return name


def slug(text: str, longest: int = LONGEST) -> str:
    """Any text as a name: accents dropped, everything else that is not safe becomes ``-``; never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    cleaned = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._=+-]", "-", plain))
    return cleaned.lstrip("._=+-")[:longest].rstrip("._=+-") or "run"


def hashed(text: str, digest: str) -> str:
    """``slug-digest``, as a whole within the length of a name: two texts with one slug stay apart by the digest."""
    return f"{slug(text, LONGEST - len(digest) - 1)}-{digest}"
