"""From all that was written to a data set: filters, picks, duplicates, and the account of every candidate.

Formula: candidates = rows + Σ dropped by reason
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.generation.picks.pick import Pick
from distill.storage import write_bytes, write_json

DATA, ACCOUNT = "data.parquet", "account.json"
NOT_PICKED, DUPLICATE = "not_picked", "duplicate"


@dataclass(frozen=True)
class Finished:
    """
    Attributes:
        rows: candidates that became rows, in the order of the prompts.
        candidates: all that were written.
        dropped: the others by the name of the filter, ``not_picked`` or ``duplicate``.
        prompts, answered: how many were asked, and how many have a row.
    """

    rows: tuple[Candidate, ...]
    candidates: int
    dropped: Mapping[str, int]
    prompts: int
    answered: int

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        told = {"candidates": self.candidates, "rows": len(self.rows), "dropped": dict(self.dropped)}
        return {**told, "prompts": self.prompts, "prompts_with_a_row": self.answered}

    def lines(self) -> list[str]:
        """For a person."""
        gone = ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.items())
        account = f"candidates {self.candidates:,} = {len(self.rows):,} rows + {sum(self.dropped.values()):,} dropped"
        share = f"{self.answered:,} of {self.prompts:,} prompts have a row"
        return [account + (f" ({gone})" if gone else ""), share]


def finish(keys: Sequence[str], candidates: Iterable[Candidate], filters: Mapping[str, Filter], pick: Pick) -> Finished:
    """Filter, pick, and drop what says the same to the same question.

    Args:
        keys: of the prompts, in their order; candidates of others are left alone.
        filters: by name, in their order; each hears of those that the ones before it let through.
    """
    groups: dict[str, list[Candidate]] = {key: [] for key in keys}
    for one in candidates:
        if one.key in groups:
            groups[one.key].append(one)
    dropped: Counter[str] = Counter()
    rows: list[Candidate] = []
    seen: set[tuple[str, str]] = set()
    for group in groups.values():
        for one in _picked(_filtered(group, filters, dropped), pick, dropped):
            said = (one.question, " ".join(one.text.split()))
            if said in seen:
                dropped[DUPLICATE] += 1
                continue
            seen.add(said)
            rows.append(one)
    total = sum(len(group) for group in groups.values())
    assert total == len(rows) + sum(dropped.values()), "a candidate was lost"
    return Finished(tuple(rows), total, dict(dropped), len(keys), len({one.key for one in rows}))


def _filtered(group: list[Candidate], filters: Mapping[str, Filter], dropped: Counter[str]) -> list[Candidate]:
    for name, each in filters.items():
        if not group:
            break
        kept = [one for one, keep in zip(group, each.keeps(group), strict=True) if keep]
        dropped[name] += len(group) - len(kept)
        group = kept
    return group


def _picked(group: list[Candidate], pick: Pick, dropped: Counter[str]) -> list[Candidate]:
    if not group:
        return []
    found = pick.picks(group)
    dropped[NOT_PICKED] += len(group) - len(found)
    return found


def keep(folder: Path, finished: Finished, provenance: Mapping[str, Any], explained: bool) -> Path:
    """Write ``data.parquet`` and ``account.json``; the data set's file.

    Args:
        provenance: of the job: teacher, its fingerprint, decoding, template, seed; in every row.
        explained: rows are questions with rationales, for ``data=rationale``; else prompts and completions.

    Raises:
        BadInput: nothing was kept.
    """
    write_json(folder / ACCOUNT, {**finished.plain(), "provenance": dict(provenance)})
    if not finished.rows:
        gone = ", ".join(f"{count:,} {reason}" for reason, count in finished.dropped.items())
        raise BadInput(str(folder), f"no row left of {finished.candidates:,} ({gone})", remedy="use milder filters")
    told = json.dumps(provenance, sort_keys=True, ensure_ascii=False)
    rows = [_row(one, told, explained) for one in finished.rows]
    written = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written, compression="zstd", write_page_checksum=True)
    write_bytes(folder / DATA, written.getvalue())
    return folder / DATA


def _row(one: Candidate, provenance: str, explained: bool) -> dict[str, Any]:
    if explained:
        told = {"question": one.question, "answer": one.answer or one.reference, "rationale": one.text}
    else:
        told = {"prompt": one.question, "completion": one.text, "answer": one.answer}
    rest = {"reference": one.reference, "domain": one.domain, "asked": one.asked, "key": one.key}
    numbers = {"candidate": one.number, "tokens": one.tokens, "nats": one.nats, "ended": one.ended}
    return {**told, **rest, **numbers, "provenance": provenance}
