"""The number that a run was made for: bits per byte of text, nats per token of labels and frames."""

import math

import pytest

from distill import rows
from distill.rows import Row
from distill.sweeps.goal import Goal


def told(folder, **values):
    rows.append(
        folder / rows.METRICS,
        [Row("student", metric, value, "1", "test", 10, 0) for metric, value in values.items()],
    )
    return folder


def test_text_is_judged_by_its_bytes(tmp_path):
    found = Goal("bits_per_byte").row(told(tmp_path, nats_per_token=2.0, bits_per_byte=1.0))
    assert found is not None
    assert (found.metric, found.value) == ("bits_per_byte", 1.0)


def test_labels_spell_no_bytes_and_are_judged_by_their_nats(tmp_path):
    goal = Goal("bits_per_byte")
    found = goal.row(told(tmp_path, nats_per_token=2.0, accuracy=0.5))
    assert found is not None
    assert (found.metric, found.value) == ("nats_per_token", 2.0)
    assert goal.accepts("nats_per_token")
    assert not Goal("accuracy").accepts("nats_per_token")


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_bits_that_are_no_number_are_not_replaced(tmp_path, broken):
    assert Goal("bits_per_byte").value(told(tmp_path, nats_per_token=2.0, bits_per_byte=broken)) is None


def test_any_other_metric_stands_for_itself(tmp_path):
    assert Goal("accuracy").value(told(tmp_path, nats_per_token=2.0)) is None
    assert Goal("accuracy").value(tmp_path / "none") is None


def test_frames_have_neither_bytes_nor_nats_but_words(tmp_path):
    assert Goal("bits_per_byte").value(told(tmp_path, word_error_rate=0.5)) == 0.5
