"""``distill train -m``: plans a sweep, executes its runs, tells how it ended.

Left out on purpose: Hydra's multirun, whose jobs share a process and take each other along when one dies.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.cli.arguments import Arguments
from distill.cli.build import instantiate
from distill.cli.experiments import kept
from distill.cli.plan import Plan, planned
from distill.cli.searching import is_search, refuse_elsewhere, search
from distill.sweeps.driver import Driver
from distill.sweeps.folder import SweepFolder
from distill.sweeps.outcome import Outcome
from distill.sweeps.progress import shown

_SHOWN = 32


def multirun(arguments: Arguments, afterwards: Callable[..., object] = lambda *_: None) -> int:
    """Plan and execute a sweep; the same command again executes what is missing or failed.

    Args:
        arguments: with several values somewhere; ``--dry-run`` tells the runs and creates nothing.
        afterwards: called with the sweep folder, the first run's config and the plugins when the runs are through and
            at least one is done.

    Returns:
        0 all done; 1 some failed or were left; 128 + n stopped by signal n.

    Raises:
        BadInputs: what is wrong with any of the runs; nothing was created.
        ResourceStop: the sweep folder cannot be written.
    """
    if is_search(arguments):
        return search(arguments, afterwards)
    plan = planned(arguments)
    refuse_elsewhere(plan.first.config)
    print(told(plan))
    if arguments.dry_run:
        return 0
    plan.folder.write_plan(list(arguments.command), plan.swept, plan.jobs)

    def last(folder: Path) -> None:
        kept(arguments, folder)
        afterwards(folder, plan.first.config, arguments.plugins)

    return executed(plan.folder, plan.first.config, arguments.plugins, last)


def executed(
    folder: SweepFolder,
    config: dict[str, Any],
    plugins: tuple[str, ...] = (),
    afterwards: Callable[[Path], object] = lambda _folder: None,
    only_failed: bool = False,
) -> int:
    """Drive a sweep that is laid down, tell how it ended, and hand it on.

    Args:
        folder: the sweep.
        config: whose ``launcher`` and ``sweeper`` say where and how its runs are executed.
        plugins: packages whose launchers may be named.
        afterwards: see ``multirun``.
        only_failed: leave alone what was not begun.
    """
    grid = instantiate(config["sweeper"], plugins=plugins)
    launcher = instantiate(config["launcher"], plugins=plugins)
    with shown() as show:
        driver = Driver(folder, launcher, grid.patience, grid.brake, show)
        outcome = driver.drive((lambda _job, status: status.state == "failed") if only_failed else None)
    print("\n".join(ending(folder, outcome)))
    if outcome.done and outcome.stopped is None:
        afterwards(folder.path)
    return outcome.exit_code


def told(plan: Plan) -> str:
    """What is going to be executed, in a few lines."""
    keys = ", ".join(f"{key} ({len(values)})" for key, values in plan.swept.items())
    runs = "1 run" if len(plan.jobs) == 1 else f"{len(plan.jobs)} runs"
    lines = [f"sweep of {runs} over {keys or 'nothing'} in {plan.folder.path}"]
    lines += [f"  {job.name}" for job in plan.jobs[:_SHOWN]]
    lines += [f"  … and {len(plan.jobs) - _SHOWN} more"] if len(plan.jobs) > _SHOWN else []
    lines += [f"{plan.repeated} combinations are a run already listed, and are run once"] if plan.repeated else []
    lines += [f"left out {values}: {reason}" for values, reason in plan.unfit.items()]
    lines += [f"lockstep: {line}" for line in plan.sharing]
    return "\n".join(lines)


def ending(folder: SweepFolder, outcome: Outcome) -> list[str]:
    """What a person needs to know at the end: counts, each failure with cause and log, what to do next."""
    states = {"done": outcome.done, "failed": outcome.failed, "left": outcome.queued}
    states |= {"pruned": outcome.pruned} if outcome.pruned else {}
    lines = [", ".join(f"{len(names)} {state}" for state, names in states.items()) + f"; {folder.path}"]
    lines += [f"  {name}: {folder.status(name).cause} (log: {folder.log(name)})" for name in outcome.failed]
    if outcome.brake:
        lines.append(f"{outcome.brake}; repair it, or write sweeper.brake=0 to go on in spite of it")
    if outcome.failed or outcome.queued:
        lines.append(f"the same command goes on; distill sweep retry {folder.path} repeats what failed")
    return lines
