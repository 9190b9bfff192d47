"""Expansion: the runs that Hydra's own sweeper would make, in its order, and refusals in words."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInputs
from distill.sweeps.expansion import expand

GROUPS = {"teacher": ["nursery", "live", "nursery_small"], "loss": ["forward_kl", "reverse_kl", "cross_entropy"]}


def options(group: str) -> list[str]:
    return GROUPS.get(group, [])


def combinations(*texts: str) -> list[list[str]]:
    return [list(one.overrides) for one in expand(texts, options).combinations]


@pytest.mark.parametrize(
    "texts",
    [
        ["objective.temperature=1,2,4", "objective.losses.kd.weight=0.5,0.9", "teacher=nursery_small,nursery"],
        ["seed=0,1,2", "name=fixed"],
        ["seed=range(0,5)", "a=range(0.1,0.5,0.1)"],
        ["seed=range(10,0,-3)"],
        ["x=choice(a,b)", "y=[1,2],[3]", "z={k:1},{k:2}"],
        ["loss@objective.losses.kd=forward_kl,reverse_kl", "+loss@objective.losses.hint=forward_kl"],
        ["x='a,b','c d'", "y='not,swept'"],
        ["x=sort(3,1,2)", "y=sort(b,a,reverse=true)"],
        ["+new=1,2", "++forced=3,4"],
        ["x=null,1", "y=true,false", "z=1e-3,0.1"],
        ["a=1"],
    ],
)
def test_expands_as_hydra_does(texts):
    parsed = OverridesParser.create().parse_overrides(texts)
    assert combinations(*texts) == BasicSweeper.split_arguments(parsed, None)[0]


names = st.from_regex(r"[a-z]{1,6}(\.[a-z]{1,6})?", fullmatch=True)
values = st.one_of(st.integers(-99, 99), st.floats(-9, 9, allow_nan=False).map(lambda x: round(x, 3)), names)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(names, st.lists(values, min_size=1, max_size=3, unique_by=str), min_size=1, max_size=4))
def test_any_product_is_hydras(keys):
    texts = [f"{key}={','.join(map(str, listed))}" for key, listed in keys.items()]
    parsed = OverridesParser.create().parse_overrides(texts)
    theirs = BasicSweeper.split_arguments(parsed, None)[0]
    found = combinations(*texts)
    assert [[one.partition("=")[0] for one in run] for run in found] == [
        [one.partition("=")[0] for one in run] for run in theirs
    ]
    assert len(found) == len({tuple(run) for run in map(tuple, theirs)})


def test_glob_takes_the_choices_of_a_group():
    assert combinations("teacher=glob(nursery*)") == [["teacher=nursery"], ["teacher=nursery_small"]]
    assert combinations("loss@objective.losses.kd=glob(*,exclude=cross*)") == [
        ["loss@objective.losses.kd=forward_kl"],
        ["loss@objective.losses.kd=reverse_kl"],
    ]


def test_swept_keys_are_told_with_every_runs_values():
    found = expand(["seed=0,1", "+teacher=live", "a.b=x,y"], options)
    assert found.swept == {"seed": ["0", "1"], "a.b": ["x", "y"]}
    assert [dict(one.swept) for one in found.combinations][1] == {"seed": "0", "a.b": "y"}


def test_nothing_swept_is_one_run_as_given():
    assert combinations("a=1", "a=2", "~b") == [["a=1", "a=2", "~b"]]


def test_values_given_twice_are_one_run():
    assert combinations("seed=0,0,1") == [["seed=0"], ["seed=1"]]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["t=interval(0,1)"], "for a search"),
        (["teacher=glob(none_such*)"], "no values"),
        (["t=range(3,0)"], "no values"),
        (["seed=0,1", "seed=2"], "given twice"),
        (["seed=2", "seed=0,1"], "given twice"),
        (["seed=range(0,1000000)"], "more than"),
        (["a=range(0,200)", "b=range(0,200)"], "more than"),
        (["t=1,"], "not an override"),
        (["t=range(1"], "not an override"),
        (["t=range(0,1,0)"], "not an override"),
    ],
)
def test_refuses_in_words(texts, word):
    with pytest.raises(BadInputs, match=word) as caught:
        expand(texts, options)
    assert caught.value.code == 2


def test_all_faults_are_told_at_once():
    with pytest.raises(BadInputs) as caught:
        expand(["a=interval(0,1)", "b=1,", "c=glob(x)"], options)
    assert len(caught.value.faults) == 3
