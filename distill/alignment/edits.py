"""Edit distances between token strings: for the nearest string of a vocabulary, and along two tokenisations."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Pairs = tuple[tuple[int, int], ...]


@lru_cache(maxsize=2**18)
def distance(left: bytes, right: bytes) -> int:
    """Levenshtein distance in bytes: insertions, deletions and substitutions at 1 each."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        corner, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (one != other))
    return row[-1]


@lru_cache(maxsize=2**16)
def warped(left: tuple[bytes, ...], right: tuple[bytes, ...]) -> Pairs:
    """Dynamic time warping: the cheapest walk through both sequences, each step on in one or both.

    Formula: D(i, j) = distance(l_i, r_j) + min(D(i − 1, j − 1), D(i − 1, j), D(i, j − 1))

    Returns:
        the pairs (i, j) that the walk visits, every i and every j at least once. Of equal walks the one that goes on in
        both.
    """
    costs = np.array([[distance(one, other) for other in right] for one in left], dtype=np.int64)
    total = np.full((len(left) + 1, len(right) + 1), np.iinfo(np.int64).max // 2)
    total[0, 0] = 0
    for i in range(len(left)):
        for j in range(len(right)):
            total[i + 1, j + 1] = costs[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j = len(left), len(right)
    walk = []
    while i and j:
        walk.append((i - 1, j - 1))
        steps = ((total[i - 1, j - 1], i - 1, j - 1), (total[i - 1, j], i - 1, j), (total[i, j - 1], i, j - 1))
        _, i, j = min(steps, key=lambda step: step[0])
    return tuple(reversed(walk))


def nearest(strings: Sequence[bytes], known: Sequence[bytes]) -> list[int]:
    """For each string the place of the nearest known one; the first of equally near ones.

    Strings whose lengths differ by more than the best distance so far are never looked at.
    """
    places: dict[int, np.ndarray] = {}
    tables: dict[int, np.ndarray] = {}
    for length in sorted({len(one) for one in known}):
        places[length] = np.array([place for place, one in enumerate(known) if len(one) == length])
        tables[length] = np.array([list(known[place]) for place in places[length]], dtype=np.uint8).reshape(-1, length)
    return [_nearest(one, places, tables) for one in strings]


def _nearest(string: bytes, places: dict[int, np.ndarray], tables: dict[int, np.ndarray]) -> int:
    best, found = np.iinfo(np.int64).max, 0
    for length in sorted(places, key=lambda length: abs(length - len(string))):
        if abs(length - len(string)) > best:
            break
        distances = _distances(string, tables[length])
        least = int(distances.min())
        place = int(places[length][distances.argmin()])
        if (least, place) < (best, found):
            best, found = least, place
    return found


def _distances(string: bytes, table: np.ndarray) -> np.ndarray:
    """(K,) from a string to each row (K, L) of a table."""
    rows, length = table.shape
    before = np.tile(np.arange(length + 1), (rows, 1))
    for i, one in enumerate(string, 1):
        now = np.full((rows, length + 1), i)
        for j in range(1, length + 1):
            changed = before[:, j - 1] + (table[:, j - 1] != one)
            now[:, j] = np.minimum(np.minimum(before[:, j], now[:, j - 1]) + 1, changed)
        before = now
    return before[:, -1]
