"""``distill train -m sweeper=optuna``: a sweep whose runs are proposed as the search goes on.

Round by round: ask Optuna for as many trials as the launcher executes at a time, compose and check them, execute them
as a sweep executes its runs, tell Optuna what came out. The folder is named by the search space and by all in the
config that is not searched, so the same command goes on, also with more trials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.arguments import Arguments
from distill.cli.arms import with_all_arms
from distill.cli.build import instantiate
from distill.cli.compose import Composed, compose
from distill.cli.identity import digest
from distill.cli.plan import job_of, keeps_identity, misfits, refuse_secrets
from distill.cli.sources import Sources
from distill.errors import BadInput, BadInputs
from distill.names import hashed
from distill.sweeps.driver import Driver
from distill.sweeps.expansion import Combination
from distill.sweeps.folder import SweepFolder
from distill.sweeps.job import Job
from distill.sweeps.names import run_name
from distill.sweeps.progress import shown
from distill.sweeps.search import Search
from distill.sweeps.space import Axis, parsed
from distill.sweeps.study import RUN, Study

if TYPE_CHECKING:
    import optuna

CHOICE = "sweeper=optuna"
_After = Callable[..., object]


def is_search(arguments: Arguments) -> bool:
    """Whether a command line asks for a search rather than for every combination."""
    return CHOICE in arguments.overrides


def search(arguments: Arguments, afterwards: _After = lambda *_: None) -> int:
    """Propose and execute until there are as many trials as asked for.

    Args:
        arguments: with something to search over; ``--dry-run`` tells the space and creates nothing.
        afterwards: called at the end with the sweep folder, a config and the plugins, when at least one run is done.

    Returns:
        0 all done or stopped by the search; 1 some failed; 128 + n stopped by signal n.

    Raises:
        BadInputs: what is wrong with the space, or with a proposed run.
    """
    prepared = _prepared(arguments)
    print("\n".join(prepared.told()))
    if arguments.dry_run:
        return 0
    rounds = _Rounds(prepared, Study(prepared.folder.path, prepared.search, prepared.axes))
    code = rounds.all()
    print("\n".join(rounds.ending()))
    if rounds.study.best() and code < 128:
        afterwards(prepared.folder.path, prepared.first.config, arguments.plugins)
    return code


@dataclass(frozen=True)
class _Prepared:
    """A search that may begin: what stands, what is searched, and where it goes."""

    arguments: Arguments
    fixed: tuple[str, ...]
    axes: Mapping[str, Axis]
    first: Composed
    search: Search
    folder: SweepFolder

    def told(self) -> list[str]:
        goals = ", ".join(f"{goal.metric} ({goal.better})" for goal in self.search.goals)
        lines = [f"search of {self.search.trials} trials for {goals} in {self.folder.path}"]
        return lines + [f"  {key}: {axis}" for key, axis in self.axes.items()]

    def composed(self, values: Mapping[str, str]) -> tuple[Composed, Combination]:
        overrides = (*self.fixed, *(f"{key}={value}" for key, value in values.items()))
        one = compose(replace(self.arguments, overrides=overrides, multirun=False))
        combination = Combination(overrides, {key.lstrip("+~"): value for key, value in values.items()})
        if faults := misfits(one, combination):
            raise BadInputs(faults)
        return one, combination


def _prepared(arguments: Arguments) -> _Prepared:
    refuse_secrets(arguments)
    arguments = with_all_arms(arguments)
    options = Sources.of(arguments.config_dir, arguments.plugins).options
    fixed, axes = parsed(arguments.overrides, options)
    if not axes:
        remedy = "give a key several values, or an interval"
        raise BadInput("command line", "a search has nothing to search over", remedy=remedy)
    tried = (*fixed, *(f"{key}={axis.first}" for key, axis in axes.items()))
    first = compose(replace(arguments, overrides=tried, multirun=False))
    sweeper = instantiate(first.config["sweeper"], plugins=arguments.plugins)
    if sweeper.pruner != "none" and first.config["launcher"].get("together", 1) > 1:
        reason = "runs that share a process cannot be stopped one by one"
        raise BadInput("sweeper.pruner", reason, value=sweeper.pruner, remedy="write launcher.together=1")
    space = {key: str(axis) for key, axis in axes.items()}
    goals = {goal.metric: goal.better for goal in sweeper.goals}
    told = {"fixed": digest(first.config, 16), "space": space, "goals": goals}
    name = hashed(f"{first.config['name']}-search", digest(told, 8))
    folder = SweepFolder(Path(first.config["paths"]["sweeps"]).expanduser() / name)
    return _Prepared(arguments, tuple(fixed), axes, first, sweeper, folder)


class _Rounds:
    """Asks, executes and tells, as long as there are trials left."""

    def __init__(self, prepared: _Prepared, study: Study) -> None:
        self.prepared, self.study, self.folder = prepared, study, prepared.folder
        self.launcher = instantiate(prepared.first.config["launcher"], plugins=prepared.arguments.plugins)
        self.smaller = keeps_identity(prepared.arguments, prepared.first)
        self.failed: list[str] = []
        self.pruned: list[str] = []
        self.brake: str | None = None

    def all(self) -> int:
        """Exit code: see ``search``."""
        waiting = [(trial, str(trial.user_attrs[RUN])) for trial in self.study.unfinished()]
        while waiting or self.study.left:
            proposed = waiting or self._proposed()
            stopped, waiting = self._round(proposed), []
            if stopped is not None:
                return 128 + stopped
            if self.brake:
                return 1
        return 1 if self.failed else 0

    def ending(self) -> list[str]:
        """The best, or the front, and what failed."""
        best = self.study.best()
        goals = self.prepared.search.goals
        lines = [f"{'best' if len(goals) == 1 else 'Pareto front'} of {len(self.study.study.trials)} trials:"]
        for run, values, objectives in best:
            told = ", ".join(f"{goal.metric} {value:.6g}" for goal, value in zip(goals, objectives, strict=True))
            lines.append(f"  {told}  {' '.join(f'{key}={value}' for key, value in values.items())}  ({run})")
        lines = lines if best else ["no trial has come to an end with a finite objective"]
        lines += [f"  {name}: {self.folder.status(name).cause} (log: {self.folder.log(name)})" for name in self.failed]
        lines += [f"  {name}: pruned, {self.folder.status(name).cause}" for name in dict.fromkeys(self.pruned)]
        return [*lines, str(self.folder.path)]

    def _proposed(self) -> "list[tuple[optuna.Trial, str]]":
        """As many trials as go at a time, each laid down as a run of the sweep; equal ones are one run."""
        found, jobs = [], {}
        for _ in range(min(self.launcher.jobs, self.study.left)):
            trial, values = self.study.ask()
            composed, combination = self.prepared.composed(values)
            name = run_name(combination.swept, digest(composed.config, 8))
            jobs[name] = job_of(composed, combination, self.prepared.arguments, self.folder, name, self.smaller)
            found.append((trial, name))
        swept = {key.lstrip("+~"): [str(axis)] for key, axis in self.prepared.axes.items()}
        self.folder.write_plan(list(self.prepared.arguments.command), swept, list(jobs.values()), grows=True)
        for trial, name in found:
            trial.set_user_attr(RUN, name)  # a trial that has a run's name has its run laid down
        return found

    def _round(self, proposed: "list[tuple[optuna.Trial, str]]") -> int | None:
        """Execute and tell; the signal that stopped it."""
        trials = {name: trial for trial, name in proposed}
        search = self.prepared.search
        with shown() as show:
            driver = Driver(self.folder, self.launcher, search.patience, search.brake, show, self._hopeless(trials))
            outcome = driver.drive(lambda job, _status: job.name in trials)
        for trial, name in proposed:
            state = self.folder.status(name).state
            if state in ("done", "failed", "pruned"):
                done = self.folder.run(name) if state == "done" else None
                self.study.tell(trial, done, stopped=state == "pruned")
                self.failed += [name] if state == "failed" else []
                self.pruned += [name] if state == "pruned" else []
        self.brake = outcome.brake
        return outcome.stopped

    def _hopeless(self, trials: "Mapping[str, optuna.Trial]") -> Callable[[Job], str | None]:
        def halt(job: Job) -> str | None:
            return self.study.hopeless(trials[job.name], self.folder.run(job.name)) if job.name in trials else None

        return halt


def refuse_elsewhere(config: Mapping[str, Any]) -> None:
    """A sweep of every combination whose config chooses a search.

    Raises:
        BadInput: a file chose it, and the command line's values were taken for a grid.
    """
    if str(config["sweeper"].get("_target_", "")).endswith(".Search"):
        raise BadInput("sweeper", "a search is asked for on the command line", remedy=f"write {CHOICE}")
