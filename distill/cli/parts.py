"""From a checked config to the parts that a run is made of, cheapest questions first.

Tokenizers are compared before a weight is loaded. A pretrained model's own tokenizer wins over the data's recipe:
only where no model brings one is one trained.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli import nursery, tokenizers
from distill.cli.attention import opened
from distill.cli.beginning import begun
from distill.cli.build import instantiate
from distill.cli.speaker import speaker
from distill.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from distill.data.module import DataModule
    from distill.evaluation.subject import Subject
    from distill.losses.objective import Objective
    from distill.rollouts.language import Language
    from distill.teachers.teacher import Teacher
    from distill.training.callbacks.interruption import Interruption
    from distill.training.distiller import Distiller

TAGS = "DISTILL_SWEEP_TAGS"
"""A sweep sets it for its runs: a JSON list of ``key=value`` of the swept keys."""


@dataclass(frozen=True)
class Parts:
    """What all subjects of a run share.

    Attributes:
        config: the run's.
        plugins: packages whose parts a config may name.
        data, tokenizer: the text, prepared.
        teacher: loaded.
        home: the folder of a teacher trained by recipe, with its rows; else None.
        vocabulary: ids below it mean the same to both models; None without a teacher.
        notes: what a person should know about the two.
        own: the teacher's tokenizer, where it is another than the data's; else None.
        tags: what a tracker is told of a run of a sweep.
        interruption: who watches for signals, where this run is not in the main thread; else None.
    """

    config: Mapping[str, Any]
    plugins: tuple[str, ...]
    data: "DataModule"
    tokenizer: "PreTrainedTokenizerBase"
    teacher: "Teacher"
    home: Path | None
    vocabulary: int | None
    notes: tuple[str, ...]
    own: "PreTrainedTokenizerBase | None" = None
    tags: tuple[str, ...] = ()
    interruption: "Interruption | None" = None

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @property
    def size(self) -> int:
        """Of the vocabulary that is predicted: the shared ids, the labels, or all of the tokenizer's."""
        return self.vocabulary or len(self.data.task.labels) or len(self.tokenizer)

    def hashes(self) -> dict[str, str]:
        """Of what goes into the run and is no part of its config."""
        from distill.data.tokenizer import fingerprint

        told = {"data": self.data.fingerprint, "tokenizer": fingerprint(self.tokenizer)}
        return told | ({"teacher": self.teacher.fingerprint} if self.teacher.fingerprint else {})

    def subjects(self) -> list["Subject"]:
        """The teacher, where it is a model that can be measured."""
        model, place = self.teacher.model, self.teacher.folder
        if model is None or place is None:
            return []
        from distill.evaluation.subject import Subject
        from distill.folders import known_ids

        folder = Path(place) if Path(place).is_dir() else None
        if self.own is not None:
            return [Subject("teacher", model, self.own, known_ids(self.own), folder, taught=True)]
        return [Subject("teacher", model, self.tokenizer, self.size, folder, taught=self.data.teacher_differs)]

    def student(self) -> "PreTrainedModel":
        """The student's initial weights: the same at every call."""
        from distill.data.isolation import check_isolation
        from distill.data.length import check_length
        from distill.training.randomness import reseed

        reseed(self.seed, 0)
        node = begun(opened(self.config["student"], self.config), self.teacher.folder)
        recipe = instantiate(node, plugins=self.plugins).of(self.data.task)
        recipe.see(lambda: iter(self.data.stream()))
        model = recipe.build(self.tokenizer)
        if self.data.packing:
            check_isolation(model, len(self.tokenizer), "student")
        check_length(model.config, self.data.sequence_length, "student")
        return model

    def distiller(self, steps: int, taught: bool) -> "Distiller":
        """The module that trains a student: with the run's objective, teacher and rollout, or on the text alone."""
        from distill.alignment.identity import Identity
        from distill.models import shape
        from distill.rollouts.data import Data
        from distill.teachers.none import NoTeacher
        from distill.training.comparison import criterion, without_teacher
        from distill.training.distiller import Distiller

        student = self.student()
        family = self.data.task.family
        made = instantiate(self.config["objective"], plugins=self.plugins) if taught else without_teacher(family)
        objective: Objective = made
        if taught:
            self._refuse_unmet(objective.unmet(self.teacher.provides))
            self.teacher.meet(student)
            objective.check(self.data.facts.domains)
        objective.prepare(shape(student), self.teacher.size(shape(student)))
        rollout, alignment, optim = (
            instantiate(self.config[part], plugins=self.plugins) for part in ("rollout", "alignment", "optim")
        )
        if taught:
            tokenizers.prepare(alignment, self.tokenizer, self.own)
            rollout.meet(self._language(student), lambda: self.teacher.model)
        else:
            rollout, alignment = Data(), Identity()
        return Distiller(
            student,
            objective,
            self.teacher if taught else NoTeacher(),
            rollout,
            alignment,
            optim,
            steps=steps,
            seed=self.seed,
            vocabulary=self.vocabulary,
            log_every=self.config["trainer"].get("log_every_n_steps", 10),
            criterion=criterion(family),
        )

    def _language(self, student: "PreTrainedModel") -> "Language":
        from distill.data.encode import Marks
        from distill.rollouts.language import Language

        begin = Marks.of(self.tokenizer).begin
        generation = getattr(student, "generation_config", None)
        return Language.of(self.tokenizer, self.vocabulary, generation, begin, self.data.ends)

    def _refuse_unmet(self, unmet: frozenset[str]) -> None:
        """What a loss needs may depend on its keys, which only the loss itself can read."""
        if unmet:
            said = ", ".join(sorted(self.teacher.provides)) or "nothing"
            reason = f"needs {', '.join(sorted(unmet))} of the teacher, which provides {said}"
            raise BadInput("objective", reason, remedy="use a teacher that runs here (teacher=live)")


def gather(config: Mapping[str, Any], plugins: tuple[str, ...], console: "Console") -> Parts:
    """Read the data, train or load the teacher, compare the tokenizers.

    Raises:
        BadInput: something cannot be used, or the two models do not speak of the same tokens.
    """
    from distill.folders import known_ids

    data = instantiate(config["data"], plugins=plugins)
    with console.status("reading the data"):
        tokenizer = data.prepare(tokenizers.own_tokenizer(config))
    teacher = config["teacher"]
    teacher, home = nursery.all_raised(teacher, config, tokenizer, console)
    if tokenizers.crosses(config) and tokenizers.differ(teacher, tokenizer):
        vocabulary, (own, notes) = known_ids(tokenizer), tokenizers.pair(speaker(teacher), data, tokenizer)
    else:
        own, (vocabulary, notes) = None, tokenizers.met(teacher, data, tokenizer)
    made = instantiate(opened(teacher, config), plugins=plugins)
    made.read_with(own or tokenizer)
    if vocabulary is not None and own is None:
        made.share(vocabulary)
    if data.packing:
        made.check_packing()
    with console.status("loading the teacher"):
        made.ready()
    tags = tuple(json.loads(os.environ.get(TAGS, "[]")))
    return Parts(config, plugins, data, tokenizer, made, home, vocabulary, (*notes, *made.notes), own, tags)
