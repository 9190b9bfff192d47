"""Tasks of lm-evaluation-harness on teacher, student and controls: multiple choice, likelihoods, generation, offline.

Left out on purpose: the harness's own tasks, which fetch their data from a hub. ``include`` is a folder of task files
of one's own, whose data are local; a task that wants a hub fails with what it wanted.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from distill.errors import BadInput
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural
from distill.wheels import quiet

Z = 1.959964
"""Of a 95 % interval, of the standard errors that the harness gives."""


class Harness(ModelMeasure):
    """Tasks of lm-evaluation-harness, from a folder of task files, on every subject.

    Source: Biderman et al. 2024, Lessons from the Trenches, https://arxiv.org/abs/2405.14782; package ``lm-eval``.

    Args:
        include: a folder of task files (``.yaml``) with local data.
        tasks: by name; none takes all that the folder has.
        shots: solved examples before each question.
        limit: questions of each task at most; None takes all.
        batch: questions at once.

    Raises:
        BadInput: the folder is none, holds no such task, or a task fails.

    Rows are named ``harness/<task>/<metric>``; intervals are the harness's standard errors × 1.96. It reads whole rows
    of logits, so ids beyond the tokenizer's count where an embedding is padded.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(
        self,
        include: str,
        tasks: list[str] | None = None,
        shots: Natural = 0,
        limit: Count | None = None,
        batch: Count = 8,
    ) -> None:
        self.include, self.tasks, self.shots, self.limit, self.batch = include, tasks, shots, limit, batch

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        folder = Path(self.include).expanduser()
        if find_spec("lm_eval") is None:
            raise BadInput("measure", "needs lm-eval", value="harness", remedy="pip install 'distill-lab[eval]'")
        if not folder.is_dir():
            raise BadInput("measure.model_measures.harness.include", "is no folder of task files", value=self.include)
        with _offline(), quiet():
            return {subject.name: self._rows(subject, folder) for subject in subjects}

    def _rows(self, subject: Subject, folder: Path) -> list[Measured]:
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.models import huggingface
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=str(folder), include_defaults=False)
        names = list(self.tasks or manager.all_tasks)
        if unknown := sorted(set(names) - set(manager.all_tasks)) or ([] if names else ["none"]):
            known = ", ".join(manager.all_tasks) or "nothing"
            raise BadInput("harness.tasks", f"{folder} has {known}", value=", ".join(unknown))
        wrapper: Any = huggingface.HFLM  # registered by a decorator that hides its constructor from a checker
        model = wrapper(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=self.batch, backend="causal")
        try:
            told: Any = simple_evaluate(
                model,
                tasks=list[Any](names),
                num_fewshot=self.shots,
                limit=self.limit,
                task_manager=manager,
                bootstrap_iters=1000,
                log_samples=False,
            )
        except (OSError, ValueError, KeyError, ConnectionError) as problem:
            reason = f"a task fails ({type(problem).__name__}: {str(problem).splitlines()[0][:200]})"
            raise BadInput("harness.tasks", reason, value=", ".join(names)) from problem
        return list(_measured(told))


def _measured(told: Mapping[str, Any]) -> Iterator[Measured]:
    """The harness's ``metric,filter`` and ``metric_stderr,filter`` as rows."""
    for task, found in told["results"].items():
        n = int(told.get("n-samples", {}).get(task, {}).get("effective", 1))
        for key, value in found.items():
            metric, _, chosen = key.partition(",")
            if metric.endswith("_stderr") or not chosen or not isinstance(value, (int, float)):
                continue
            error = found.get(f"{metric}_stderr,{chosen}")
            sure = isinstance(error, (int, float)) and error == error
            low, high = (value - Z * error, value + Z * error) if sure else (None, None)
            unit = "fraction" if metric.startswith(("acc", "exact_match")) else "1"
            yield Measured(
                f"harness/{task}/{metric if chosen == 'none' else f'{metric}_{chosen}'}", value, unit, n, low, high
            )


@contextmanager
def _offline() -> Iterator[None]:
    """Without a hub, and without the bars of four libraries."""
    with mock.patch.dict(os.environ, {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}), redirect_stderr(StringIO()):
        yield
