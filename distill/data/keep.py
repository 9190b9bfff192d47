"""A text kept in the cache folder: written whole or not at all, checked when read, made again when damaged.

The caller puts everything that changes the text into ``name``; nothing here ever looks at a file's age. Two
processes that keep the same name at once both write, and the last one wins with equal bytes, so there is no lock.
Left out on purpose: eviction. What is kept here is small (a corpus of megabytes, a tokenizer) and made in seconds.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from distill.errors import ResourceStop
from distill.storage import write_bytes

log = logging.getLogger(__name__)


def kept(folder: Path | None, name: str, make: Callable[[], str]) -> str:
    """The text kept under ``folder/name``, or ``make()``, which is then kept; without a folder it is only made.

    The file is the sha256 of the text in hexadecimal, a newline, and the text in UTF-8.

    Raises:
        ResourceStop: the folder cannot be written.
    """
    if folder is None:
        return make()
    place = folder / name
    found = _read(place)
    if found is not None:
        return found
    text = make()
    body = text.encode("utf-8")
    write_bytes(place, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return text


def _read(place: Path) -> str | None:
    try:
        head, _, body = place.read_bytes().partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise ResourceStop(str(place), f"cannot be read ({problem.strerror})", remedy="paths.cache=…") from None
    if hashlib.sha256(body).hexdigest().encode() == head:
        return body.decode("utf-8")
    log.warning("%s is damaged and is made again", place)
    return None
