"""What is made of the domains of a text: which are trained on, how often each is seen, what its tokens weigh.

A domain is where a document is from: the name of its source, its file or folder, the field ``domain`` of its record, or
the part of Python's documentation. Validation and test keep all of them as they are, so that a student that was trained
on one is tested on every other.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from distill.data.corpus import Document
from distill.data.mixture import Mixture
from distill.data.packing import Rows, best_fit
from distill.errors import BadInput


@dataclass(frozen=True)
class Domains:
    """
    Attributes:
        mixture: how often each is seen; None leaves the text as it is.
        weights: of every token of a domain in every loss, 1 for those that are not named.
        train: train on these alone; None on all.
    """

    mixture: Mixture | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    train: Sequence[str] | None = None

    def chosen(self, documents: Sequence[Document]) -> list[Document]:
        """Training documents of the domains that are trained on.

        Raises:
            BadInput: a domain is named that has no document, or a weight is none.
        """
        there = {document.domain for document in documents}
        refuse_strangers("data.train_domains", self.train or (), there)
        refuse_strangers("data.domain_weights", self.weights, there)
        if wrong := [name for name, weight in self.weights.items() if not 0 <= weight < float("inf")]:
            raise BadInput(f"data.domain_weights.{wrong[0]}", "is no weight", value=self.weights[wrong[0]])
        return [document for document in documents if self.train is None or document.domain in self.train]

    def laid(self, rows: Rows, sequence_length: int, packing: bool) -> Rows:
        """Training rows with the weights of their domains and, where these are mixed, of one domain each."""
        pieces = replace(rows.pieces, weights=tuple(self.weights.get(name, 1.0) for name in rows.pieces.domains))
        if self.mixture is None:
            return Rows(pieces, rows.members, rows.bounds)
        assert pieces.owners is not None, "pieces of documents"
        of_pieces = [pieces.domains[owner] for owner in pieces.owners.tolist()]
        made, names = apart(of_pieces, pieces.lengths.tolist(), sequence_length, packing)
        shown = [made[i] for i in self.mixture.mixed(names)]
        members = np.asarray([index for row in shown for index in row], dtype=np.int64)
        return Rows(pieces, members, np.cumsum([0, *map(len, shown)], dtype=np.int64))

    def told(self, documents: Iterable[Document]) -> list[object]:
        """What decides the training rows, for a fingerprint; nothing where nothing is decided.

        Args:
            documents: of the training split; a name decides nothing but together with what it stands for.
        """
        if self == Domains():
            return []
        names = hashlib.sha256("\0".join(document.domain for document in documents).encode()).hexdigest()
        mixed = None if self.mixture is None else self.mixture.told()
        return [mixed, sorted(self.weights.items()), None if self.train is None else list(self.train), names]


def refuse_strangers(place: str, named: Iterable[str], there: Iterable[str]) -> None:
    """Raise BadInput for the first name that no training document has."""
    known = set(there)
    for name in named:
        if name not in known:
            reason = f"no such domain; there are {', '.join(sorted(known - {''})) or 'none'}"
            raise BadInput(place, reason, value=name)


def apart(
    domains: Sequence[str], lengths: Sequence[int], sequence_length: int, packing: bool
) -> tuple[list[list[int]], list[str]]:
    """Rows of one domain each, so that a row can be seen more often: indices of pieces, and each row's domain.

    Args:
        domains, lengths: of the pieces.
    """
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(domains):
        groups.setdefault(name, []).append(index)
    rows: list[list[int]] = []
    names: list[str] = []
    for name, group in groups.items():
        sizes = [lengths[index] for index in group]
        bins = best_fit(sizes, sequence_length) if packing else [[i] for i in range(len(group))]
        rows += [[group[i] for i in one] for one in bins]
        names += [name] * len(bins)
    return rows, names
