"""A claim is read as it was written, or refused with the reason."""

from pathlib import Path

import pytest

from distill.errors import BadInput
from distill.evidence.claim import Place, read

TEXT = """
paper = "Somebody 2020"
source = "https://example.org"
claim = "more is better"
metrics = ["nats_per_token"]
[arms]
few = ["data.share=0.1"]
many = []
[[expected]]
says = "more text, fewer nats"
metric = "nats_per_token"
"""


def claim(folder: Path, last: str = 'order = ["many", "few", "few/control"]', text: str = TEXT):
    folder.mkdir(exist_ok=True)
    (folder / "claim.toml").write_text(text + last, encoding="utf-8")
    return read(folder)


def test_an_order_is_one_expectation_for_each_pair_of_neighbours(tmp_path):
    told = claim(tmp_path / "more_2020")
    assert told is not None
    assert told.command == "distill train experiment=more_2020 -m seed=0,1,2"
    assert told.arms == {"few": ("data.share=0.1",), "many": ()}
    pairs = [(one.first, one.second) for one in told.expected]
    assert pairs == [(Place("many"), Place("few")), (Place("few"), Place("few", "control"))]


def test_higher_and_lower_say_the_same_thing_the_other_way_round(tmp_path):
    lower = claim(tmp_path / "a", 'lower = "many"\nthan = "few"\nmargin = 0.1')
    higher = claim(tmp_path / "b", 'higher = "few"\nthan = "many"\nmargin = 0.1')
    assert lower is not None
    assert higher is not None
    assert lower.expected == higher.expected


def test_an_experiment_without_a_claim_makes_none(tmp_path):
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ('order = ["many", "all"]', "'all' names no arm; there are few, many"),
        ('lower = "many"', "an expectation has order"),
        ('near = "many"\nto = "few"', "an expectation has order"),
        ("order = [", "nvalid"),
        ('order = ["many", "few"]\n[[tables]]\ntitle = "t"\norigin = "memory"\ncolumns = []\nrows = []', "'memory'"),
        (
            'order = ["many", "few"]\n[[tables]]\ntitle = "t"\norigin = "paper"\ncolumns = ["a"]\nrows = [["1", "2"]]',
            "row",
        ),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(tmp_path, last, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        claim(tmp_path / "x", last)
    assert "claim.toml" in str(caught.value)


def test_a_key_that_nobody_reads_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such key: clam"):
        claim(tmp_path / "x", text="clam = 1\n" + TEXT)
