"""Every yaml that can be chosen composes, and every key of it binds to the constructor it goes to.

Found by looking: a new choice is tried without a line here. Where it cannot stand alone, what the refusal says is done
(``write student.dropout=0``, a value for a missing key), so that remedies are tried too. A choice of a group that
no root lists is put where a comment in ``conf`` says it goes (``+weight@objective.losses.kd.weight=linear``).
"""

import re
from pathlib import Path

import pytest
import yaml

from distill.cli.arguments import Arguments
from distill.cli.compose import compose
from distill.cli.definitions import find
from distill.cli.sources import CONF, ROOT, Sources
from distill.errors import BadInput

ROOTS = sorted(path.stem for path in CONF.glob("*.yaml"))
"""Verbs that have a config."""
MISSING = re.compile(r"^\S+ ([\w.]+): is missing")
OVERRIDE = re.compile(r"(?<![\w.])\+?[\w./@]+=[^\s,;()]+")
REMOVAL = re.compile(r"~[\w.]+")
ROUNDS = 3


def choices() -> list[tuple[str, str]]:
    """Every root and command line that puts a choice where it belongs."""
    sources = Sources()
    return [pair for group in sources.groups for name in sources.options(group) for pair in placed(group, name)]


def placed(group: str, name: str) -> list[tuple[str, str]]:
    roots = [root for root in ROOTS if group in listed(root)]
    if group == "experiments" and name != "none":
        roots = [verb_of(name)]
    verb, place = mount(group)
    return [(root, f"{group}={name}") for root in roots] or [(verb, f"{place}{name}")]


def verb_of(experiment: str) -> str:
    """The verb in the command that an experiment's page begins with."""
    found = re.search(
        r"^# distill (\w+)", (ROOT / "experiments" / f"{experiment}.yaml").read_text(encoding="utf-8"), re.M
    )
    return found[1] if found else "train"


def listed(root: str) -> set[str]:
    """The groups of a root's defaults list."""
    entries = yaml.safe_load((CONF / f"{root}.yaml").read_text(encoding="utf-8")).get("defaults", [])
    return {next(iter(entry)).removeprefix("/") for entry in entries if isinstance(entry, dict)}


def mount(group: str) -> tuple[str, str]:
    """The verb and overrides that put a choice of a group which no root lists where it belongs, up to the choice."""
    if group == "loss":
        return "train", "+loss@objective.losses.tried="
    for path in sorted(CONF.rglob("*.yaml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = rf"(?:distill (\w+) )?((?:\S+=\S+ )*\+?\b{group}@[\w.]+=)"
            if found := re.search(told, line.partition("#")[2]):
                return found[1] or "train", found[2]
    return "train", f"{group}@NOWHERE="  # fails, and names the group


def composed(root: str, *overrides: str) -> None:
    """Composes, after what refusals ask for."""
    for _ in range(ROUNDS):
        try:
            compose(Arguments(root, overrides=overrides))
        except BadInput as refusal:
            asked = [override for line in str(refusal).split("\n") for override in remedy(line)]
            if not asked:
                raise
            overrides = (*overrides, *(override for override in asked if override not in overrides))
    compose(Arguments(root, overrides=overrides))


def remedy(line: str) -> list[str]:
    """What one line of a refusal says to do."""
    if missing := MISSING.search(line):
        return [f"{missing[1]}=somewhere"]
    said = line.partition(";")[2]
    return REMOVAL.findall(said) or OVERRIDE.findall(said.partition(" or ")[0])


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_composes(root: str) -> None:
    composed(root)


@pytest.mark.parametrize(("root", "overrides"), choices())
def test_a_choice_composes_and_binds(root: str, overrides: str) -> None:
    composed(root, *overrides.split())


@pytest.mark.parametrize("root", ROOTS)
def test_a_verb_says_what_keys_it_has(root: str) -> None:
    assert find(f"distill.cli.{root}.Settings") is not None


@pytest.mark.parametrize("path", [*CONF.rglob("*.yaml"), *(ROOT / "experiments").rglob("*.yaml")], ids=str)
def test_a_config_is_a_page_with_a_first_comment(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#")


@pytest.mark.parametrize("path", sorted((CONF / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_quick_look_is_possible_at_every_kind_of_data(path: Path) -> None:
    quick = yaml.safe_load((CONF / "debug" / "fast.yaml").read_text(encoding="utf-8"))["data"]
    assert quick.keys() <= yaml.safe_load(path.read_text(encoding="utf-8")).keys()
