"""What W&B is told, read back from its offline file: one group a sweep, tags, plain keys, the report.

And what happens when a tracker fails (promise D7): nothing but one line.
"""

import struct
from pathlib import Path
from typing import Any

import pytest
import wandb
from pytorch_lightning.loggers import CSVLogger
from wandb.proto import wandb_internal_pb2 as proto

from distill.rows import METRICS, read
from distill.training.tracking import Mirror, RowLogger, Sheet, Wandb

BLOCK = 32768
"""Of the file: records are cut where a block ends (LevelDB's log format)."""


def records(path: Path) -> list[Any]:
    """Every record of an offline file."""
    data, at, parts, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = proto.Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def told(folder: Path) -> list[Any]:
    """All that was written; the service writes behind the run's back until it is told to end."""
    wandb.teardown()
    files = sorted(path for path in (folder / "wandb").glob("offline-run-*/*.wandb") if path.is_file())
    return [record for path in files for record in records(path)]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text("<p>the report</p>", encoding="utf-8")
    return path


def test_a_run_has_its_group_its_tags_and_plain_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "sweep-12345678")
    config = {"objective": {"temperature": 2.0, "losses": {"kd": {"weight": 0.5}}}, "seed": 3, "none": {}}
    logger = Wandb().open(tmp_path, "a-run", config, ["temperature=2"])
    assert logger is not None
    logger.log_metrics({"loss/kd": 1.5}, 4)
    Wandb().close(logger)
    (run,) = [record.run for record in told(tmp_path) if record.WhichOneof("record_type") == "run"]
    assert (run.display_name, run.run_group, list(run.tags)) == ("a-run", "sweep-12345678", ["temperature=2"])
    keys = {one.key: one.value_json for one in run.config.update}
    assert keys["objective.temperature"] == "2.0"
    assert keys["objective.losses.kd.weight"] == "0.5"
    assert keys["seed"] == "3"
    assert "objective" not in keys


def test_a_report_joins_its_run_with_tables_charts_and_page(tmp_path, page):
    logger = Wandb().open(tmp_path, "a-run", {}, [])
    assert logger is not None
    Wandb().close(logger)
    sheet = Sheet(("model", "bits per byte"), (("student", 2.25), ("control", 2.5)))
    Wandb().show(tmp_path, page, {"Result": sheet}, {"test/bits_per_byte": 2.25})
    found = told(tmp_path)
    assert len({record.run.run_id for record in found if record.WhichOneof("record_type") == "run"}) == 1
    keys = {key for record in found for key in _keys(record)}
    assert {"report/Result", "report/page", "test/bits_per_byte"} <= keys
    assert any(key.startswith("report/chart of Result") for key in keys)
    assert list((tmp_path / "wandb").glob("offline-run-*/files/media/html/**/*.html"))


def test_the_report_of_a_sweep_is_a_run_of_its_group(tmp_path, page):
    Wandb().show(tmp_path, page, {}, {})
    (run,) = [record.run for record in told(tmp_path) if record.WhichOneof("record_type") == "run"]
    assert (run.job_type, run.run_group) == ("report", tmp_path.name)


TROUBLES = [
    ConnectionError("no such host"),
    PermissionError("401"),
    RuntimeError("429 Too Many Requests"),
    RuntimeError("500"),
    TimeoutError("hangs"),
    OSError(28, "No space left on device"),
    BrokenPipeError("the service was killed"),
]


class Failing(CSVLogger):
    """A tracker that fails from the ``after``-th word on."""

    def __init__(self, trouble: BaseException, after: int) -> None:
        super().__init__("unused")
        self.trouble, self.left = trouble, after

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.trouble

    def finalize(self, status: str) -> None:
        raise self.trouble


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
@pytest.mark.parametrize("after", [0, 3])
def test_a_tracker_in_trouble_is_told_of_once_and_left_alone(trouble, after, tmp_path):
    said: list[str] = []
    mirror, rows = Mirror(Failing(trouble, after), "student", said.append), RowLogger(tmp_path, "student", 0, {})
    for step in range(10):
        for logger in (rows, mirror):
            logger.log_metrics({"loss/kd": float(step)}, step)
    mirror.finalize("success")
    assert len(said) == 1
    assert "metrics.jsonl goes on alone" in said[0]
    assert mirror.lost == 11 - after
    assert [row.value for row in read(tmp_path / METRICS)] == [float(step) for step in range(10)]


def _keys(record: Any) -> list[str]:
    """The keys of a row of history; a table or a page is told in several parts of one key."""
    return [one.key or one.nested_key[0] for one in record.history.item]
