"""Pictures as inline SVG: small panels that keep their type size from a phone to a printed page.

Every panel is 400 units wide, so that it is read at its own size in one column of a phone and in two of a desk.
Colours, dashes and weights live in the page's style sheet under the classes of ``document.colour``; so light, dark
and print need one drawing. Numbers travel as ``data-`` attributes for the pointer: the picture is whole without
them. Text is escaped here.

Why not plotly: its script alone is 4.8 MB in every report (a page of ours with 16 runs is a tenth of that), it
draws nothing without JavaScript, and neither prints nor follows a phone's width or dark mode by itself.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

from distill.reports.axes import Axis
from distill.reports.escaping import shown

WIDTH, HEIGHT = 400, 270
LEFT, RIGHT, TOP, BOTTOM = 46.0, 390.0, 30.0, 228.0
"""Where the axes stand in a panel."""

Point = tuple[float, float]


def told(value: object) -> str:
    """Text for an attribute or an element."""
    return escape(shown(value), quote=True)


def number(value: float) -> str:
    """A number for an attribute: six digits, more than any picture or reader resolves."""
    return f"{value:.6g}"


def plot(x: Axis, y: Axis, title: str, marks: Iterable[str], hover: str = "x", height: float = HEIGHT) -> str:
    """A panel with two axes.

    Args:
        x, y: the axes; ``y`` starts below and ends above.
        title: at its head, and its name for those who hear it.
        marks: what ``line``, ``dots``, ``band`` and the others drew.
        hover: ``x`` tells all series at the pointer's x, ``point`` the nearest point.
        height: of the drawing.
    """
    scale = " ".join(
        f'data-{name}="{int(axis.log)} {number(axis.low)} {number(axis.high)} {axis.start:g} {axis.end:g}"'
        for name, axis in (("x", x), ("y", y))
    )
    more = f'data-hover="{told(hover)}" data-over="{told(x.title)}" {scale}'
    head = f'<text class="title" x="0" y="14">{told(title)}<tspan class="unit" dx="7">{told(y.title)}</tspan></text>'
    return canvas(title, height, [head, _grid(x, y), *marks], more)


def canvas(name: str, height: float, parts: Iterable[str], more: str = "") -> str:
    """An empty drawing of the one width, and what is put into it."""
    size = f'viewBox="0 0 {WIDTH} {height:g}"'
    return f'<svg class="plot" {size} role="img" aria-label="{told(name)}" {more}>{"".join(parts)}</svg>'


def line(points: Sequence[Point], x: Axis, y: Axis, look: str, name: str, faint: bool = False,
         quiet: bool = False, most: int = 240) -> str:  # fmt: skip
    """A line through about ``most`` of the points, broken where a number is undefined; ``quiet`` ones do not answer
    the pointer."""
    kept = thinned([(a, b) for a, b in points if math.isfinite(a)], most)
    steps: list[str] = []
    pen = "M"
    for a, b in kept:
        if not math.isfinite(b) or (y.log and b <= 0) or (x.log and a <= 0):
            pen = "M"
            continue
        steps.append(f"{pen}{x(a):.1f} {y(b):.1f}")
        pen = "L"
    finite = [(a, b) for a, b in kept if math.isfinite(b)]
    data = "" if quiet else _data(finite, name)
    shade = " faint" if faint else ""
    return f'<g class="series {told(look)}{shade}"{data}><path class="line" d="{"".join(steps)}"/></g>'


def dots(points: Sequence[Point], x: Axis, y: Axis, look: str, name: str, tip: str = "", radius: float = 3.2,
         kind: str = "dot", quiet: bool = False) -> str:  # fmt: skip
    """Dots; with ``tip`` each says that text under the pointer instead of its numbers, ``quiet`` ones say nothing."""
    shapes = "".join(
        _shape(kind, x(a), y(b), radius)
        for a, b in points
        if math.isfinite(a) and math.isfinite(b) and not (x.log and a <= 0) and not (y.log and b <= 0)
    )
    numbers = "" if quiet else _data([p for p in points if math.isfinite(p[1])], name)
    data = f' data-tip="{told(tip)}"' if tip else numbers
    return f'<g class="series {told(look)}"{data}>{shapes}</g>'


def band(points: Sequence[tuple[float, float, float]], x: Axis, y: Axis, look: str) -> str:
    """The area between (x, low) and (x, high): an interval."""
    if len(points) < 2:
        return ""
    clamp = lambda value: min(max(value, y.low), y.high)  # noqa: E731 an interval may leave the paper
    upper = [f"{x(a):.1f} {y(clamp(high)):.1f}" for a, _, high in points]
    lower = [f"{x(a):.1f} {y(clamp(low)):.1f}" for a, low, _ in reversed(points)]
    return f'<path class="series band {told(look)}" d="M{"L".join(upper + lower)}Z"/>'


def rule(start: Point, end: Point, x: Axis, y: Axis) -> str:
    """A thin straight line for the eye."""
    return f'<path class="rule" d="M{x(start[0]):.1f} {y(start[1]):.1f}L{x(end[0]):.1f} {y(end[1]):.1f}"/>'


def text(a: float, b: float, words: str, look: str = "note", anchor: str = "start") -> str:
    """Words at a place of the drawing."""
    return f'<text class="{told(look)}" x="{a:.1f}" y="{b:.1f}" text-anchor="{anchor}">{told(words)}</text>'


def thinned(points: Sequence[Point], most: int = 240) -> list[Point]:
    """At most about ``most`` of the points: of each stretch its first, lowest and highest; none is invented."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / (most / 3))
    kept: list[Point] = []
    for begin in range(0, len(points), size):
        stretch = points[begin : begin + size]
        finite = [p for p in stretch if math.isfinite(p[1])] or stretch
        chosen = {stretch[0], min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])}
        kept += sorted(chosen)
    return [*kept, points[-1]] if kept[-1] != points[-1] else kept


def _grid(x: Axis, y: Axis) -> str:
    lines = [f'<path class="grid" d="M{x.start:g} {y(v):.1f}H{x.end:g}"/>' for v, _ in y.ticks]
    lines += [f'<path class="tick" d="M{x(v):.1f} {y.start:g}v4"/>' for v, _ in x.ticks]
    lines += [text(x.start - 6, y(v) + 4, words, "label", "end") for v, words in y.ticks]
    lines += [text(x(v), y.start + 17, words, "label", "middle") for v, words in x.ticks]
    lines.append(f'<path class="axis" d="M{x.start:g} {y.start:g}H{x.end:g}"/>')
    lines.append(text(x.end, y.start + 34, x.title, "axis-title", "end"))
    return "".join(lines)


def _data(points: Sequence[Point], name: str) -> str:
    xs, ys = (" ".join(number(p[i]) for p in points) for i in (0, 1))
    return f' data-name="{told(name)}" data-xs="{xs}" data-ys="{ys}"'


def _shape(kind: str, a: float, b: float, r: float) -> str:
    """A dot, square, diamond, triangle or ring: told apart without colour too."""
    if kind == "square":
        return f'<rect class="mark" x="{a - r:.1f}" y="{b - r:.1f}" width="{2 * r:.1f}" height="{2 * r:.1f}"/>'
    if kind == "diamond":
        s = r * 1.35
        return f'<path class="mark" d="M{a:.1f} {b - s:.1f}l{s:.1f} {s:.1f}l{-s:.1f} {s:.1f}l{-s:.1f} {-s:.1f}z"/>'
    if kind == "triangle":
        s = r * 1.3
        return f'<path class="mark" d="M{a:.1f} {b - s:.1f}l{s:.1f} {2 * s:.1f}h{-2 * s:.1f}z"/>'
    return f'<circle class="{"ring" if kind == "ring" else "mark"}" cx="{a:.1f}" cy="{b:.1f}" r="{r:g}"/>'
