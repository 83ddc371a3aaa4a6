"""Lines and points: what is in the picture, and what cannot be drawn."""

from __future__ import annotations

import math
import re

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report.compare import Line, by_name, over_axis


def marks(svg: str) -> int:
    return svg.count("<use ")


def test_lines_have_names_axes_and_marks():
    drawn = [Line("one", [1, 2, 3], [0.0, -1, 2]), Line("two $x_1$", [1, 2], [3, 4])]
    plot = over_axis(drawn, "title", "rate", "loss")
    assert plot.png.startswith(b"\x89PNG")
    for text in ("title", "rate", "loss", "one", "two $x_1$"):
        assert f">{text}<" in plot.svg
    more = over_axis([*drawn, Line("three", [1], [2])], "title", "rate", "loss")
    assert marks(more.svg) > marks(plot.svg)


def path_points(svg: str) -> list[int]:
    """How many corners each line without a fill has."""
    return [len(re.findall("[ML]", found)) for found in re.findall(r'<path d="([^"]*)" clip', svg)]


def test_a_line_goes_through_the_means():
    plot = over_axis([Line("", [1, 1, 2, 2, 3], [0, 2, 4, 6, 9])], "t", "x", "y")
    assert 3 in path_points(plot.svg)
    assert 5 not in path_points(plot.svg)


def test_a_logarithmic_axis():
    plain, log = (
        over_axis([Line("", [1, 10, 100], [1, 2, 3])], "t", "x", "y", log_x=on).svg for on in (0, 1)
    )
    assert plain != log


@pytest.mark.parametrize(
    ("line", "log"),
    [
        (Line("a", [], []), False),
        (Line("a", [1], [math.nan]), False),
        (Line("a", [math.inf], [1]), False),
        (Line("a", [0, 1], [1, 2]), True),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(line, log):
    with pytest.raises(NitrogenError, match="line 'a'"):
        over_axis([line], "t", "x", "y", log_x=log)


def test_points_are_of_either_sign():
    svg = by_name(["first", "second"], [-0.5, 12345.0], "title", "R2").svg
    assert svg.index(">first<") < svg.index(">second<")
    assert ">-0.5<" in svg
    assert ">1.234e+04<" in svg


@pytest.mark.parametrize(("names", "values"), [([], []), (["a"], [1, 2]), (["a"], [math.nan])])
def test_points_that_cannot_be_drawn_are_refused(names, values):
    with pytest.raises(NitrogenError, match="finite numbers"):
        by_name(names, values, "t", "x")
