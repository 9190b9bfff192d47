"""What the data is, in numbers: for the start of a run, for its report, and so that nothing is dropped unseen.

Imports no torch: a report needs only this.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class SplitFacts:
    """One split.

    Attributes:
        documents: that have at least one piece in it.
        pieces: samples.
        rows: what a batch is cut from.
        tokens: supervised.
        bytes: UTF-8, that the supervised tokens spell.
        fill: tokens per place in packed rows, in [0, 1].
        documents_cut: documents longer than ``sequence_length``: the later pieces lack what came before.
        tokens_truncated: always 0, since documents are cut and never cut off; told so that it can be read.
        median_tokens, longest_tokens: of a document, marks included.
        domains: supervised tokens of each domain, as often as they are shown; empty where there is one.
    """

    documents: int
    pieces: int
    rows: int
    tokens: int
    bytes: int
    fill: float
    documents_cut: int
    tokens_truncated: int
    median_tokens: int
    longest_tokens: int
    domains: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """``rows = sum of documents over the splits + sum of dropped``.

    Attributes:
        source: where the text came from.
        rows: rows that were read: lines of JSON, rows of a table, sections of a text file, docstrings.
        splits: ``train``, ``validation``, ``test``.
        dropped: rows that are in no split, by reason.
        vocabulary: tokens of the tokenizer.
    """

    source: str
    rows: int
    splits: Mapping[str, SplitFacts]
    dropped: Mapping[str, int]
    vocabulary: int

    @property
    def domains(self) -> frozenset[str]:
        """Of all splits; empty where there is one, or nobody says."""
        return frozenset().union(*(facts.domains for facts in self.splits.values()))

    def plain(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a person: the account of all rows, then a line for each split."""
        used = sum(facts.documents for facts in self.splits.values())
        gone = sum(self.dropped.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.items())
        account = f"rows {self.rows:,} = {used:,} used + {gone:,} not used" + (f" ({reasons})" if reasons else "")
        return [self.source, account, *(_line(name, facts) for name, facts in self.splits.items())]


def _line(name: str, facts: SplitFacts) -> str:
    return (
        f"{name}: {facts.documents:,} documents, {facts.tokens:,} tokens, {facts.bytes:,} bytes "
        f"in {facts.rows:,} rows, {facts.fill:.1%} full; {facts.documents_cut:,} documents cut, "
        f"{facts.tokens_truncated} tokens lost "
        f"(median {facts.median_tokens:,}, longest {facts.longest_tokens:,} tokens)" + _by_domain(facts.domains)
    )


def _by_domain(tokens: Mapping[str, int], most: int = 6) -> str:
    """Shares of the largest ones; the rest by their number."""
    total = sum(tokens.values())
    order = sorted(tokens, key=lambda name: -tokens[name])
    told = ", ".join(f"{_printable(name)} {tokens[name] / total:.0%}" for name in order[:most])
    more = f" and {len(order) - most} more" if len(order) > most else ""
    return f"; {told}{more}" if total else ""


def _printable(name: str) -> str:
    """A name that a stranger's record gave, without what a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in name) or "(none)"
