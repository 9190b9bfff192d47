"""Teacher assistants: stages from one command, each stage's student the teacher of the next.

Every stage is a run of its own inside the run's folder (``stages/NAME``), with config, rows, checkpoints and report; so
it is resumed as any run is, and done once. Its text, objective and optimiser are the run's.

Left out on purpose: sharing stages between the runs of a sweep. A stage that should be shared is trained once by itself
and then named: ``teacher=live teacher.path=RUN/student``.

Source: Mirzadeh et al. 2020, arXiv:1902.03393.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from distill.cli.compose import Composed
from distill.cli.run_folder import RunFolder
from distill.cli.speaker import speakers, with_node
from distill.errors import BadInput
from distill.ranges import Count

STAGES = "stages"


@dataclass(frozen=True)
class Chain:
    """What lies below ``teacher.chain``.

    Attributes:
        source: the node of the first stage's teacher.
        stages: student's nodes by the stage's name.
        order: names of stages, the largest student first.
        steps: optimiser steps of a stage; None takes the run's.
        control: of a stage; it is there to teach, so by default it has none.
    """

    source: dict[str, Any]
    stages: dict[str, dict[str, Any]]
    order: list[str]
    steps: Count | None = None
    control: Literal["both", "steps", "compute", "none"] = "none"


def chain_of(teacher: Mapping[str, Any]) -> Chain | None:
    """The chain in a teacher's node that has to be trained first.

    Raises:
        BadInput: unknown or missing keys, or an order that names no stage.
    """
    told = teacher.get("chain")
    if teacher.get("path") is not None or not told:
        return None
    try:
        chain = Chain(**told)
    except TypeError as problem:
        known = ", ".join(Chain.__dataclass_fields__)
        raise BadInput("teacher.chain", str(problem).partition(" ")[2], remedy=f"its keys are {known}") from None
    strangers = [name for name in chain.order if name not in chain.stages]
    if strangers or not chain.order or len(set(chain.order)) < len(chain.order):
        reason = f"expected names of stages, each once: {', '.join(chain.stages)}"
        raise BadInput("teacher.chain.order", reason, value=chain.order)
    return chain


def taught(composed: Composed, folder: RunFolder, carry_out: Callable[[Composed, RunFolder], None]) -> Composed:
    """The config with the path of every teacher that a chain makes; its stages are run, or found done.

    Args:
        composed: the run's.
        folder: the run's; stages lie in it.
        carry_out: executes a run that is not done, in its folder, and reports it.
    """
    teacher = composed.config["teacher"]
    for place, node in speakers(teacher).items():
        if chain := chain_of(node):
            last = _run(chain, composed, folder, carry_out, node)
            teacher = with_node(teacher, place, {"path": str(last), "chain": None})
    return replace(composed, config={**composed.config, "teacher": teacher})


def found(teacher: Mapping[str, Any], run: Path) -> Mapping[str, Any]:
    """The same of a run that is done: its teachers are in its folder."""
    for place, node in speakers(teacher).items():
        if chain := chain_of(node):
            teacher = with_node(teacher, place, {"path": str(_student(run, chain.order[-1])), "chain": None})
    return teacher


def _run(
    chain: Chain,
    composed: Composed,
    folder: RunFolder,
    carry_out: Callable[[Composed, RunFolder], None],
    node: Mapping[str, Any],
) -> Path:
    teacher: Mapping[str, Any] = chain.source
    for name in chain.order:
        stage = _stage(chain, name, teacher, composed, folder.path)
        carry_out(stage, RunFolder(stage, composed.arguments.command))
        teacher = {**node, "path": str(_student(folder.path, name)), "chain": None}
    return _student(folder.path, chain.order[-1])


def _stage(chain: Chain, name: str, teacher: Mapping[str, Any], composed: Composed, run: Path) -> Composed:
    config = composed.config
    steps = {} if chain.steps is None else {"max_steps": chain.steps}
    own = {
        "name": f"{config['name']}, stage {name}",
        "teacher": teacher,
        "student": chain.stages[name],
        "control": chain.control,
        "trainer": {**config["trainer"], **steps},
        "paths": {**config["paths"], "run": str(run / STAGES / name)},
    }
    return replace(composed, config={**config, **own})


def _student(run: Path, name: str) -> Path:
    return run / STAGES / name / "student"
