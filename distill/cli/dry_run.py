"""What a run would be, and nothing of it done: the composed config, what differs from the defaults, what it costs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from distill.cli.candidates import refuse_strangers
from distill.cli.changes import ABSENT, changes
from distill.cli.compose import Composed, compose
from distill.cli.estimate import Estimate, amount, estimate, refuse_hopeless
from distill.cli.identity import identity
from distill.secrets import redacted


def show(composed: Composed, console: Console | None = None) -> int:
    """Print the dry run of a verb's config, for ``train`` with its numbers; 0.

    Raises:
        BadInput: a model that the config names cannot be used.
        ResourceStop: the disk or the memory cannot hold the run.
    """
    console = console or Console()
    console.print(tree(composed))
    console.print(differences(composed, compose(replace(composed.arguments, overrides=()))))
    if composed.verb == "train":
        refuse_strangers(composed.config)
        numbers = estimate(composed.config, composed.arguments.plugins)
        console.print(costs(numbers))
        refuse_hopeless(numbers, composed.config["paths"]["root"])
    console.print(Text(f"identity {identity(composed)}; nothing was created", style="dim"))
    return 0


def tree(composed: Composed) -> Tree:
    """The config, groups with the choice that was made."""
    top = Tree(Text(f"distill {composed.verb}", style="bold"))
    chosen = {key.partition("@")[2] or key: choice for key, choice in composed.choices.items()}
    _grow(top, redacted(composed.config), chosen)
    return top


def differences(composed: Composed, defaults: Composed) -> Table:
    """The keys whose values are not those of the same command without overrides, and where they were set."""
    made = Table(title="different from the defaults", title_justify="left")
    for head in ("key", "default", "here", "set in"):
        made.add_column(head, overflow="fold")
    for key, sides in changes(redacted(defaults.config), redacted(composed.config)).items():
        values = ["–" if side is ABSENT else _told(side) for side in sides]
        made.add_row(Text(key), *map(Text, values), Text(composed.origin(key)))
    if not made.row_count:
        made.add_row("nothing", "", "", "")
    return made


def costs(numbers: Estimate) -> Table:
    """Parameters, tokens, time, memory and disk."""
    from distill.cli.pace import foretold

    made = Table(title="what it takes", title_justify="left", show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, shape in (("student", numbers.student), ("teacher", numbers.teacher)):
        if shape is None:
            made.add_row(name, "none")
            continue
        sizes = f"{shape.layers} layers, width {shape.width}, {shape.heads} heads, vocabulary {shape.vocabulary:,}"
        made.add_row(name, f"{shape.parameters:,} parameters ({shape.embedding_parameters:,} embedding); {sizes}")
    for subject, steps in numbers.steps.items():
        made.add_row(f"{subject}, trained", f"{steps:,} steps, {steps * numbers.tokens_per_step:,} tokens")
    made.add_row("tokens", f"{numbers.tokens_per_step:,} a step, {numbers.tokens:,} in all, if rows are full")
    told = foretold(numbers.training + numbers.asking, numbers.student.width)
    made.add_row("time", f"{told}; attention, losses and measures come on top")
    made.add_row("memory", f"about {amount(numbers.memory)}, and half a GiB for the libraries")
    made.add_row("disk", f"{amount(numbers.disk)} when done, {amount(numbers.disk_peak)} at most on the way")
    if numbers.store:
        asked = next(iter(numbers.steps.values())) * numbers.tokens_per_step
        told = f"{amount(numbers.store)} at most in paths.cache: what the teacher says of {asked:,} tokens, asked once"
        width = numbers.student.width if numbers.teacher is None else numbers.teacher.width
        made.add_row("store", f"{told} in {numbers.passes:,} passes, {foretold(numbers.asking, width)}")
    return made


def _grow(branch: Tree, value: Mapping[str, Any], choices: Mapping[str, str], key: str = "") -> None:
    for name, inner in value.items():
        path = f"{key}.{name}" if key else name
        if isinstance(inner, Mapping) and inner:
            label = Text(name, style="cyan" if key else "bold cyan")
            choice = Text(f" = {choices[path]}" if path in choices else "", style="green")
            _grow(branch.add(label + choice), inner, choices, path)
        else:
            branch.add(Text(f"{name}: ", style="default") + Text(_told(inner), style="yellow"))


def _told(value: object) -> str:
    """A value as yaml writes it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return value if isinstance(value, str) and value else repr(value)
