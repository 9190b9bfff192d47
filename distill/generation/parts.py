"""What was written so far, batch by batch: one small Parquet file a batch, whole or not there.

The folder is named by everything that decides the texts, so a stopped job goes on with the first batch that is missing:
kill -9 loses the batch that was being written and no other. Filters are no part of the name: trying other filters asks
nobody again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.storage import sweep_drafts, write_bytes

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("number", pa.int32()),
        ("text", pa.string()),
        ("answer", pa.string()),
        ("tokens", pa.int32()),
        ("nats", pa.float64()),
        ("ended", pa.bool_()),
        ("question", pa.string()),
        ("reference", pa.string()),
        ("domain", pa.string()),
        ("asked", pa.string()),
    ]
)
assert [one.name for one in fields(Candidate)] == SCHEMA.names


class Parts:
    """The batches of one job.

    Args:
        folder: theirs alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.is_dir():
            sweep_drafts(folder)

    def done(self) -> set[str]:
        """Keys of the prompts that were answered."""
        return {candidate.key for candidate in self.candidates()}

    def write(self, candidates: Sequence[Candidate]) -> None:
        """Add a batch, all of it or nothing."""
        written = BytesIO()
        table = pa.Table.from_pylist([one.plain() for one in candidates], schema=SCHEMA)
        pq.write_table(table, written, write_page_checksum=True)
        name = f"{candidates[0].key[:16]}-{len(candidates)}.parquet"
        write_bytes(self.folder / name, written.getvalue())

    def candidates(self) -> Iterator[Candidate]:
        """Of all batches.

        Raises:
            BadInput: a file is damaged.
        """
        for path in sorted(self.folder.glob("*.parquet")) if self.folder.is_dir() else ():
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    rows = file.read().to_pylist()
            except (pa.ArrowException, OSError):
                remedy = "remove the file; the same command writes it anew"
                raise BadInput(str(path), "is damaged", remedy=remedy) from None
            yield from (Candidate(**row) for row in rows)
