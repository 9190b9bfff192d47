"""What several teachers did in one run: what their disagreement costs, and when another one took over.

Rows ``teachers/mean_kl``, ``teachers/kl_of_mean`` and ``teachers/disagreement`` are told by an ensemble,
``teachers/turn`` and ``teachers/since`` by teachers in turn; nothing is computed here but the sum that a reader wants
to check.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distill.reports import axes, drawing
from distill.reports.document import Block, Figure, Heading, Item, Panel, Table
from distill.reports.gather import Run
from distill.reports.measures import ABSENT, NATS, significant
from distill.rows import Row

MEAN, OF_MEAN, APART = "teachers/mean_kl", "teachers/kl_of_mean", "teachers/disagreement"
TURN, SINCE = "teachers/turn", "teachers/since"
PARTS = {
    MEAN: ("mean KL from the teachers", "s-student"),
    OF_MEAN: ("KL from their mean", "s-control"),
    APART: ("their disagreement", "s-teacher"),
}
"""Row -> its name and look."""
_CAPTION = (
    "What an ensemble teaches: T² mean KL(pₘ‖q) = T² KL(p̄‖q) + T² mean KL(pₘ‖p̄), of the last micro-batch of a logged "
    "step. Training lowers the first by the second; the last, the Jensen-Shannon divergence of the teachers, is what "
    "no student can lose."
)


@dataclass(frozen=True)
class Turn:
    """One teacher's time: its place in the order, its name, and the optimiser steps that had been made before it."""

    place: int
    name: str
    since: int


def turns(run: Run) -> list[Turn]:
    """Who taught, in their order; empty where there was but one teacher throughout."""
    since = {row.step: row.value for row in run.series("student", SINCE, "train")}
    found: dict[int, int] = {}
    for row in run.series("student", TURN, "train"):
        found.setdefault(int(row.value), int(since.get(row.step, row.step)))
    names = _names(run)
    return [Turn(place, names.get(place, f"teacher {place + 1}"), step) for place, step in sorted(found.items())]


def several(run: Run) -> list[Block]:
    """The parts of an ensemble's divergence, and the table of teachers in turn; empty for one teacher."""
    return [block for block in (_divided(run), _in_turn(run)) if block is not None]


def takeovers(run: Run, x: axes.Axis, y: axes.Axis) -> list[str]:
    """A dotted line and a name in a panel over steps, where another teacher took over."""
    marks = []
    for turn in turns(run)[1:]:
        if x.low <= turn.since <= x.high:
            marks.append(drawing.rule((turn.since, y.low), (turn.since, y.high), x, y))
            marks.append(drawing.text(x(turn.since) + 3, drawing.TOP + 10, turn.name))
    return marks


def _divided(run: Run) -> Figure | None:
    series = {metric: run.series("student", metric, "train") for metric in PARTS}
    if not all(series.values()):
        return None
    points = {metric: [(float(row.step), row.value) for row in rows] for metric, rows in series.items()}
    x = axes.fitted((s for one in points.values() for s, _ in one), drawing.LEFT, drawing.RIGHT, "step", padding=0.0)
    values = [0.0, *(value for one in points.values() for _, value in one)]
    y = axes.fitted(values, drawing.BOTTOM, drawing.TOP, "nats/token")
    marks = [drawing.line(points[metric], x, y, look, name) for metric, (name, look) in PARTS.items()]
    last = y(points[APART][-1][1])
    marks.append(drawing.text(drawing.RIGHT - 4, last - 5, "what no student can lose", anchor="end"))
    panel = Panel(drawing.plot(x, y, "Divergence from several teachers", marks))
    return Figure((panel,), _CAPTION, numbers=_summed(series))


def _summed(series: Mapping[str, list[Row]]) -> Table:
    """The three at the first, middle and last logged step, and what the two parts come to."""
    headings = (
        Heading("step"),
        *(Heading(name, "nats/token") for name, _ in PARTS.values()),
        Heading("sum of the parts"),
    )
    told = {metric: {row.step: row.value for row in rows} for metric, rows in series.items()}
    steps = [step for step in told[MEAN] if step in told[OF_MEAN] and step in told[APART]]
    kept = dict.fromkeys(steps[place] for place in (0, len(steps) // 2, -1)) if steps else {}
    rows = []
    for step in kept:
        values = [told[metric][step] for metric in PARTS]
        sum_of_parts = values[1] + values[2]
        rows.append((Item(str(step)), *(Item(significant(v, 4), v) for v in (*values, sum_of_parts))))
    return Table(headings, tuple(rows))


def _in_turn(run: Run) -> Table | None:
    taught, names = turns(run), _names(run)
    if not taught:
        return None
    validation = run.series("student", NATS.metric, "validation")
    ends = [*(turn.since for turn in taught[1:]), None]
    rows = [_row(turn, end, validation) for turn, end in zip(taught, ends, strict=True)]
    seen = {turn.place for turn in taught}
    rows += [(Item(name), *([Item(ABSENT)] * 3)) for place, name in names.items() if place not in seen]
    headings = (
        Heading("teacher", numeric=False),
        Heading("from step"),
        Heading("validation when it took over", NATS.unit or "nats/token"),
        Heading("best under it", "nats/token"),
    )
    return Table(headings, tuple(rows), "Teachers in turn; one that never taught has no step.")


def _row(turn: Turn, end: int | None, validation: list[Row]) -> tuple[Item, ...]:
    before = [row for row in validation if row.step <= turn.since]
    under = [row for row in validation if row.step > turn.since and (end is None or row.step <= end)]
    best = min((row.value for row in under if row.value == row.value), default=None)
    told = (before[-1].value if before else None, best)
    return (
        Item(turn.name),
        Item(str(turn.since)),
        *(Item(ABSENT) if v is None else Item(significant(v, 4), v) for v in told),
    )


def _names(run: Run) -> dict[int, str]:
    teacher = run.config.get("teacher")
    order = teacher.get("order") if isinstance(teacher, Mapping) else None
    return dict(enumerate(map(str, order))) if isinstance(order, list) else {}
