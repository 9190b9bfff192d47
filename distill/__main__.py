"""``distill VERB words… overrides… [flags]``: finds the verb, tells its errors in one line, gives its exit code.

A verb is a file ``distill/cli/<verb>.py`` with ``def run(arguments: Arguments) -> int``; the first line of its
docstring is its help. Nothing has to be registered. Heavy libraries are imported by the verb that needs them, after
its config has been checked.

    0 done   1 a bug, or some runs of a sweep failed   2 bad input   3 numbers that are not finite   4 disk or memory
    130 interrupted   143 terminated
"""

import importlib
import os
import sys
import tempfile
import traceback
from io import TextIOWrapper
from pathlib import Path

from distill.cli.arguments import Arguments, parse
from distill.cli.definitions import module
from distill.cli.kinds import nearest
from distill.errors import BadInput, DistillError
from distill.secrets import redacted_text

USAGE = """\
distill VERB [word …] [group=choice | key=value | ~key …] [flags]

verbs
{verbs}

flags
  -m, --multirun     commas in overrides make a sweep: objective.temperature=1,2,4
  --dry-run          show what would be done, and do nothing
  --plugin PACKAGE   parts of this package may be named in configs; may be given again
  --config-dir DIR   more choices: DIR/<group>/<choice>.yaml
  --debug            tracebacks
  -h, --help         this; after a verb, what the verb can be told
  --version

distill train                                   the quickstart
distill train objective=reverse_kl seed=1       another choice, another value
distill train -m objective.temperature=1,2,4    a sweep
distill list                                    every group of choices; distill list losses: every loss
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in a file is no reason to fail
    words = sys.argv[1:] if argv is None else argv
    try:
        return _run(parse(words))
    except DistillError as error:
        print(redacted_text(str(error)), file=sys.stderr)
        if "--debug" in words:
            traceback.print_exc()
        return error.code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `distill list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _apologise(error, debug="--debug" in words)


def verbs() -> dict[str, str]:
    """The verbs and their one-line help, read from the files without importing one."""
    found = {}
    for path in sorted((Path(__file__).parent / "cli").glob("*.py")):
        if (there := module(f"distill.cli.{path.stem}")) and "run" in there.defined:
            found[path.stem] = there.docstring.partition("\n")[0]
    return found


def _run(arguments: Arguments) -> int:
    if arguments.asked == "--version":
        from importlib.metadata import version

        print(f"distill {version('distill-lab')}")
        return 0
    known = verbs()
    if not arguments.verb or arguments.verb == "help":
        if arguments.overrides or arguments.words:
            raise BadInput("command line", "no verb", remedy=f"write distill VERB …, VERB one of {', '.join(known)}")
        print(USAGE.format(verbs="\n".join(f"  {name:<16} {line}" for name, line in known.items())), end="")
        return 0
    if arguments.verb not in known:
        close = nearest(arguments.verb, list(known))
        meant = f" (did you mean {close}?)" if close else ""
        raise BadInput("command line", f"no such verb, expected one of {', '.join(known)}{meant}", value=arguments.verb)
    if arguments.asked:
        print(_explained(arguments.verb), end="")
        return 0
    return importlib.import_module(f"distill.cli.{arguments.verb}").run(arguments)


def _explained(verb: str) -> str:
    """A verb's own words, then its root config, which is its table of contents."""
    from distill.cli.sources import CONF

    there = module(f"distill.cli.{verb}")
    root = CONF / f"{verb}.yaml"
    told = [f"distill {verb}", "", there.docstring if there else ""]
    told += ["", f"conf/{verb}.yaml", "", root.read_text(encoding="utf-8").rstrip()] if root.is_file() else []
    return "\n".join(told) + "\n"


def _apologise(error: Exception, debug: bool) -> int:
    """A bug: one line, and the traceback where it can be found again."""
    told = redacted_text("".join(traceback.format_exception(error)))
    said = (str(error).strip().splitlines() or [""])[0]
    line = DistillError("bug", f"{type(error).__name__}: {said}" if said else type(error).__name__)
    print(f"sorry, this should not happen: {redacted_text(str(line))}", file=sys.stderr)
    if debug:
        print(told, file=sys.stderr)
        return 1
    with tempfile.NamedTemporaryFile("w", prefix="distill-", suffix=".log", delete=False, encoding="utf-8") as file:
        file.write(told)
    print(f"run again with --debug, or look into {file.name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
