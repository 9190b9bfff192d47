"""Binds every key of a config to the constructor it goes to: unknown keys, missing ones, wrong types and ranges.

The signature is read off the source (``definitions``), its annotations become kinds (``annotations``), and every
fault is kept, so that a person sees all of them at once.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from distill.cli.allow import OWN, refusal, within
from distill.cli.annotations import kind_of
from distill.cli.definitions import Definition, Module, find, is_dataclass, lineage, module
from distill.cli.kinds import Kind, Part, nearest
from distill.errors import BadInput

MISSING = "???"
MARKS = ("_target_", "_partial_")


@dataclass(frozen=True)
class Parameter:
    """One argument of a constructor. Its kind is worked out only when a config sets it: a signature of a library may
    name dozens of types that nobody asks for."""

    name: str
    annotation: ast.expr | None = field(hash=False)
    inside: Module
    required: bool

    @property
    def kind(self) -> Kind:
        return kind_of(self.annotation, self.inside)


@dataclass(frozen=True)
class Signature:
    """The named arguments that a class or function takes.

    Attributes:
        open: it takes any further name (``**kwargs``).
    """

    parameters: dict[str, Parameter] = field(hash=False)
    open: bool = False

    @property
    def waits_for_arguments(self) -> bool:
        """Whether it needs what no config can give."""
        return any(one.required and not _from_config(one) for one in self.parameters.values())


@cache
def signature(definition: Definition) -> Signature:
    """What may be written below a ``_target_``: of a function, a dataclass, or the nearest ``__init__``."""
    if isinstance(definition.node, ast.FunctionDef):
        return _of_function(definition.node, definition.module, bound=False)
    fields: dict[str, Parameter] = {}
    for above in lineage(definition):
        if is_dataclass(above):
            fields = _of_dataclass(above) | fields
            continue
        for statement in above.node.body if isinstance(above.node, ast.ClassDef) else []:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__" and not fields:
                return _of_function(statement, above.module, bound=True)
    return Signature(fields)


def _of_function(node: ast.FunctionDef, inside: Module, bound: bool) -> Signature:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    found = [(argument, index < needed) for index, argument in enumerate(positional)][1 if bound else 0 :]
    found += [(one, default is None) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parameters = {one.arg: Parameter(one.arg, one.annotation, inside, required) for one, required in found}
    return Signature(parameters, open=arguments.kwarg is not None)


def _of_dataclass(definition: Definition) -> dict[str, Parameter]:
    fields: dict[str, Parameter] = {}
    for statement in definition.node.body if isinstance(definition.node, ast.ClassDef) else []:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if "ClassVar" in ast.unparse(statement.annotation) or "init=False" in ast.unparse(statement):
            continue
        name = statement.target.id
        fields[name] = Parameter(name, statement.annotation, definition.module, statement.value is None)
    return fields


class Binder:
    """Walks a resolved config beside the signatures it must fit.

    Args:
        origin: where a dotted key was written, as a person finds it ("conf/x.yaml:3").
        plugins: packages whose parts are allowed too.
        repeats: keys that only repeat another one: what is wrong is told there.
    """

    def __init__(
        self, origin: Callable[[str], str], plugins: tuple[str, ...] = (), repeats: Mapping[str, str] | None = None
    ) -> None:
        self.origin, self.plugins, self.repeats = origin, plugins, repeats or {}
        self.faults: list[BadInput] = []
        self.faulty: set[str] = set()

    def value(self, kind: Kind, value: Any, key: str) -> Any:
        """The value in its one written form; a fault if it is not of this kind."""
        if value == MISSING:
            self.fault(key, f"is missing, expected {kind}")
        elif kind.takes(value):
            return kind.bound(value, key, self)
        else:
            self.wrong(key, value, f"expected {kind}", kind.nearest(value))
            self._inside(value, key)
        return value

    def node(self, node: dict[str, Any], key: str) -> dict[str, Any]:
        """A mapping with a ``_target_``, bound to what it names."""
        target = node["_target_"]
        reason = refusal(target, self.plugins)
        definition = find(target) if reason is None else None
        if definition is None:
            self.wrong(f"{key}._target_", target, reason or "expected a class that is installed", _neighbour(target))
            self._inside({name: value for name, value in node.items() if name not in MARKS}, key)
            return node
        if not isinstance(node.get("_partial_", False), bool):
            self.wrong(f"{key}._partial_", node["_partial_"], "expected true or false")
        whole = not node.get("_partial_", False)
        signed = signature(definition)
        if whole and isinstance(definition.node, ast.FunctionDef) and signed.waits_for_arguments:
            self.fault(f"{key}._partial_", "is missing, expected true: the function's arguments come later")
        return self._bound(signed, node, key, definition.name, whole)

    def record(
        self, definition: Definition, values: dict[str, Any], key: str, owner: str | None = None
    ) -> dict[str, Any]:
        """Plain keys bound to a dataclass of settings."""
        return self._bound(signature(definition), values, key, owner or definition.name, whole=True)

    def wrong(self, key: str, value: object, reason: str, instead: str | None = None) -> None:
        """Note that a key has a value that it cannot have."""
        self.fault(key, f"got {_shown(value)}, {reason}", instead)

    def fault(self, key: str, reason: str, instead: str | None = None) -> None:
        """Note what is wrong at a key; the same thing is noted once."""
        if self.repeats.get(key) in self.faulty:
            return
        self.faulty.add(key)
        meant = f" (did you mean {instead}?)" if instead else ""
        fault = BadInput(f"{self.origin(key)} {key}", reason + meant)
        if str(fault) not in map(str, self.faults):
            self.faults.append(fault)

    def _bound(self, signed: Signature, values: dict[str, Any], key: str, owner: str, whole: bool) -> dict[str, Any]:
        bound: dict[str, Any] = {}
        for name, value in values.items():
            inner = f"{key}.{name}" if key else name
            parameter = signed.parameters.get(name)
            if name in MARKS and "_target_" in values:
                bound[name] = value
            elif parameter is not None:
                bound[name] = self.value(parameter.kind, value, inner)
            elif signed.open and not name.startswith("_"):
                bound[name] = value
                self._inside(value, inner)
            else:
                self._unknown(inner, value, owner, list(signed.parameters))
        for name, parameter in signed.parameters.items():
            if whole and parameter.required and name not in values and _from_config(parameter):
                self.fault(f"{key}.{name}" if key else name, f"is missing, expected {parameter.kind}")
        return bound

    def _unknown(self, key: str, value: object, owner: str, known: list[str]) -> None:
        name = key.rpartition(".")[2]
        instead = nearest(name, known)
        names = f"expected one of {', '.join(known)}" if known else "expected no keys here"
        self.fault(
            key, f"got {_shown(value)}, but {owner} has no {name!r}" + ("" if instead else f"; {names}"), instead
        )
        self._inside(value, key)

    def _inside(self, value: object, key: str) -> None:
        """Parts inside a value that is itself refused are looked at all the same."""
        if isinstance(value, dict) and "_target_" in value:
            self.node(value, key)
        elif isinstance(value, dict):
            for name, inner in value.items():
                self._inside(inner, f"{key}.{name}")
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._inside(inner, f"{key}.{index}")


def _neighbour(target: object) -> str | None:
    """The class of the same module whose name is most like the target's."""
    place, _, name = str(target).rpartition(".")
    there = module(place) if within(place, OWN) else None
    close = (
        nearest(name, [known for known, node in there.defined.items() if isinstance(node, ast.ClassDef)])
        if there
        else None
    )
    return f"{place}.{close}" if close and close != name else None


def _from_config(parameter: Parameter) -> bool:
    """Whether a config can give it: what only exists at run time (a tokenizer, a tensor) is handed over by the verb."""
    kind = parameter.kind
    return not isinstance(kind, Part) or kind.definition is not None


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
