"""From a merged config to plain containers: every ``${…}`` replaced, every fault of it told with its line.

A text that begins with ``~/`` is a path in the home folder: no shell expands it behind ``data.path=``.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.errors import BadInput

RESOLVERS = {"oc.env", "oc.select"}
"""Besides another key, ``${…}`` may read an environment variable or a key with a default; nothing else."""
CALL = re.compile(r"\$\{\s*([^{}:$,\s]*|\$\{)\s*:")
REPEAT = re.compile(r"\$\{([\w.]+)\}")
DEEPEST = 40


def resolved(
    config: DictConfig, origin: Callable[[str], str], faults: list[BadInput]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Plain dicts, lists and values; and which keys only repeat another (``data.seed`` -> ``seed``).

    A key that cannot be resolved is told in ``faults`` and left out.
    """
    resolver = _Resolver(origin, faults)
    return resolver.mapping(config, "", 0), resolver.repeats


class _Resolver:
    def __init__(self, origin: Callable[[str], str], faults: list[BadInput]) -> None:
        self.origin, self.faults = origin, faults
        self.repeats: dict[str, str] = {}

    def mapping(self, node: DictConfig, key: str, depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for name in list(node.keys()):
            inner = f"{key}.{name}" if key else str(name)
            if not isinstance(name, str):
                self._fault(inner, f"got the name {name!r}, expected a text")
                continue
            self._into(plain, name, node, name, inner, depth)
        return plain

    def sequence(self, node: ListConfig, key: str, depth: int) -> list[Any]:
        found: dict[int, Any] = {}
        for index in range(len(node)):
            self._into(found, index, node, index, f"{key}.{index}", depth)
        return list(found.values())

    def _into(self, into: dict, name: Any, node: Any, index: Any, key: str, depth: int) -> None:
        raw = node._get_node(index)
        written = raw._value() if OmegaConf.is_interpolation(node, index) else None
        if written and (whole := REPEAT.fullmatch(str(written))):
            self.repeats[key] = whole[1]
        refused = [call for call in CALL.findall(str(written)) if call not in RESOLVERS] if written else []
        if refused:
            self._fault(
                key, f"got {written!r}, expected ${{key}}, ${{oc.env:NAME,default}} or ${{oc.select:key,default}}"
            )
            return
        if depth > DEEPEST:
            self._fault(key, "refers to itself")
            return
        if OmegaConf.is_missing(node, index):
            into[name] = "???"
            return
        try:
            value = node[index]
        except RecursionError:
            self._fault(key, f"got {written!r}, which refers to itself")
            return
        except (OmegaConfBaseException, ValueError, TypeError) as problem:
            said = (str(problem).splitlines() or [""])[0]
            self._fault(key, f"got {written!r}, which cannot be resolved ({said})")
            return
        if isinstance(value, DictConfig):
            into[name] = self.mapping(value, key, depth + 1)
        elif isinstance(value, ListConfig):
            into[name] = self.sequence(value, key, depth + 1)
        else:
            into[name] = str(Path(value).expanduser()) if str(value).startswith("~/") else value

    def _fault(self, key: str, reason: str) -> None:
        fault = BadInput(f"{self.origin(key)} {key}", reason)
        if str(fault) not in map(str, self.faults):
            self.faults.append(fault)
