"""Signatures are read off the text of a package that is never imported: every way of writing one binds."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from distill.cli.binding import Binder
from distill.cli.definitions import attribute, find, module

WORDS = '''
"""Names that other modules import."""
from typing import Literal
Size = Literal["small", "large"]
Both = Size | None
class Abstract: ...
raise RuntimeError("this module was imported")
'''
PARTS = '''
"""Every way of writing a signature."""
from __future__ import annotations
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Callable, ClassVar, Literal, Optional, Union
import torch
from annotated_types import Gt, Interval, Le
from distill.ranges import Count, Fraction, Positive
from bound_plugin.words import Abstract, Both
if TYPE_CHECKING:
    from bound_plugin.words import Size
raise RuntimeError("this module was imported")

class Plain(Abstract):
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "hidden"})
    def __init__(self, size: int, rate: float = 0.1, flag: bool = False, name: str | None = None) -> None: ...

class Inherits(Plain):
    """No __init__ of its own."""

class Ranged:
    only_shows = True
    def __init__(self, a: Positive = 1.0, b: Fraction = 0.5, c: Count = 1,
                 d: Annotated[float, Gt(1), Le(2)] = 2.0, e: Annotated[int, Interval(ge=-1, lt=1)] = 0): ...

class Quoted:
    def __init__(self, kind: "Size" = "small", both: Both = None, part: "Abstract | None" = None) -> None: ...

class Containers:
    def __init__(self, numbers: list[int] = [], pair: tuple[float, float] = (0, 1), rest: tuple[int, ...] = (),
                 named: dict[str, Abstract] = {}, free: dict[str, Any] = {}, maybe: Optional[list[str]] = None,
                 either: Union[int, float, str] = 0) -> None: ...

class Open:
    def __init__(self, size: int = 1, **more: Any) -> None: ...

class Runtime:
    """Takes what only exists at run time."""
    def __init__(self, tensor: torch.Tensor, size: int = 1) -> None: ...

class Called:
    def __init__(self, make: Callable[[int], Abstract]) -> None: ...

@dataclass(frozen=True)
class Record:
    size: int
    rate: Positive = 1.0
    shared: ClassVar[int] = 3
    made: list = field(init=False)

@dataclasses.dataclass
class More(Record):
    extra: bool = False

class Nothing:
    """No constructor."""

def function(log_p: torch.Tensor, log_q: torch.Tensor, beta: Fraction = 0.5): ...
'''


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "bound_plugin").mkdir()
    (folder / "bound_plugin" / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    (folder / "bound_plugin" / "words.py").write_text(WORDS)
    (folder / "bound_plugin" / "parts.py").write_text(PARTS)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    assert "bound_plugin" not in sys.modules


def bound(name: str, /, **keys: Any) -> tuple[dict[str, Any], str]:
    """The bound node, and the faults."""
    binder = Binder(lambda key: "file:1", plugins=("bound_plugin",))
    node = binder.node({"_target_": f"bound_plugin.parts.{name}", **keys}, "part")
    return node, "\n".join(map(str, binder.faults))


PLAIN = {"_target_": "bound_plugin.parts.Plain", "size": 1}
ACCEPTED = [
    ("Plain", {"size": 1}),
    ("Plain", {"size": 1, "rate": 2, "flag": True, "name": None}),
    ("Inherits", {"size": 1, "name": "x"}),
    ("Ranged", {"a": 0.1, "b": 0, "c": 1, "d": 1.5, "e": -1}),
    ("Quoted", {"kind": "large", "both": None, "part": PLAIN}),
    ("Quoted", {"both": "small", "part": None}),
    ("Containers", {"numbers": [1, 2], "pair": [0, 1], "rest": [1, 2, 3], "named": {"x": PLAIN}, "free": {"a": [1]}}),
    ("Containers", {"maybe": None, "either": "text"}),
    ("Containers", {"maybe": ["a"], "either": 0.5}),
    ("Open", {"size": 1, "anything": [1], "else": "x"}),
    ("Runtime", {}),
    ("Called", {"make": {**PLAIN, "_partial_": True}}),
    ("Called", {"make": {"_target_": "bound_plugin.parts.function", "_partial_": True, "beta": 0.5}}),
    ("Record", {"size": 1, "rate": 0.5}),
    ("More", {"size": 1, "extra": True}),
    ("Nothing", {}),
    ("function", {"_partial_": True, "beta": 1}),
    ("Plain", {"_partial_": True}),
]
REFUSED = [
    ("Plain", {}, "part.size: is missing, expected a whole number"),
    ("Plain", {"size": True}, "got True, expected a whole number"),
    ("Plain", {"size": 1.0}, "got 1.0, expected a whole number"),
    ("Plain", {"size": "1"}, "got '1', expected a whole number"),
    ("Plain", {"size": 1, "rate": True}, "got True, expected a number"),
    ("Plain", {"size": 1, "rate": float("nan")}, "got nan, expected a number"),
    ("Plain", {"size": 1, "rate": "hot"}, "got 'hot', expected a number"),
    ("Plain", {"size": 1, "flag": 1}, "got 1, expected true or false"),
    ("Plain", {"size": 1, "name": 3}, "got 3, expected a text or null"),
    ("Plain", {"size": "???"}, "part.size: is missing"),
    ("Plain", {"sise": 1, "size": 1}, "Plain has no 'sise' (did you mean size?)"),
    ("Inherits", {"size": 1, "rtae": 1}, "Inherits has no 'rtae' (did you mean rate?)"),
    ("Ranged", {"a": 0}, "got 0, expected a number > 0"),
    ("Ranged", {"b": 1.01}, "got 1.01, expected a number ≥ 0 and ≤ 1"),
    ("Ranged", {"c": 0}, "got 0, expected a whole number ≥ 1"),
    ("Ranged", {"d": 1}, "got 1, expected a number > 1 and ≤ 2"),
    ("Ranged", {"e": 1}, "got 1, expected a whole number ≥ -1 and < 1"),
    ("Quoted", {"kind": "smal"}, "got 'smal', expected one of small, large (did you mean small?)"),
    ("Quoted", {"both": "Large"}, "expected one of small, large or null (did you mean large?)"),
    ("Quoted", {"part": {"size": 1}}, "expected an Abstract (something with _target_) or null"),
    ("Quoted", {"part": {"_target_": "bound_plugin.parts.Open"}}, "part.part._target_: got 'bound_plugin.parts.Open'"),
    ("Quoted", {"part": {**PLAIN, "_partial_": True}}, "part.part._target_"),
    ("Containers", {"numbers": [1, "x"]}, "part.numbers.1: got 'x', expected a whole number"),
    ("Containers", {"numbers": 1}, "got 1, expected a list, each a whole number"),
    ("Containers", {"pair": [1, 2, 3]}, "expected a list of 2: a number, a number"),
    ("Containers", {"named": {"x": {**PLAIN, "size": 0.5}}}, "part.named.x.size: got 0.5"),
    ("Containers", {"named": [PLAIN]}, "expected named values, each an Abstract"),
    ("Containers", {"free": {"a": {"_target_": "os.system"}}}, "part.free.a._target_: got 'os.system', not allowed"),
    ("Called", {"make": 3}, "expected something with _target_"),
    ("Record", {"size": 1, "shared": 4}, "Record has no 'shared'"),
    ("Record", {"size": 1, "made": []}, "Record has no 'made'"),
    ("More", {"extra": True}, "part.size: is missing"),
    ("Nothing", {"size": 1}, "Nothing has no 'size'; expected no keys here"),
    ("function", {"beta": 0.5}, "is missing"),
    ("function", {"_partial_": True, "beta": 2}, "got 2, expected a number ≥ 0 and ≤ 1"),
    ("Plain", {"size": 1, "_args_": [1]}, "Plain has no '_args_'"),
    ("Open", {"_convert_": "all"}, "Open has no '_convert_'"),
    ("Plain", {"size": 1, "_partial_": "yes"}, "got 'yes', expected true or false"),
    ("Gone", {}, "there is no such class in bound_plugin.parts"),
]


@pytest.mark.parametrize(("name", "keys"), ACCEPTED)
def test_what_fits_is_accepted(name: str, keys: dict[str, Any]) -> None:
    _, faults = bound(name, **keys)
    assert faults == ""


@pytest.mark.parametrize(("name", "keys", "said"), REFUSED)
def test_what_does_not_fit_is_refused(name: str, keys: dict[str, Any], said: str) -> None:
    _, faults = bound(name, **keys)
    assert said in faults


@pytest.mark.parametrize(
    ("name", "key", "value", "written"),
    [
        ("Plain", "rate", 2, 2.0),
        ("Ranged", "b", 1, 1.0),
        ("Containers", "pair", [0, 1], [0.0, 1.0]),
        ("Containers", "either", 1, 1),
        ("Containers", "either", 1.0, 1.0),
        ("Plain", "size", 3, 3),
    ],
)
def test_a_number_has_one_written_form(name: str, key: str, value: object, written: object) -> None:
    node, _ = bound(name, **{"size": 1, key: value} if name == "Plain" else {key: value})
    assert repr(node[key]) == repr(written)


def test_class_attributes_are_read_along_the_bases() -> None:
    plain, inherits, ranged = (find(f"bound_plugin.parts.{name}") for name in ("Plain", "Inherits", "Ranged"))
    assert plain is not None
    assert inherits is not None
    assert ranged is not None
    assert attribute(plain, "needs") == attribute(inherits, "needs") == frozenset({"logits", "hidden"})
    assert attribute(ranged, "needs") is None
    assert attribute(ranged, "only_shows") is True


def test_only_what_a_module_defines_is_found() -> None:
    assert find("bound_plugin.parts.dataclass") is None
    assert find("bound_plugin.parts.Abstract") is None
    assert find("bound_plugin.words.Abstract") is not None
    assert module("bound_plugin.nowhere") is None
    assert module("not a name") is None


def test_library_classes_are_read_without_importing_them() -> None:
    binder = Binder(lambda key: "file:1")
    node = {"_target_": "pytorch_lightning.trainer.trainer.Trainer", "_partial_": True}
    binder.node(
        {**node, "max_steps": 3, "precision": "bf16-mixed", "accelerator": "cpu", "gradient_clip_val": None}, "t"
    )
    assert binder.faults == []
    binder.node({**node, "max_stepz": 3, "precision": "bf17", "devices": [0, "x", {}]}, "t")
    said = "\n".join(map(str, binder.faults))
    assert "did you mean max_steps?" in said
    assert "did you mean bf16?" in said
    optim = {"_target_": "torch.optim.adamw.AdamW", "_partial_": True, "lr": 1e-3, "betas": [0.9, 0.95]}
    binder = Binder(lambda key: "file:1")
    binder.node(optim, "o")
    binder.node({**optim, "learning_rate": 1}, "o")
    assert len(binder.faults) == 1
