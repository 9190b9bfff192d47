"""What a command line says, before any config is looked at."""

import re
from dataclasses import dataclass, field

from distill.errors import BadInput

FLAGS = {"-m": "multirun", "--multirun": "multirun", "--dry-run": "dry_run", "--debug": "debug"}
VALUED = ("--plugin", "--config-dir")
QUESTIONS = ("-h", "--help", "--version")
PATTERN = re.compile(r"glob\(([\w*?.-]+)\)")
"""A pattern of experiments' names; one that says more is Hydra's own to read."""


@dataclass(frozen=True)
class Arguments:
    """``distill VERB words… overrides… [flags]``.

    Attributes:
        verb: what to do.
        words: what it is done to: ``losses`` in ``distill list losses``, a run folder in ``distill report RUN``.
        overrides: ``key=value``, ``group=choice``, ``+key=value``, ``~key``, in Hydra's grammar.
        multirun: commas in overrides make a sweep (``-m``).
        dry_run: show what would be done.
        debug: keep tracebacks.
        plugins: packages whose parts a config may name (``--plugin``).
        config_dir: a folder with more choices (``--config-dir``).
        asked: ``-h``, ``--help`` or ``--version``, if given.
        command: the words as typed, for records.
    """

    verb: str = ""
    words: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    multirun: bool = False
    dry_run: bool = False
    debug: bool = False
    plugins: tuple[str, ...] = ()
    config_dir: str | None = None
    asked: str | None = None
    command: tuple[str, ...] = field(default=(), compare=False)

    def without_words(self) -> "Arguments":
        """Itself, for a verb that is told overrides only.

        Raises:
            BadInput: a word stands where ``key=value`` was meant.
        """
        if self.words:
            raise BadInput("command line", f"{self.verb} takes key=value only", value=" ".join(self.words))
        return self


def parse(argv: list[str]) -> Arguments:
    """Read a command line; ``experiment=NAME`` becomes the choice ``experiments=NAME/NAME``.

    Raises:
        BadInput: an unknown flag, or a flag without its value.
    """
    told: dict[str, bool] = {}
    values: dict[str, list[str]] = {flag: [] for flag in VALUED}
    asked, plain, rest = None, [], list(argv)
    while rest:
        word = rest.pop(0)
        flag, given, value = word.partition("=")
        if word in FLAGS:
            told[FLAGS[word]] = True
        elif flag in VALUED:
            if not given and not rest:
                raise BadInput("command line", f"{flag} wants a value", remedy=f"write {flag} VALUE")
            values[flag].append(value if given else rest.pop(0))
        elif word in QUESTIONS:
            asked = word
        elif word.startswith("-") and word != "-":
            known = ", ".join([*FLAGS, *VALUED, *QUESTIONS])
            raise BadInput("command line", f"no such flag; there are {known}", value=word)
        else:
            plain.append(word)
    verb = plain.pop(0) if plain and "=" not in plain[0] else ""
    return Arguments(
        verb=verb,
        words=tuple(word for word in plain if not _is_override(word)),
        overrides=tuple(experiment(word) for word in plain if _is_override(word)),
        plugins=tuple(values["--plugin"]),
        config_dir=values["--config-dir"][-1] if values["--config-dir"] else None,
        asked=asked,
        command=("distill", *argv),
        **told,
    )


def experiment(override: str) -> str:
    """``experiment=a,b/c`` -> ``experiments=a/a,b/c``: a paper's folder holds a config of its own name.

    ``glob(*)`` stands for all of these; what else a folder holds, the scale of the paper among it, wants to be named.
    """
    key, _, value = override.partition("=")
    if key != "experiment":
        return override
    if pattern := PATTERN.fullmatch(value):
        return f"experiments=glob('{pattern[1]}/{pattern[1]}',exclude='*/full_scale')"
    names = [name if "/" in name or name in ("", "none") else f"{name}/{name}" for name in value.split(",")]
    return f"experiments={','.join(names)}"


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith(("~", "+"))
