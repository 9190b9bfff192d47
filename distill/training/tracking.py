"""Where training says what it measured: the run's own ``metrics.jsonl`` first, then a mirror elsewhere.

The local file is the truth. A tracker (W&B, TensorBoard, CSV) gets the same numbers; if it fails, that is counted,
said once, and the training goes on.
"""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from distill.rows import METRICS, Row, append

SPLITS = ("validation",)
GROUP = "WANDB_RUN_GROUP"
"""Set by a sweep for its runs."""


class RowLogger(Logger):
    """Lightning's logger interface on ``metrics.jsonl``. A name's ``validation/`` prefix becomes the row's split.

    Args:
        folder: of the run.
        subject: whose training it hears of.
        seed: of the rows.
        units: of the metrics whose name does not say it.
    """

    def __init__(self, folder: Path, subject: str, seed: int, units: Mapping[str, str]) -> None:
        super().__init__()
        self.file, self.subject, self.seed, self.units = folder / METRICS, subject, seed, units

    @property
    def name(self) -> str:
        return self.subject

    @property
    def version(self) -> str:
        return "0"

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        append(self.file, [self._row(name, value, step or 0) for name, value in metrics.items()])

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The resolved config lies beside the file as ``config.yaml``."""

    def _row(self, name: str, value: float, step: int) -> Row:
        split, _, metric = name.rpartition("/") if name.split("/")[0] in SPLITS else ("train", "", name)
        return Row(self.subject, metric, float(value), self._unit(metric), split, step, self.seed)

    def _unit(self, metric: str) -> str:
        """What was told of the metric; the norm of a term's gradient counts in what the term counts in."""
        if metric.startswith("alignment/"):
            return "fraction"
        if metric.endswith("/cosine"):
            return "1"
        term = metric.removeprefix("gradient/").removesuffix("/norm")
        return self.units.get(f"loss/{term}" if term != metric else metric, "nats/token")


class Mirror(Logger):
    """The same numbers in a tracker; a tracker that fails is left alone from then on.

    Args:
        logger: any Lightning logger.
        subject: names of every subject but the student get it as a prefix.
        report: told once, in words, when the tracker fails.
    """

    def __init__(self, logger: Logger, subject: str, report: Callable[[str], None]) -> None:
        super().__init__()
        self.logger, self.subject, self.report = logger, subject, report
        self.lost = 0

    @property
    def name(self) -> str | None:
        return self.logger.name

    @property
    def version(self) -> int | str | None:
        return self.logger.version

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        prefix = "" if self.subject == "student" else f"{self.subject}/"
        self._try(lambda: self.logger.log_metrics({prefix + key: value for key, value in metrics.items()}, step))

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._try(lambda: self.logger.log_hyperparams(params))

    def finalize(self, status: str) -> None:
        self._try(lambda: self.logger.finalize(status))

    def _try(self, tell: Callable[[], object]) -> None:
        if self.lost:
            self.lost += 1
            return
        try:
            tell()
        except Exception as problem:  # a tracker may fail in any way; what it missed stands in metrics.jsonl
            self.lost += 1
            self.report(f"{type(self.logger).__name__} failed ({problem}); metrics.jsonl goes on alone")


@dataclass(frozen=True)
class Sheet:
    """A table for a tracker: numbers where there are numbers, text elsewhere."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


class Tracker(ABC):
    """Opens the mirror of a run.

    Attributes:
        shows: whether it has a place for reports.
    """

    shows: ClassVar[bool] = False

    @abstractmethod
    def open(self, folder: Path, name: str, config: Mapping[str, Any], tags: list[str]) -> Logger | None:
        """A Lightning logger that writes below ``folder``, or None for no mirror."""

    def close(self, logger: Logger) -> None:
        """Let go of what was opened, when nothing more is trained."""
        return

    def show(self, folder: Path, page: Path, tables: Mapping[str, Sheet], numbers: Mapping[str, float]) -> None:
        """Show a report, where the mirror has a place for one.

        Args:
            folder: of the run or of the sweep.
            page: the report as HTML.
            tables: its tables by title.
            numbers: what was measured at the end of a run, by name, for the tracker's own table of runs.
        """
        return


class Wandb(Tracker):
    """Weights & Biases, offline unless asked; ``wandb sync`` later uploads the same rows.

    Args:
        project: W&B's project.
        mode: ``offline`` writes below the run folder; ``online`` needs an account; ``disabled`` writes nothing.
        entity: W&B's user or team.
        group: runs of one sweep share it.
    """

    shows: ClassVar[bool] = True

    def __init__(
        self,
        project: str = "distill",
        mode: Literal["offline", "online", "disabled"] = "offline",
        entity: str | None = None,
        group: str | None = None,
    ) -> None:
        self.project, self.entity, self.group = project, entity, group
        self.mode: Literal["offline", "online", "disabled"] = mode

    def open(self, folder: Path, name: str, config: Mapping[str, Any], tags: list[str]) -> Logger | None:
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True, console="off"))
        return WandbLogger(
            name=name,
            save_dir=folder,
            project=self.project,
            entity=self.entity,
            group=self.group or os.environ.get(GROUP),  # W&B itself reads it once a process
            tags=tags,
            config=dict(flat(config)),
            mode=self.mode,
            log_model=False,
            reinit="create_new",  # runs that share a process have a run of their own here too
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )

    def close(self, logger: Logger) -> None:
        """End the run: W&B lets nobody add a report to one that is open."""
        assert isinstance(logger, WandbLogger)
        logger.experiment.finish()

    def show(self, folder: Path, page: Path, tables: Mapping[str, Sheet], numbers: Mapping[str, float]) -> None:
        """The report as HTML, its tables, and a chart of each: in the run, or in a run of its own for a sweep."""
        import wandb

        known = sorted((folder / "wandb").glob("*run-*-*"))
        own = known[-1].name.rpartition("-")[2] if known else None
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            dir=folder,
            id=own,
            resume="allow" if own else None,
            name=None if own else f"{folder.name}-report",
            job_type=None if own else "report",
            group=self.group or (None if own else folder.name),
            mode=self.mode,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        made = {
            name: wandb.Table(list(sheet.columns), [list(row) for row in sheet.rows]) for name, sheet in tables.items()
        }
        told: dict[str, Any] = {f"report/{name}": table for name, table in made.items()}
        for name, sheet in tables.items():
            if (chart := _charted(sheet)) is not None:
                told[f"report/chart of {name}"] = wandb.plot.bar(made[name], sheet.columns[0], chart, title=name)
        run.log({**numbers, **told, "report/page": wandb.Html(page.read_text(encoding="utf-8"), inject=False)})
        run.finish()


def _charted(sheet: Sheet) -> str | None:
    """The first column of numbers, if it is one throughout."""
    for place, name in enumerate(sheet.columns[1:], start=1):
        if sheet.rows and all(isinstance(row[place], float) for row in sheet.rows):
            return name
    return None


def flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as on the command line: a table of runs is sorted and filtered by them."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


class Csv(Tracker):
    """One ``metrics.csv`` below the run folder."""

    def open(self, folder: Path, name: str, config: Mapping[str, Any], tags: list[str]) -> Logger | None:
        return CSVLogger(folder, name="csv")


class TensorBoard(Tracker):
    """Event files below the run folder (extra ``tensorboard``)."""

    def open(self, folder: Path, name: str, config: Mapping[str, Any], tags: list[str]) -> Logger | None:
        return TensorBoardLogger(folder, name="tensorboard")


class NoTracker(Tracker):
    """``metrics.jsonl`` alone."""

    def open(self, folder: Path, name: str, config: Mapping[str, Any], tags: list[str]) -> Logger | None:
        return None


def complain(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr)
