"""Reads Python without running it: where a dotted name is defined, its bases, its class attributes.

A config is checked against the constructors it names before anything is imported; importing torch to find out that
``temprature`` is misspelt would take six seconds, and importing what a stranger's YAML names would run it.

Left out on purpose: whatever cannot be read off the text. A name made at run time (``setattr``, ``exec``, star
imports) is simply not found.
"""

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Statement = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr

FAMILIES = {"pytorch_lightning": {"lightning_fabric"}, "distill": {"experiments"}, "experiments": {"distill"}}
"""Packages whose source is also read when a module of the key's package imports a name from them."""


@dataclass(frozen=True)
class Module:
    """One file: what it defines at its top level and what it imports, by local name."""

    name: str
    path: Path
    docstring: str = field(hash=False, compare=False)
    defined: dict[str, Statement] = field(hash=False, compare=False)
    imported: dict[str, tuple[str, str]] = field(hash=False, compare=False)

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Definition:
    """A class, a function or an assigned expression, and the module whose names it is written in."""

    module: Module
    name: str
    node: Statement = field(hash=False, compare=False)

    @property
    def path(self) -> str:
        return f"{self.module.name}.{self.name}"

    @property
    def docstring(self) -> str:
        node = self.node if isinstance(self.node, (ast.ClassDef, ast.FunctionDef)) else None
        return (ast.get_docstring(node) if node else None) or ""


def package_folder(name: str) -> Path | None:
    """Where an installed top-level package lies; asking does not import it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


@cache
def module(name: str) -> Module | None:
    """The parsed file of a module or package; None if there is no Python source under that name."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    folder = package_folder(parts[0])
    if folder is None:
        return None
    stem = folder.joinpath(*parts[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_name(stem.name + ".py")
    if not path.is_file():
        return None
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return None
    base = parts if stem.is_dir() else parts[:-1]
    defined: dict[str, Statement] = {}
    imported: dict[str, tuple[str, str]] = {}
    for statement in _top_level(tree.body):
        _record(statement, base, defined, imported)
    return Module(name, path, ast.get_docstring(tree) or "", defined, imported)


def find(target: str) -> Definition | None:
    """The class or function that ``package.module.Name`` names, if that very module defines it."""
    place, _, name = target.rpartition(".")
    there = module(place) if place else None
    node = there.defined.get(name) if there else None
    if there is None or not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return None
    return Definition(there, name, node)


def resolve(name: str, inside: Module, depth: int = 8) -> Definition | None:
    """What a (dotted) name means inside a module, following imports within the module's own family."""
    head, _, rest = name.partition(".")
    if not rest and head in inside.defined:
        return Definition(inside, head, inside.defined[head])
    origin = imported_from(name, inside)
    if origin is None or depth == 0 or not _family(inside.package, origin.partition(".")[0]):
        return None
    place, _, last = origin.rpartition(".")
    there = module(place)
    return resolve(last, there, depth - 1) if there else None


def imported_from(name: str, inside: Module) -> str | None:
    """The full dotted path that a name was imported from; None if the module does not import it."""
    head, _, rest = name.partition(".")
    if head not in inside.imported:
        return None
    return ".".join(part for part in (*inside.imported[head], rest) if part)


def lineage(definition: Definition) -> Iterator[Definition]:
    """The class itself, then its bases depth first, as far as their source is read."""
    yield definition
    if isinstance(definition.node, ast.ClassDef):
        for base in definition.node.bases:
            above = resolve(ast.unparse(_unsubscripted(base)), definition.module)
            if above is not None and isinstance(above.node, ast.ClassDef):
                yield from lineage(above)


def base_names(definition: Definition) -> set[str]:
    """The last name of every base, however far its source can be followed: for classes of other libraries."""
    return {
        ast.unparse(_unsubscripted(base)).rpartition(".")[2]
        for one in lineage(definition)
        if isinstance(one.node, ast.ClassDef)
        for base in one.node.bases
    }


def attribute(definition: Definition, name: str) -> object | None:
    """A class attribute written as a literal (``frozenset({...})`` included), looked up along the bases."""
    for one in lineage(definition):
        for statement in one.node.body if isinstance(one.node, ast.ClassDef) else []:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            value = getattr(statement, "value", None)
            if value is not None and any(isinstance(t, ast.Name) and t.id == name for t in targets):
                return literal(value)
    return None


def is_dataclass(definition: Definition) -> bool:
    """Whether the class carries the decorator itself (a subclass of one does not)."""
    decorators = definition.node.decorator_list if isinstance(definition.node, ast.ClassDef) else []
    called = [one.func if isinstance(one, ast.Call) else one for one in decorators]
    return any(ast.unparse(one).rpartition(".")[2] == "dataclass" for one in called)


def literal(node: ast.expr) -> object | None:
    """The value of a literal expression; None if it is anything else."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("frozenset", "set", "tuple"):
        return frozenset(_iterable(literal(node.args[0]))) if node.args else frozenset()
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _iterable(value: object) -> list:
    return list(value) if isinstance(value, (set, frozenset, list, tuple)) else []


def _unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _family(package: str, other: str) -> bool:
    return package == other or other in FAMILIES.get(package, set()) or other in ("distill", "experiments")


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run at import, those under ``if TYPE_CHECKING`` and ``try`` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _top_level(statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _top_level(statement.body)


def _record(
    statement: ast.stmt, base: list[str], defined: dict[str, Statement], imported: dict[str, tuple[str, str]]
) -> None:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            defined[name] = statement
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            defined[name] = value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            defined[name] = value
        case ast.Import(names=names):
            for alias in names:
                local = alias.asname or alias.name.partition(".")[0]
                imported[local] = (alias.name if alias.asname else local, "")
        case ast.ImportFrom(module=source, names=names, level=level):
            above = base[: len(base) - level + 1] if level else []
            place = ".".join([*above, *([source] if source else [])])
            for alias in names:
                imported[alias.asname or alias.name] = (place, alias.name)
