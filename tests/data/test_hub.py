"""A data set read by ``datasets``, from a local folder: what a hub id does, without the hub."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.data.hub import hub
from distill.errors import BadInput

SECRET = "canary-7f3a"


@pytest.fixture
def folder(tmp_path):
    """A data set with two splits."""
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    for split, count in (("train", 30), ("test", 5)):
        rows = [f"{split} text {i}" for i in range(count)] + [None, "", f"{split} text 0"]
        pq.write_table(pa.table({"text": rows, "n": range(len(rows))}), data / f"{split}-00000-of-00001.parquet")
    return tmp_path / "set"


def test_a_split_is_read_and_counted(folder, cache):
    found = hub(str(folder), cache=cache)
    assert [document.text for document in found.documents] == [f"train text {i}" for i in range(30)]
    assert found.dropped == {"duplicate": 1, "empty": 1, "null": 1}
    assert found.rows == 33
    assert len(hub(str(folder), split="test", cache=cache).documents) == 5


def test_a_slice_is_read(folder, cache):
    assert len(hub(str(folder), split="train[:10]", cache=cache).documents) == 10


def test_it_keeps_what_it_read_where_it_is_told(folder, tmp_path):
    hub(str(folder), cache=tmp_path / "cache")
    assert (tmp_path / "cache" / "datasets").is_dir()


def test_a_missing_column_names_those_there_are(folder, cache):
    with pytest.raises(BadInput, match=r"no column 'body' \(there are: text, n\); data\.field=NAME"):
        hub(str(folder), field="body", cache=cache)


def test_a_column_of_numbers_is_refused_by_row(folder, cache):
    with pytest.raises(BadInput, match=r":1: field 'n' is a number"):
        hub(str(folder), field="n", cache=cache)


def test_a_missing_split_is_one_line(folder, cache):
    with pytest.raises(BadInput) as caught:
        hub(str(folder), split="validation", cache=cache)
    assert "data.split" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_set_is_one_line_and_quick(cache):
    with pytest.raises(BadInput) as caught:
        hub("no-such-org/no-such-set", cache=cache)
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_told_within_seconds(cache):
    code = f"""
import time
from pathlib import Path
import datasets
from distill.data.hub import hub
from distill.errors import BadInput
start = time.perf_counter()
try:
    hub("org/set", cache=Path({str(cache)!r}))
except BadInput as refused:
    print(time.perf_counter() - start < 5, refused)
"""
    nowhere = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | nowhere)
    assert done.stdout.strip() == "True org/set: the hub does not answer and the set is not cached; data.path=FILE"


def test_code_in_a_set_is_not_run(tmp_path, cache):
    folder = tmp_path / "hostile"
    folder.mkdir()
    (folder / "hostile.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(BadInput):
        hub(str(folder), cache=cache)
    assert not (tmp_path / "ran").exists()


def test_a_broken_row_is_not_shown(tmp_path, cache):
    folder = tmp_path / "broken"
    folder.mkdir()
    lines = [json.dumps({"text": f"{SECRET} {i}"}) for i in range(3)] + [f'{{"text": "{SECRET}']
    (folder / "train.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadInput) as caught:
        hub(str(folder), cache=cache)
    assert SECRET not in str(caught.value)
