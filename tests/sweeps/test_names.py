"""Names cannot leave their folder, whatever they were made from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.names import LONGEST, check
from distill.sweeps.folder import SweepFolder
from distill.sweeps.names import run_name, sweep_name

HOSTILE = [
    *("../x", "../../etc/passwd", "/etc/passwd", "~", "~root", "a/b", "a\\b", "..", ".", "", " ", "-rf", "--help"),
    *("nul\0byte", "new\nline", "tab\t", "\x1b[31mred\x1b[0m", "x" * 300, "a" * 119 + "/", "аdmin", "ｅtc", "名前"),
    *("$(rm -rf x)", "`id`", "a;b", "a|b", "a&b", "a*b", "%2e%2e%2f", "CON", "a:b", "<script>", "'quoted'", '"q"'),
]
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,119}")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_a_safe_name(text):
    for name in (run_name({text: text, "b": text}, "0123456789"), sweep_name(text, ["a", "b"])):
        assert SAFE.fullmatch(name), name
        assert len(name.encode()) <= LONGEST
        assert check(name) == name


@pytest.mark.parametrize("text", [t for t in HOSTILE if t != "CON"])
def test_hostile_text_is_no_run_of_a_folder(text, tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    for place in (folder.run, folder.log, folder.job_file, folder.claims):
        with pytest.raises(BadInput):
            place(text)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_becomes_a_safe_name(key, value):
    assert SAFE.fullmatch(run_name({key: value}, "0123456789"))


def test_a_runs_name_tells_what_sets_it_apart():
    swept = {"objective.temperature": "2", "teacher": "nursery"}
    assert run_name(swept, "1a2b3c4d5e") == "temperature-2+teacher-nursery-1a2b3c4d"


def test_keys_with_equal_ends_are_told_in_full():
    name = run_name({"losses.kd.weight": "1", "losses.ce.weight": "0"}, "1a2b3c4d")
    assert name == "losses.ce.weight-0+losses.kd.weight-1-1a2b3c4d"


def test_order_and_spelling_do_not_change_a_name():
    assert run_name({"a": "1e-3", "b": "'x'"}, "1a2b3c4d") == run_name({"b": "x", "a": "0.0010"}, "1a2b3c4d")
    assert sweep_name("s", ["a", "b", "b"]) == sweep_name("s", ["b", "a"]) != sweep_name("s", ["a"])
