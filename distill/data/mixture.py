"""How often each domain is seen: rows of the training split repeated and left out, before any order is drawn.

A domain is the file or folder of ``data.path`` that a document is from, or what its field ``domain`` says. The mixed
split has as many rows as the split itself, so an epoch costs what it did; a batch stays a function of (seed, index).

Left out on purpose: mixing by what the student has learnt so far, which would make a batch depend on the run.
"""

from collections.abc import Mapping, Sequence

from distill.errors import BadInput
from distill.ranges import Fraction


class Mixture:
    """Domains by weight, or by a power of their size.

    Formula: share_d ∝ w_d · n_d^exponent, n_d the domain's rows; exponent 1 is the data's own proportion, 0 equal
        shares; exponent 1/τ is the mixing temperature τ.
    Source: Arivazhagan et al. (2019). Massively Multilingual Neural Machine Translation in the Wild. arXiv:1907.05019;
        Raffel et al. (2020), arXiv:1910.10683, section 3.5.2.

    Args:
        weights: by domain, 1 for those that are not named; 0 leaves a domain out.
        exponent: of a domain's size; 0 with weights gives exactly those shares.
    """

    def __init__(self, weights: dict[str, float] | None = None, exponent: Fraction = 1.0) -> None:
        self.weights, self.exponent = dict(weights or {}), exponent
        if wrong := [name for name, weight in self.weights.items() if not weight >= 0]:
            raise BadInput(f"data.mixture.weights.{wrong[0]}", "is no weight", value=self.weights[wrong[0]])

    def shares(self, sizes: Mapping[str, int]) -> dict[str, float]:
        """Of each domain.

        Raises:
            BadInput: a domain is named that has no rows, or nothing is left.
        """
        strangers = sorted(set(self.weights) - set(sizes))
        if strangers:
            known = ", ".join(sorted(sizes)) or "none"
            raise BadInput(f"data.mixture.weights.{strangers[0]}", f"no such domain; there are {known}")
        raw = {name: self.weights.get(name, 1.0) * size**self.exponent for name, size in sizes.items()}
        total = sum(raw.values())
        if not total > 0:
            raise BadInput("data.mixture.weights", "leave nothing to train on", remedy="give a domain a weight above 0")
        return {name: value / total for name, value in raw.items()}

    def mixed(self, domains: Sequence[str]) -> list[int]:
        """Indices of rows, as many as there are rows: whole copies of a domain first, then its first rows once more.

        Args:
            domains: of every row, in an order that says nothing of their content.
        """
        places: dict[str, list[int]] = {}
        for index, name in enumerate(domains):
            places.setdefault(name, []).append(index)
        shares = self.shares({name: len(rows) for name, rows in places.items()})
        counts = _apportioned(shares, len(domains))
        return [rows[i % len(rows)] for name, rows in places.items() for i in range(counts[name])]

    def told(self) -> list[object]:
        """What decides it, for a fingerprint."""
        return [sorted(self.weights.items()), self.exponent]


def _apportioned(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers of the given sum, by largest remainders; ties go to the earlier domain."""
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    rest = sorted(shares, key=lambda name: counts[name] - exact[name])
    for name in rest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
