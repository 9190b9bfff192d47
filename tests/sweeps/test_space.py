"""What a search may choose from, as it is written on a command line."""

import pytest

from distill.errors import BadInput
from distill.sweeps.space import Axis, parsed


def axis(text: str) -> Axis:
    _, axes = parsed([text], lambda _group: ["b", "a"])
    (found,) = axes.values()
    return found


def test_what_has_one_value_stands():
    assert parsed(["a=1", "b=1,2", "+c=x"], lambda _group: [])[0] == ["a=1", "+c=x"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=1,2", Axis(("1", "2"))),
        ("a=choice(x,y)", Axis(("x", "y"))),
        ("a=glob(*)", Axis(("a", "b"))),
        ("a=range(32,129,32)", Axis(low=32, high=128, step=32, whole=True)),
        ("a=interval(0.1,0.9)", Axis(low=0.1, high=0.9)),
        ("a=tag(log,interval(1e-4,1e-1))", Axis(low=1e-4, high=1e-1, log=True)),
        ("a=int(interval(1,8))", Axis(low=1, high=8, whole=True)),
    ],
)
def test_the_grammar_of_values(text, wanted):
    assert axis(text) == wanted


def test_a_proposal_is_written_as_a_command_line_has_it():
    assert axis("a=interval(0,1)").written(0.123456789) == "0.123457"
    assert axis("a=int(interval(1,8))").written(3) == "3"
    assert axis("a=interval(0,1)").first == "0.0"


@pytest.mark.parametrize("text", ["a=interval(2,1)", "a=tag(log,interval(0,1))", "a=glob(z)", "nonsense"])
def test_an_axis_without_values_is_refused(text):
    with pytest.raises(BadInput):
        parsed([text], lambda _group: [])


def test_every_axis_is_a_distribution_of_optuna():
    optuna = pytest.importorskip("optuna", reason="needs the extra sweep")
    kinds = [type(axis(f"a={text}").distribution()) for text in ("1,2", "range(1,4)", "interval(0,1)")]
    assert kinds == [
        optuna.distributions.CategoricalDistribution,
        optuna.distributions.IntDistribution,
        optuna.distributions.FloatDistribution,
    ]
