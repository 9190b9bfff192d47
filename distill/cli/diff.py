"""Tell two runs apart: distill diff RUN_A RUN_B [into=FOLDER].

Keys of the configs that differ, every number that both measured with its difference, and what differs in code, data,
teacher and machine. With ``into`` the same is written there as ``report.html`` and ``report.md``.
"""

from pathlib import Path

from distill.cli.arguments import Arguments
from distill.errors import BadInput

USAGE = "write distill diff RUN_A RUN_B [into=FOLDER]"


def run(arguments: Arguments) -> int:
    """``distill diff RUN_A RUN_B``.

    Raises:
        BadInput: not two run folders.
    """
    folders, into = _read(arguments)
    from rich.console import Console
    from rich.text import Text

    from distill.reports.difference import difference
    from distill.reports.document import Table
    from distill.reports.gather import gather
    from distill.reports.report import written
    from distill.reports.table import whole

    first, second = (gather([folder]).runs[0] for folder in folders)
    document, console = difference(first, second), Console()
    console.print(Text.assemble((f"{document.headline}. ", "bold"), document.sentence))
    for section in document.sections:
        for block in section.blocks:
            console.print(Text(f"\n{section.title}", "bold"))
            console.print(whole(block, console) if isinstance(block, Table) else Text(getattr(block, "text", "")))
    if into is not None and not arguments.dry_run:
        made = written(document, into)
        print(f"\n{made.html}\n{made.markdown}")
    return 0


def _read(arguments: Arguments) -> tuple[list[Path], Path | None]:
    words, into = list(arguments.words), None
    for override in arguments.overrides:
        if override.startswith("into="):
            into = Path(override.partition("=")[2]).expanduser()
        else:
            words.append(override)  # a folder's name may hold a "="
    folders = [Path(word).expanduser() for word in words]
    if len(folders) != 2:
        raise BadInput("command line", "wants two run folders", value=" ".join(words), remedy=USAGE)
    for folder in folders:
        if (folder / "sweep.json").is_file():
            raise BadInput(str(folder), "is a sweep, not a run", remedy="name one of its runs/")
    return folders, into
