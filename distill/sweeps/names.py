"""Names of runs and sweeps: readable, unique by a hash, and unable to leave their folder.

A name is one path component of at most 120 bytes from letters, digits and ``._=+-``, starting with a letter or a
digit: nothing in it means anything to a shell, a URL, a terminal or a file system that ignores case in its own way.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

from distill.names import LONGEST, check, slug

_DIGEST = 8


def run_name(swept: Mapping[str, str], digest: str) -> str:
    """``temperature-2+weight-0.5-1a2b3c4d``: the values that set a run apart, then the hash that makes it one.

    No ``=``: a path that holds one would be taken for an override. The order of keys and the spelling of numbers on
    the command line do not change it.

    Args:
        swept: swept keys (dotted or groups) and values; a key is shown by its last part unless two would be equal.
        digest: the run's identity; its first 8 characters are used.
    """
    keys = {key: key.lstrip("+~") for key in sorted(swept)}
    short = [re.split(r"[./@]", key)[-1] for key in keys.values()]
    shown = [
        f"{last if short.count(last) == 1 else whole}-{_plain(swept[key])}"
        for (key, whole), last in zip(keys.items(), short, strict=True)
    ]
    return f"{slug('+'.join(shown), LONGEST - _DIGEST - 1)}-{check(digest[:_DIGEST])}"


def sweep_name(name: str, digests: Iterable[str]) -> str:
    """``NAME-hash8`` where the hash is over the identities of the runs, in any order.

    Equal sweeps get equal names however they were typed: ``1e-3`` or ``0.001``, keys and values in any order.
    """
    digest = hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()[:_DIGEST]
    return f"{slug(name, LONGEST - _DIGEST - 1)}-{digest}"


def _plain(value: str) -> str:
    try:
        return f"{float(value):.12g}"
    except ValueError:
        return value.strip("'\"")
