"""Show and write the report of runs and sweeps: distill report FOLDER… [into=FOLDER].

Prints the verdict and the result table, and writes ``report.html`` and ``report.md``: into the folder, or, for several
folders side by side, into the current one. ``distill report experiments`` renews the tables of ``experiments/``.
"""

from pathlib import Path

from distill.cli.arguments import Arguments
from distill.errors import BadInput

USAGE = "write distill report FOLDER… [into=FOLDER]"


def run(arguments: Arguments) -> int:
    """``distill report FOLDER…``.

    Raises:
        BadInput: no folder, one that holds no run, or a key that is not ``into``.
    """
    if arguments.words == ("experiments",):
        from distill.cli.experiments import told

        return told()
    folders, into = _read(arguments)
    from rich.console import Console

    from distill.reports.gather import gather
    from distill.reports.report import write
    from distill.reports.table import show

    if arguments.dry_run:
        for found in gather(folders).runs:
            print(f"{found.folder}: {found.state}, {len(found.rows)} rows")
        return 0
    written = write(folders, into)
    show(written.document, Console())
    print(f"\n{written.html}\n{written.markdown}")
    return 0


def _read(arguments: Arguments) -> tuple[list[Path], Path | None]:
    """Folders and where to write; a folder's name may hold a ``=``, as those of a sweep's runs do."""
    folders, into = [Path(word).expanduser() for word in arguments.words], None
    for word in arguments.overrides:
        key, _, value = word.partition("=")
        if Path(word).expanduser().is_dir():
            folders.append(Path(word).expanduser())
        elif key == "into" and value:
            into = Path(value).expanduser()
        else:
            raise BadInput("command line", "is no folder and no key of report", value=word, remedy=USAGE)
    if not folders:
        raise BadInput("command line", "no folder given", remedy=USAGE)
    return folders, into
