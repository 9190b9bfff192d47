"""Fit how a student's loss falls with its size and its tokens: distill scaling FOLDER…

    distill train -m student.width=16,32,64 trainer.max_steps=50,100,200 seed=0,1
    distill scaling sweeps/NAME-HASH

Prints the law's numbers with 95 % intervals and how well it predicts students that it was not fitted to. Needs scipy.
"""

from pathlib import Path

from distill.cli.arguments import Arguments
from distill.errors import BadInput


def run(arguments: Arguments) -> int:
    """``distill scaling FOLDER…``.

    Raises:
        BadInput: no folder, or runs that determine no law.
    """
    folders = [Path(word).expanduser() for word in (*arguments.words, *arguments.overrides)]
    if not folders:
        raise BadInput("command line", "no folder given", remedy="write distill scaling FOLDER…")
    from rich.console import Console
    from rich.table import Table

    from distill.evidence.scaling import NAMES, fitted, point
    from distill.reports.gather import gather

    points = [found for one in gather(folders).runs if (found := point(one)) is not None]
    law = fitted(points)
    table = Table(box=None)
    for name in ("L_S = L_T + (A / N^α + B / D^β)^γ", "fitted", "95 % interval"):
        table.add_column(name, justify="left" if name.startswith("L") else "right")
    for name, value, low, high in zip(NAMES, law.values, law.low, law.high, strict=True):
        table.add_row(name, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{law.points} students; off by {law.error:.4f} nats a token where fitted, {law.left_out:.4f} where left out"
    )
    return 0
