"""Overrides of the command line: which choose a file of a group, which set a value, which are neither.

Written in Hydra's grammar and parsed by Hydra. One difference on purpose: ``key=value`` may set a key that no YAML
lists, because the constructor it goes to says whether it exists; so nobody has to know where a ``+`` is needed.
"""

import re
from dataclasses import dataclass, field

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.cli.kinds import nearest
from distill.cli.reading import first_line
from distill.cli.sources import Sources
from distill.errors import BadInput

PLACE = "command line"
BARE = re.compile(r"(?P<key>\+{0,2}[A-Za-z_][\w./@-]*)=(?P<value>[^\s\[{(\"'$,\\][^\[\]{}\"$,\\]*)")


@dataclass
class Overrides:
    """A command line, sorted.

    Attributes:
        choices: overrides of groups, for Hydra's defaults list.
        values: overrides of values, applied in order after everything else.
        faults: what is wrong with the others.
    """

    choices: list[Override] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)
    faults: list[BadInput] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        return {override.key_or_group for override in self.values}


def sort(texts: tuple[str, ...], sources: Sources) -> Overrides:
    """Parse and sort overrides; a wrong one is told and left out, so that the others are still looked at."""
    found = Overrides()
    for text in texts:
        try:
            override = parsed(text)
        except (HydraException, ValueError, RecursionError) as problem:
            reason = f"not an override ({first_line(problem)}), expected key=value"
            found.faults.append(BadInput(PLACE, reason, value=text))
            continue
        _place(override, text, sources, found)
    return found


def parsed(text: str) -> Override:
    """One override. A bare value that Hydra's grammar has no word for (``~/notes (1).txt``) is a text.

    Raises:
        HydraException, ValueError: it is none.
    """
    if not text.isprintable():
        raise ValueError("a control character")
    parser = OverridesParser.create()
    try:
        override = parser.parse_override(text)
    except HydraException:
        bare = BARE.fullmatch(text)
        if bare is None:
            raise
        value = re.sub(r"(\\*)'", r"\1\1\\'", bare["value"])
        override = parser.parse_override(f"{bare['key']}='{value}'")
    if not override.is_sweep_override():
        override.value()
    return override


def apply(values: list[Override], config: DictConfig, faults: list[BadInput]) -> None:
    """Set, add to or delete from a composed config, in order."""
    for override in values:
        key, value = override.key_or_group, override.value()
        try:
            if override.is_delete():
                _delete(config, key)
            else:
                OmegaConf.update(config, key, value, merge=True, force_add=True)
        except (
            OmegaConfBaseException,
            KeyError,
            ValueError,
            TypeError,
            IndexError,
            AttributeError,
            RecursionError,
        ) as problem:
            faults.append(BadInput(f"{PLACE} {key}", first_line(problem), value=str(override.input_line)))


def _place(override: Override, text: str, sources: Sources, found: Overrides) -> None:
    key = override.key_or_group
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        reason, instead = "Hydra's own settings are not used here", "distill --help lists what is"
        found.faults.append(BadInput(PLACE, reason, value=text, remedy=instead))
    elif override.is_sweep_override():
        remedy = f"add -m to sweep over them, or write {key}=[…] for a list"
        found.faults.append(BadInput(f"{PLACE} {key}", "several values", value=text, remedy=remedy))
    elif isinstance(override.value(), dict) or not (sources.is_group(key) or override.package is not None):
        found.values.append(override)
    elif override.is_delete():
        found.choices.append(override)
    else:
        fault = _unknown_choice(key, override.value(), sources)
        if fault is None:
            found.choices.append(override)
        else:
            found.faults.append(fault)


def _unknown_choice(group: str, value: object, sources: Sources) -> BadInput | None:
    options = sources.options(group)
    for choice in value if isinstance(value, list) else [value]:
        if not isinstance(choice, str) or choice not in options:
            return no_such_choice(f"{PLACE} {group}", choice, options)
    return None


SHOWN = 12
"""Choices that a refusal names."""


def no_such_choice(place: str, choice: object, options: list[str]) -> BadInput:
    """The refusal that lists what there is."""
    told = [name.rpartition("/")[2] if len(set(name.split("/"))) == 1 else name for name in options]
    close = nearest(str(choice).partition("/")[0] if "/" in str(choice) else str(choice), told)
    meant = f" (did you mean {close}?)" if close else ""
    known = ", ".join(told[:SHOWN]) or "nothing: no such group"
    more = f" and {len(told) - SHOWN} more (distill list shows all)" if len(told) > SHOWN else ""
    return BadInput(place, f"got {choice!r}, expected one of {known}{more}{meant}")


def _delete(config: DictConfig, key: str) -> None:
    above, _, name = key.rpartition(".")
    node = OmegaConf.select(config, above) if above else config
    if not OmegaConf.is_dict(node) or name not in node:
        raise KeyError("there is nothing to delete")
    del node[name]
