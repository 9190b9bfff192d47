"""The memory of a search: an Optuna study in the sweep's folder, asked for values and told what became of them.

It lies in ``optuna.db`` (sqlite), so a driver that was killed goes on with what it had proposed, and two drivers share
one study. A run without a finite objective is told as failed and can never be the best.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import BadInput
from distill.rows import METRICS, Row, read
from distill.sweeps.goal import Goal
from distill.sweeps.search import Search
from distill.sweeps.space import Axis

if TYPE_CHECKING:
    import optuna

STORAGE = "optuna.db"
RUN = "run"
"""The trial's attribute that names its run."""
WATCHED = ("student", "nats_per_token", "validation")
"""The curve that a run is stopped by."""


class Study:
    """A search's study.

    Args:
        folder: of the sweep; made if need be.
        search: what is searched for, and how.
        axes: where.

    Raises:
        BadInput: Optuna is not installed, or a pruner is wanted for several objectives.
    """

    def __init__(self, folder: Path, search: Search, axes: Mapping[str, Axis]) -> None:
        try:
            import optuna
        except ImportError:
            remedy = "pip install 'distill-lab[sweep]'"
            raise BadInput("sweeper", "needs Optuna", value="optuna", remedy=remedy) from None
        if search.pruner != "none" and len(search.goals) > 1:
            raise BadInput("sweeper.pruner", "stops by one objective, there are several", remedy="write pruner=none")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.search, self.axes = search, axes
        self.study = optuna.create_study(
            storage=f"sqlite:///{(folder / STORAGE).absolute()}",
            study_name=folder.name,
            directions=["minimize" if goal.better == "lower" else "maximize" for goal in search.goals],
            pruner=_pruner(search),
            load_if_exists=True,
        )
        self.study.sampler = _sampler(search, len(self.study.trials))
        self._heard: dict[int, int] = {}

    @property
    def left(self) -> int:
        """Trials that are yet to be proposed."""
        return max(0, self.search.trials - len(self.study.trials))

    def unfinished(self) -> list["optuna.Trial"]:
        """Trials that were proposed and never told about: their driver was killed. One without a run is given up."""
        import optuna

        state = optuna.trial.TrialState
        lost = [one for one in self.study.get_trials(deepcopy=False) if one.state is state.RUNNING]
        for one in lost:
            if RUN not in one.user_attrs:
                self.study.tell(one.number, state=state.FAIL)
        return [optuna.Trial(self.study, one._trial_id) for one in lost if RUN in one.user_attrs]

    def ask(self) -> tuple["optuna.Trial", dict[str, str]]:
        """A trial, and its values as a command line has them."""
        trial = self.study.ask({key: axis.distribution() for key, axis in self.axes.items()})
        return trial, {key: axis.written(trial.params[key]) for key, axis in self.axes.items()}

    def tell(self, trial: "optuna.Trial", folder: Path | None, stopped: bool = False) -> None:
        """What became of a trial; nothing is changed if another driver has told it already.

        Args:
            folder: of its finished run; None for a run that failed.
            stopped: it was stopped early.
        """
        import optuna

        state = optuna.trial.TrialState
        values = [] if folder is None else measured(folder, self.search.goals)
        if stopped:
            self.study.tell(trial, state=state.PRUNED, skip_if_finished=True)
        elif not values or any(value is None for value in values):
            self.study.tell(trial, state=state.FAIL, skip_if_finished=True)
        else:
            self.study.tell(trial, [value for value in values if value is not None], skip_if_finished=True)

    def hopeless(self, trial: "optuna.Trial", folder: Path) -> str | None:
        """Why a run should be stopped now, by the curve in its ``metrics.jsonl``; None: let it go on."""
        if self.search.pruner == "none":
            return None
        last = self._heard.get(trial.number)
        if last is None:  # begun under another driver: what that one has heard is in the study
            last = max(self.study.trials[trial.number].intermediate_values, default=-1)
        step, value = last, math.nan
        for row in curve(folder):
            if row.step > step and math.isfinite(row.value):
                trial.report(row.value, row.step)
                step, value = row.step, row.value
        self._heard[trial.number] = step
        if step < max(self.search.warmup, 1) or step == last or not trial.should_prune():
            return None
        reason = {"median": "worse than the median of the others there", "halving": "not among the better half there"}
        return f"stopped at step {step} by the search ({WATCHED[1]} {value:.4g}: {reason[self.search.pruner]})"

    def best(self) -> list[tuple[str, Mapping[str, Any], Sequence[float]]]:
        """(run, values, objectives) of the best trial, or of every trial on the Pareto front."""
        return [(str(one.user_attrs.get(RUN)), one.params, one.values) for one in self.study.best_trials]


def measured(folder: Path, goals: Sequence[Goal]) -> list[float | None]:
    """The objectives of a run; a size or a speed stands on no text, whatever split is searched on."""
    return [goal.value(folder) for goal in goals]


def curve(folder: Path) -> list[Row]:
    """What a run has said of its validation so far."""
    path = folder / METRICS
    if not path.is_file():
        return []
    return [row for row in read(path) if (row.subject, row.metric, row.split) == WATCHED]


def _sampler(search: Search, told: int) -> "optuna.samplers.BaseSampler":
    """Seeded anew by how many trials there are: a search that goes on must not propose the same again."""
    import optuna

    seed = search.seed + told
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return (
        optuna.samplers.NSGAIISampler(seed=seed) if search.sampler == "nsga2" else optuna.samplers.TPESampler(seed=seed)
    )


def _pruner(search: Search) -> "optuna.pruners.BasePruner":
    import optuna

    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=search.warmup)
    if search.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(search.warmup, 1), reduction_factor=2)
    return optuna.pruners.NopPruner()
