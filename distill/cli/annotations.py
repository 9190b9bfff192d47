"""From an annotation, as text in a file, to the kind of value it promises. Nothing is evaluated."""

import ast
from functools import reduce

from distill.cli.definitions import Module, imported_from, literal, resolve
from distill.cli.kinds import Anything, DictOf, Either, Exactly, Kind, ListOf, Maker, Number, OneOf, Part

PLAIN: dict[str, Kind] = {
    "int": Number(whole=True),
    "float": Number(whole=False),
    "bool": Exactly(bool),
    "str": Exactly(str),
    "None": Exactly(type(None)),
    "Any": Anything(),
    "object": Anything(),
    "list": ListOf((Anything(),)),
    "tuple": ListOf((Anything(),)),
    "dict": DictOf(Anything()),
    "Callable": Maker(),
    "Path": Exactly(str),
    "PathLike": Exactly(str),
}
LISTS = {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset"}
DICTS = {"dict", "Dict", "Mapping", "MutableMapping"}
WRAPPERS = {"Final", "ClassVar", "Required", "NotRequired"}


def kind_of(node: ast.expr | None, inside: Module) -> Kind:
    """The kind that an annotation written in a module promises."""
    match node:
        case None:
            return Anything()
        case ast.Constant(value=None):
            return Exactly(type(None))
        case ast.Constant(value=str() as quoted):
            return _quoted(quoted, inside)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], inside)
        case ast.Subscript(value=head, slice=inner):
            return _subscripted(_last(head), inner, inside)
        case ast.Name() | ast.Attribute():
            return _named(ast.unparse(node), inside)
        case _:
            return Anything()


def _named(name: str, inside: Module) -> Kind:
    last = name.rpartition(".")[2]
    meant = resolve(name, inside)
    if meant is None and last in PLAIN:
        return PLAIN[last]
    if meant is None:
        known = imported_from(name, inside)
        return Part(last) if known and last[:1].isupper() else Anything()
    if isinstance(meant.node, ast.expr):
        return kind_of(meant.node, meant.module)
    return Part(meant.name, meant) if isinstance(meant.node, ast.ClassDef) else Anything()


def _subscripted(head: str, inner: ast.expr, inside: Module) -> Kind:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if head == "Literal":
        return OneOf(tuple(literal(part) for part in parts))
    if head == "Annotated":
        return reduce(_narrowed, parts[1:], kind_of(parts[0], inside))
    if head in ("Union", "Optional"):
        return _either([*parts, *([ast.Constant(None)] if head == "Optional" else [])], inside)
    if head in LISTS:
        return ListOf((kind_of(parts[0], inside),))
    if head in ("tuple", "Tuple"):
        fixed = not (len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...)
        each = parts if fixed else parts[:1]
        return ListOf(tuple(kind_of(part, inside) for part in each), fixed)
    if head in DICTS:
        return DictOf(kind_of(parts[-1], inside))
    if head in WRAPPERS:
        return kind_of(parts[0], inside)
    return Maker() if head in ("Callable", "type", "Type") else Anything()


def _either(parts: list[ast.expr], inside: Module) -> Kind:
    """A flat union; whole numbers first, so that ``1`` stays whole where one is allowed."""
    members: list[Kind] = []
    for part in parts:
        kind = kind_of(part, inside)
        members += kind.members if isinstance(kind, Either) else [kind]
    return Either(tuple(sorted(members, key=_order)))


def _order(kind: Kind) -> int:
    return 0 if isinstance(kind, Number) and kind.whole else 2 if isinstance(kind, Anything) else 1


def _narrowed(kind: Kind, constraint: ast.expr) -> Kind:
    """A number with one more bound, from ``annotated_types`` or pydantic's ``Field``."""
    if not (isinstance(kind, Number) and isinstance(constraint, ast.Call)):
        return kind
    name = _last(constraint.func).lower()
    bounds = {word.arg: literal(word.value) for word in constraint.keywords}
    if name in ("ge", "gt", "le", "lt") and constraint.args:
        bounds = {name: literal(constraint.args[0])}
    low, high = bounds.get("gt", bounds.get("ge", kind.low)), bounds.get("lt", bounds.get("le", kind.high))
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        return kind
    return Number(kind.whole, low, high, kind.open_low or "gt" in bounds, kind.open_high or "lt" in bounds)


def _quoted(text: str, inside: Module) -> Kind:
    try:
        return kind_of(ast.parse(text, mode="eval").body, inside)
    except SyntaxError:
        return Anything()


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]
