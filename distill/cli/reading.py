"""One YAML file, read; what is wrong with it told in one line with its number, however many Hydra would print."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.cli.sources import Loader, told
from distill.errors import BadInput

FAILURES = (OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, TypeError, RecursionError)


def read(path: Path) -> DictConfig:
    """The content of a config file without its defaults list.

    Raises:
        BadInput: it is not YAML, or not names with values.
    """
    known = path.stat()
    try:
        written = OmegaConf.create(_parsed(path, known.st_mtime_ns, known.st_size))
    except FAILURES as problem:
        raise fault_of(problem, path) from None
    if not isinstance(written, DictConfig):
        raise BadInput(f"{told(path)}:1", "got no names at the top, expected names with values")
    if "hydra" in written:
        raise BadInput(told(path), "got hydra:, expected none of Hydra's own settings", remedy="remove it")
    written.pop("defaults", None)
    return written


@lru_cache(maxsize=1024)
def _parsed(path: Path, _changed: int, _size: int) -> Any:
    """Plain containers; a sweep composes the same few files for each of its runs."""
    return OmegaConf.to_container(OmegaConf.load(path))


def fault_of(problem: Exception, path: Path) -> BadInput:
    """What a reader said, with the line if it can be found."""
    mark = getattr(problem, "problem_mark", None)
    if mark is not None:
        said = str(getattr(problem, "problem", None) or "not YAML").strip()
        return BadInput(f"{told(path)}:{mark.line + 1}", f"broken YAML: {said}")
    if isinstance(problem, yaml.reader.ReaderError):
        text = path.read_text(encoding="utf-8")[: problem.position]
        line = text.count("\n") + 1
        return BadInput(f"{told(path)}:{line}", f"broken YAML: got the character {chr(problem.character)!r}")
    if isinstance(problem, RecursionError):
        return BadInput(told(path), "broken YAML: nested too deep")
    line = _refused_line(path)
    place = f"{told(path)}:{line}" if line else told(path)
    return BadInput(place, first_line(problem))


def first_line(problem: BaseException) -> str:
    """What an exception says, without what follows."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _refused_line(path: Path) -> int | None:
    """The line of the first value that OmegaConf does not take by itself (a broken ``${…}``, a date)."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=Loader)
    except yaml.YAMLError:
        return None
    pending = [root] if root is not None else []
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.MappingNode):
            pending += [part for pair in reversed(node.value) for part in reversed(pair)]
        elif isinstance(node, yaml.SequenceNode):
            pending += reversed(node.value)
        else:
            try:
                OmegaConf.create(f"value: {node.value!r}" if "${" in node.value else f"value: {node.value}")
            except FAILURES:
                return node.start_mark.line + 1
    return None
