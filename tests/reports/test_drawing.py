"""Pictures leave out no extreme, invent no point, and write no markup that they were given."""

import math
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from distill.reports import axes, drawing

X = axes.fitted([0, 100], drawing.LEFT, drawing.RIGHT, "step")
Y = axes.fitted([0, 10], drawing.BOTTOM, drawing.TOP, "nats")


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=3000))
def test_thinning_keeps_ends_and_extremes_and_order(values: list[float]) -> None:
    points = [(float(i), value) for i, value in enumerate(values)]
    kept = drawing.thinned(points)
    assert set(kept) <= set(points)
    assert kept == sorted(kept)
    assert {points[0], points[-1]} <= set(kept)
    assert {min(values), max(values)} <= {value for _, value in kept}
    assert len(kept) <= 320


def test_a_line_is_broken_where_a_number_is_undefined() -> None:
    drawn = drawing.line([(0, 1), (1, 2), (2, math.nan), (3, 4)], X, Y, "s-student", "a")
    path = ET.fromstring(drawn).find("path")
    assert path is not None
    assert path.attrib["d"].count("M") == 2
    assert "nan" not in drawn


def test_text_is_escaped_wherever_it_goes() -> None:
    bad = """"'><script>alert(1)</script>&\x1b[31m"""
    axis = axes.fitted([0, 1], 0, 1, bad)
    marks = [
        drawing.line([(0, 1), (1, 2)], X, Y, bad, bad),
        drawing.dots([(0, 1)], X, Y, bad, bad, bad),
        drawing.text(0, 0, bad, bad),
    ]
    tree = ET.fromstring(drawing.plot(X, axis, bad, marks))
    assert {element.tag for element in tree.iter()} <= {"svg", "g", "path", "circle", "text", "tspan"}
    assert tree.attrib["aria-label"] == bad.replace("\x1b", "\\x1b")
