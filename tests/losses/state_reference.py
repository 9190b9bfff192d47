"""State losses written from their formulas in numpy float64, token by token, sharing no line with the code.

Eight tokens of three documents; in every function ``s`` is the student's, ``t`` the teacher's, ``n`` the token.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

OWNERS = [0, 0, 0, 0, 1, 2, 2, 2]
"""Whose token it is; one of the samples has a single token."""


def unit(x: Array) -> Array:
    return x / math.sqrt(float(x @ x))


def hub(x: float) -> float:
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def kl(p: Array, q: Array) -> float:
    return float(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))


def group(n: int) -> list[int]:
    return [m for m in range(8) if OWNERS[m] == OWNERS[n]]


def before(n: int) -> list[int]:
    return [m for m in group(n) if m <= n]


def mean_square(s: Array, t: Array, n: int) -> float:
    return float(np.mean((s[n] - t[n]) ** 2))


def cosine(s: Array, t: Array, n: int) -> float:
    return 1 - float(unit(s[n]) @ unit(t[n]))


def patient(s: Array, t: Array, n: int) -> float:
    return float(np.sum((unit(s[n]) - unit(t[n])) ** 2))


def distance(s: Array, t: Array, n: int) -> float:
    members = group(n)

    def relative(x: Array) -> dict[tuple[int, int], float]:
        made = {(i, j): float(np.linalg.norm(x[i] - x[j])) for i in members for j in members if i != j}
        mean = sum(made.values()) / len(made)
        return {key: one / mean for key, one in made.items()}

    if len(members) == 1:
        return 0.0
    a, b = relative(s), relative(t)
    return sum(hub(a[n, j] - b[n, j]) for j in members if j != n) / (len(members) - 1)


def angle(s: Array, t: Array, n: int, window: int) -> float:
    near = [m for m in group(n) if m != n and abs(m - n) <= window]
    told = [
        hub(float(unit(s[i] - s[n]) @ unit(s[k] - s[n])) - float(unit(t[i] - t[n]) @ unit(t[k] - t[n])))
        for i in near
        for k in near
        if i != k
    ]
    return sum(told) / len(told) if told else 0.0


def info_nce(s: Array, t: Array, n: int, tau: float) -> float:
    scores = np.array([unit(s[n]) @ unit(t[m]) / tau for m in group(n)])
    return -math.log(softmax(scores)[group(n).index(n)])


def one_minus_cka(s: Array, t: Array, n: int) -> float:
    members = group(n)
    if len(members) == 1:
        return 0.0
    x, y = (z[members] - z[members].mean(0) for z in (s, t))
    return 1 - np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def maps(s: Array, t: Array, n: int) -> float:
    """(8, H, 8) each."""
    return float(np.mean([kl(t[n, h, before(n)], s[n, h, before(n)]) for h in range(s.shape[1])]))


def scores(s: Array, t: Array, n: int) -> float:
    told = []
    for h in range(s.shape[1]):
        a, b = np.log(s[n, h, before(n)]), np.log(t[n, h, before(n)])
        told.append(np.mean(((a - a.mean()) - (b - b.mean())) ** 2))
    return float(np.mean(told))


def relation(s: Array, t: Array, n: int, heads: int) -> float:
    told = []
    for h in range(heads):
        rows = []
        for x in (s, t):
            cut = np.split(x, heads, axis=1)[h]
            rows.append(softmax(np.array([cut[n] @ cut[m] for m in before(n)]) / math.sqrt(cut.shape[1])))
        told.append(kl(rows[1], rows[0]))
    return float(np.mean(told))
