"""Every yaml that can be chosen composes, and every key of it binds to the constructor it goes to.

Found by looking: a new choice is tried without a line here. A choice that needs a value from the person (``???``) is
given one; a choice of a group that no root lists is put where a comment of its group says it goes
(``+weight@objective.losses.kd.weight=linear``).
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
LOSSES = "+loss@objective.losses.tried={}"
MISSING = re.compile(r"^\S+ ([\w.]+): is missing", re.MULTILINE)
"""The key of a fault that only asks for a value."""
EAGER = ("teacher.attention=eager", "student.attention=eager")
BESIDE = {
    ("train", "teacher=none"): ("control=none", "objective=cross_entropy"),
    ("train", "objective=tinybert"): EAGER,
    ("train", "objective=minilm"): EAGER,
    ("train", LOSSES.format("attention_maps")): EAGER,
    ("train", LOSSES.format("attention_scores")): EAGER,
}
"""What a choice cannot be without."""


def choices() -> list[tuple[str, str]]:
    """Every root and override that puts a choice where it belongs."""
    sources = Sources()
    return [pair for group in sources.groups for name in sources.options(group) for pair in mounted(group, name)]


def listed(root: str) -> set[str]:
    """The groups of a root's defaults list."""
    entries = yaml.safe_load((CONF / f"{root}.yaml").read_text(encoding="utf-8")).get("defaults", [])
    return {next(iter(entry)).removeprefix("/") for entry in entries if isinstance(entry, dict)}


def mounted(group: str, name: str) -> list[tuple[str, str]]:
    roots = [root for root in ROOTS if group in listed(root)]
    if roots:
        return [(root, f"{group}={name}") for root in roots]
    if group == "loss":
        return [("train", LOSSES.format(name))]
    for path in sorted((CONF / group).rglob("*.yaml")):
        found = re.search(rf"\+{group}@([\w.]+)=", path.read_text(encoding="utf-8"))
        if found:
            return [("train", f"+{group}@{found[1]}={name}")]
    raise AssertionError(f"no root lists conf/{group}, and no comment in it says +{group}@WHERE=…")


def composed(root: str, *overrides: str) -> None:
    """Composes, with a value for each key that asks for one."""
    asked: list[str] = []
    try:
        compose(Arguments(root, overrides=overrides))
    except BadInput as refusal:
        asked = MISSING.findall(str(refusal))
        if not asked:
            raise
    compose(Arguments(root, overrides=(*overrides, *(f"{key}=somewhere" for key in asked))))


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_composes(root: str) -> None:
    composed(root)


@pytest.mark.parametrize(("root", "override"), choices())
def test_a_choice_composes_and_binds(root: str, override: str) -> None:
    composed(root, override, *BESIDE.get((root, override), ()))


@pytest.mark.parametrize("root", ROOTS)
def test_a_verb_says_what_keys_it_has(root: str) -> None:
    assert find(f"distill.cli.{root}.Settings") is not None


@pytest.mark.parametrize("path", [*CONF.rglob("*.yaml"), *(ROOT / "experiments").rglob("*.yaml")], ids=str)
def test_a_config_is_a_page_with_a_first_comment(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#")
