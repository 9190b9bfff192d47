"""Where configs lie: this project's ``conf``, ``experiments``, and the folders that a person adds.

In a checkout ``conf/`` stands beside the package; in a wheel it lies inside it. Earlier roots win. Every file is
looked at before Hydra reads one, because a YAML of a few lines can expand to gigabytes or refer to itself.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import yaml

from distill.cli.definitions import package_folder
from distill.errors import BadInput

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else ROOT / "conf"
LARGEST = 1 << 20
MOST_VALUES = 20_000
ALIAS = re.compile(r"(?:^|[\s\[,{:-])\*[^\s*]", re.MULTILINE)
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Sources:
    """The roots that groups are looked up in.

    Args:
        added: ``--config-dir`` and the ``conf`` folders of plugins, in that order.
    """

    added: tuple[Path, ...] = ()

    @classmethod
    def of(cls, config_dir: str | None, plugins: tuple[str, ...]) -> "Sources":
        """The roots of a command.

        Raises:
            BadInput: ``config_dir`` is not a folder.
        """
        added = []
        if config_dir is not None:
            folder = Path(config_dir).expanduser()
            if "\0" in config_dir or not folder.is_dir():
                raise BadInput("--config-dir", "no such folder", value=config_dir)
            added.append(folder.resolve())
        for plugin in plugins:
            folder = package_folder(plugin.partition(".")[0])
            inside = folder.joinpath(*plugin.split(".")[1:], "conf") if folder else None
            added += [inside] if inside and inside.is_dir() else []
        return cls(tuple(added))

    @property
    def roots(self) -> list[Path]:
        return [CONF, *self.added, ROOT]

    def file(self, config: str) -> Path | None:
        """The YAML that a choice such as ``objective/forward_kl`` names."""
        found = (root / f"{config}.yaml" for root in self.roots)
        return next((path for path in found if path.is_file()), None)

    def is_group(self, name: str) -> bool:
        return bool(name) and ".." not in name and "\0" not in name and bool(self.options(name))

    def options(self, group: str) -> list[str]:
        """The choices of a group; files in folders below it are told with their folder."""
        return sorted(
            {
                path.relative_to(root / group).with_suffix("").as_posix()
                for root in self.roots
                if self._holds(root, group)
                for path in (root / group).rglob("*.yaml")
            }
        )

    @cached_property
    def groups(self) -> list[str]:
        """Every group of this project and of the added folders."""
        inside = {path.name for root in (CONF, *self.added) for path in root.iterdir() if path.is_dir()}
        return sorted(name for name in inside | {"experiments"} if name[0] not in "._" and self.options(name))

    def inspect(self) -> list[BadInput]:
        """Faults of files that Hydra must not even open: not UTF-8, too large, or referring to themselves."""
        reasons = {path: _hostile(path) for path in self.files()}
        return [BadInput(told(path), reason) for path, reason in reasons.items() if reason]

    def files(self) -> list[Path]:
        """Every config of this project and of the added folders."""
        roots = (CONF, *self.added, ROOT / "experiments")
        return [path for root in roots for path in sorted(root.rglob("*.yaml")) if path.is_file()]

    def _holds(self, root: Path, group: str) -> bool:
        """Everything that is installed lies beside a wheel's package: only experiments are looked for there."""
        return (root != ROOT or group.partition("/")[0] == "experiments") and (root / group).is_dir()


def told(path: Path) -> str:
    """A path as a person at this prompt would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def lines(path: Path) -> dict[tuple[str, ...], int]:
    """The line that each key of a YAML file is written on."""
    known = path.stat()
    return _lines(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=1024)
def _lines(path: Path, _changed: int, _size: int) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=Loader)
    _walk(root, (), found)
    return found


def _walk(node: yaml.Node | None, key: tuple[str, ...], found: dict[tuple[str, ...], int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            found[inner] = name.start_mark.line + 1
            _walk(value, inner, found)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found[(*key, str(index))] = value.start_mark.line + 1
            _walk(value, (*key, str(index)), found)


def _hostile(path: Path) -> str | None:
    try:
        if path.stat().st_size > LARGEST:
            return f"larger than {LARGEST >> 20} MiB, expected a config"
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "not UTF-8 text, expected YAML"
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    if not ALIAS.search(text):
        return None
    try:
        _expanded(yaml.compose(text, Loader=Loader), {}, set())
    except RecursionError:
        return "an alias (*name) refers to itself"
    except OverflowError:
        return f"aliases (*name) expand to more than {MOST_VALUES} values"
    except yaml.YAMLError:
        return None  # told with its line when the file is chosen
    return None


def _expanded(node: yaml.Node | None, sizes: dict[int, int], open_nodes: set[int]) -> int:
    """How many values a node stands for once its aliases are written out."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in open_nodes:
        raise RecursionError
    if id(node) not in sizes:
        inner = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[id(node)] = 1 + sum(_expanded(part, sizes, open_nodes | {id(node)}) for part in inner)
        if sizes[id(node)] > MOST_VALUES:
            raise OverflowError
    return sizes[id(node)]
