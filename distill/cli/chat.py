"""Talk to a student in the terminal, beside its teacher: distill chat TARGET.

TARGET is a run folder, an exported folder (ONNX, GGUF, Hugging Face), a model's folder or a hub id. Answers stream as
they are written. A line is a prompt; without a terminal, lines are read from standard input. Nothing that a model
writes is obeyed by the terminal: control characters are shown as their escapes.

    /teacher  both answer from now on, or the student alone again     /tokens  the last answer, token by token
    /why      the student's reasons, where it learnt to give them     /help    these lines
    /quit     ends, as the end of input does
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.arguments import Arguments
from distill.cli.chat_reasons import asking
from distill.cli.compose import compose
from distill.cli.exported import exported_at, run_of
from distill.cli.run_folder import CONFIG
from distill.cli.settings import Paths
from distill.cli.target import Target, find_target, teacher_node
from distill.errors import BadInput
from distill.ranges import Count, Natural, NonNegative

if TYPE_CHECKING:
    from rich.console import Console

    from distill.export.speaker import Speaker
    from distill.teachers.teacher import Teacher

HELP = "/teacher  both answer, or one again   /tokens  token by token   /why  its reasons   /help   /quit"


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/chat.yaml``. Read as text, never made: the config is bound to these annotations."""

    subject: str
    name: str
    wheel: str | None
    new_tokens: Count
    temperature: NonNegative
    seed: Natural
    top: Count
    system: str | None
    paths: Paths
    teacher: "Teacher"


def run(arguments: Arguments) -> int:
    """``distill chat TARGET``."""
    if len(arguments.words) != 1 or arguments.multirun:
        told = " ".join(arguments.words) or "nothing"
        reason = "chat takes one run folder, exported folder, model folder or hub id, without -m"
        raise BadInput("command line", reason, value=told)
    if arguments.dry_run:
        return foretold(arguments)
    from rich.console import Console

    from distill.cli.quiet import quieten

    quieten()
    console = Console(highlight=False, markup=False)
    Chat(*speaking(arguments), console).go(_lines(console))
    return 0


def foretold(arguments: Arguments) -> int:
    """Say what a command line's one word is; 0."""
    exported = exported_at(arguments.words[0])
    target = _target(arguments, exported[0] if exported else None)
    print(f"{arguments.words[0]}: {exported[1]['label'] if exported else ', '.join(target.models)}")
    return 0


def speaking(arguments: Arguments) -> tuple[Target, "Speaker"]:
    """What a command line's one word names, and the model of it, loaded.

    Raises:
        BadInput: there is no such model, or it cannot be used.
    """
    exported = exported_at(arguments.words[0])
    target = _target(arguments, exported[0] if exported else None)
    return target, _exported(*exported, target) if exported else _student(target)


def _target(arguments: Arguments, export: Path | None) -> Target:
    """An export that lies in a run's folder has the run's teacher."""
    if export is not None and (run_of(export) / CONFIG).is_file():
        arguments = replace(arguments, words=(str(run_of(export)),))
    return find_target(arguments, compose(arguments))


def _student(target: Target) -> "Speaker":
    from distill.export.speaker import Speaker

    name = target.config["subject"] if target.run else target.config["name"]
    if name not in target.models:
        remedy = f"it has {', '.join(target.models)}"
        raise BadInput("subject", "the run has no such model", value=name, remedy=remedy)
    wheel = None if target.run else target.config["wheel"]
    runner, tokenizer = _loaded(target.models[name], wheel, target)
    return Speaker(name, runner, tokenizer, *_manner(target))


def _exported(place: Path, facts: dict[str, Any], target: Target) -> "Speaker":
    from distill.export.onnx_runner import OnnxRunner
    from distill.export.speaker import Speaker
    from distill.folders import load_tokenizer

    name = str(facts.get("label"))
    if facts.get("format") == "onnx":
        return Speaker(name, OnnxRunner(place), load_tokenizer(str(place)), *_manner(target))
    if facts.get("format") == "executorch":
        from distill.export.executorch_runner import ExecutorchRunner

        return Speaker(name, ExecutorchRunner(place), load_tokenizer(str(place)), *_manner(target))
    file = place / str(facts.get("file")) if facts.get("format") == "gguf" else place
    return Speaker(name, *_loaded(str(file), None, target), *_manner(target))


def _loaded(path: str, wheel: str | None, target: Target) -> tuple[Any, Any]:
    """A runner and its tokenizer."""
    from distill.export.torch_runner import TorchRunner
    from distill.folders import known_ids, load_causal_lm, load_tokenizer, locate
    from distill.models import check_head, token_embedding

    folder = locate(path, wheel, target.cache)
    tokenizer, model = load_tokenizer(folder), load_causal_lm(folder)
    check_head(model)
    return TorchRunner(model, min(known_ids(tokenizer), token_embedding(model).shape[0])), tokenizer


def _manner(target: Target) -> tuple[str | None, float, int]:
    told = target.config
    return told.get("system"), told.get("temperature", 0.0), told.get("seed", 0)


def _lines(console: "Console") -> Iterator[str]:
    """What the person types, or what a pipe brings."""
    while True:
        if sys.stdin.isatty():
            console.print("> ", end="", style="bold")
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\r\n")


class Chat:
    """The conversation itself.

    Args:
        target: with the config, and whose teacher is asked.
        student: who always answers.
        console: where it is shown.
    """

    def __init__(self, target: Target, student: "Speaker", console: "Console") -> None:
        self.target, self.student, self.console = target, student, console
        self.teacher: Speaker | None = None
        self.both, self.asked = False, ""
        self.asking = asking(None if target.run is None else target.run[1])

    def go(self, lines: Iterator[str]) -> None:
        """Until there are no more lines, or one says so."""
        how = "its chat template" if self.student.chats else "no chat template: it continues what you write"
        self.console.print(f"{self.student.name}, {how}.   {HELP}", style="dim", soft_wrap=True)
        commands = {"/teacher": self._toggle, "/tokens": self._tokens, "/why": self._why, "/help": self._help}
        for line in lines:
            if line == "/quit":
                return
            if line in commands:
                commands[line]()
            elif line.startswith("/") and " " not in line:
                self._note("no such command")
                self._help()
            elif line:
                self.asked = line
                for speaker in (self.student, self.teacher) if self.both else (self.student,):
                    if speaker is not None:
                        self._answer(speaker, self.asking.prompt(line))

    def _answer(self, speaker: "Speaker", prompt: str) -> None:
        from distill.reports.escaping import shown

        if self.both:
            self.console.print(f"{speaker.name}: ", end="", style="bold")
        pieces = speaker.answer(prompt, self.target.config["new_tokens"])
        try:
            with closing(pieces):
                for piece in pieces:
                    self.console.out(shown(piece, lines=True), end="", highlight=False)
                    self.console.file.flush()
        except KeyboardInterrupt:  # ends this answer, not the conversation
            self.console.out(" …", end="")
        self.console.out("")
        if speaker.last is not None and not speaker.last.said:
            self._note("it had nothing to say (or the prompt fills its context)")

    def _why(self) -> None:
        prompt = self.asking.why(self.asked)
        if prompt is None or not self.asked:
            self._note("there is no answer yet" if prompt is not None else self.asking.refusal)
            return
        self._answer(self.student, prompt)

    def _toggle(self) -> None:
        if self._found_teacher() is not None:
            self.both = not self.both
            self._note("student and teacher answer" if self.both else "the student answers")

    def _found_teacher(self) -> "Speaker | None":
        """Loaded when it is first asked for."""
        from distill.export.speaker import Speaker

        if self.teacher is None:
            try:
                node = teacher_node(self.target, self.console)
                if node.get("path") is None:
                    raise BadInput("teacher", "nothing here knows one", remedy="teacher=live teacher.path=FOLDER")
                runner, tokenizer = _loaded(node["path"], node.get("wheel"), self.target)
                self.teacher = Speaker("teacher", runner, tokenizer, *_manner(self.target))
            except BadInput as problem:
                self._note(str(problem))
        return self.teacher

    def _tokens(self) -> None:
        from distill.cli.chat_tokens import compared, table
        from distill.export.speaker import thought

        turn = self.student.last
        if turn is None or not turn.said:
            self._note("there is no answer yet")
            return
        teacher = self._found_teacher()
        if teacher is not None and (problem := compared(self.student, teacher)):
            self._note(problem)
            teacher = None
        log_p = None if teacher is None else thought(teacher.runner, turn)
        self.console.print(table(turn, log_p, self.student.tokenizer, self.target.config["top"]))

    def _help(self) -> None:
        self._note(HELP)

    def _note(self, text: str) -> None:
        self.console.print(text, style="dim", soft_wrap=True)
