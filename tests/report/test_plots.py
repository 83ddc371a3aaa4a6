"""Plots: valid pictures in both formats, drawn from the numbers, whatever the names are."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("matplotlib")
from nitrogen_jax.report import plots

SVG = "{http://www.w3.org/2000/svg}"


def pixels(plot):
    picture = cv2.imdecode(np.frombuffer(plot.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def texts(plot):
    return [element.text.strip() for element in ET.fromstring(plot.svg).iter(f"{SVG}text")]


def blue(plot):
    """Rows of pixels -> how many have the colour of bars."""
    colour = [int(plots.COLOUR[i : i + 2], 16) for i in (5, 3, 1)]
    return (pixels(plot) == colour).all(-1).sum(1)


COUNTS = np.arange(25).reshape(5, 5)


@pytest.fixture(
    params=[
        lambda: plots.bars(["a", "b"], [1, 2], "title", "hours"),
        lambda: plots.histogram([30, 60], [1, 2], "title", "Hz", 1),
        lambda: plots.stick_map(COUNTS, "title"),
        lambda: plots.lines({"a": ([1, 2], [3, 4]), "b": ([1], [2])}, "title", "loss"),
    ],
    ids=["bars", "histogram", "stick_map", "lines"],
)
def draw(request):
    return request.param


def test_both_formats(draw):
    plot = draw()
    assert min(pixels(plot).shape[:2]) > 100
    assert (pixels(plot)[0, 0] == 255).all()  # on white
    assert "title" in texts(plot)
    assert ET.fromstring(plot.svg).tag == f"{SVG}svg"


def test_the_same_each_time(draw):
    assert draw() == draw()


def test_svg_names_nothing_outside_and_follows_the_page(draw):
    svg = draw().svg
    addresses = set(re.findall(r'"(https?://[^"]*)"', svg))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', svg))
    assert "<script" not in svg
    assert svg.count("var(--ink)") > 5
    # Whatever has the ink's colour has it from the page where that is known.
    assert len(re.findall(f"(?:fill|stroke): {plots.INK}", svg)) == svg.count("var(--ink)")
    assert plots.DARK_INK in svg


def test_bars_are_as_long_as_their_values():
    lengths = blue(plots.bars(["a", "b"], [1, 3], "", "hours"))
    lengths = lengths[lengths > 0]
    first, second = lengths[0], lengths[-1]
    assert second / first == pytest.approx(3, rel=0.03)


def test_shares_are_written_as_per_cent():
    assert {"25.0%", "100.0%"} <= set(texts(plots.bars(["a", "b"], [0.25, 1], "", "", shares=True)))


NAMES = ["$x^2$ and $", "<b>&", "ゼルダの伝説", "🎮", "\x1b[0m", "n" * 500, "", "\ud800"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot = plots.bars([name, "other"], [1, 2], name, "hours")
    assert len(pixels(plot)) > 50
    assert "other" in texts(plot)
    if len(name) < 20 and name.isprintable():
        assert texts(plot).count(name) == (2 if name else 0)


def test_all_zero():
    assert blue(plots.bars(["a"], [0], "", "")).sum() == 0
    assert blue(plots.histogram([1, 2], [0, 0], "", "", 1, log=True)).sum() == 0
    assert pixels(plots.stick_map(np.zeros((3, 3), int), "")).size


def test_a_logarithmic_histogram_shows_the_small_beside_the_large():
    def heights(log):
        plot = plots.histogram([1, 3], [1, 10_000], "", "", 1, log=log)
        colour = [int(plots.COLOUR[i : i + 2], 16) for i in (5, 3, 1)]
        columns = (pixels(plot) == colour).all(-1).sum(0)
        columns = columns[columns > 0]
        return columns[0] / columns[-1] if len(set(columns)) > 1 else 0

    assert heights(log=True) > 0.05
    assert heights(log=False) == 0  # not one pixel high


def test_a_stick_map_has_up_above():
    counts = np.zeros((11, 11), int)
    counts[0, 10] = 1000  # y -1 is up, x 1 is to the right
    picture = pixels(plots.stick_map(counts, ""))
    plot = picture[:, : int(picture.shape[1] * 0.75)]  # without the colour bar
    coloured = np.argwhere((plot.max(-1).astype(int) - plot.min(-1)) > 60)
    y, x = coloured.mean(0) / plot.shape[:2]
    assert y < 0.35
    assert x > 0.75


def coloured(plot, colour=plots.COLOUR, within=90):
    """Where pixels have about this colour: (N, 2) of row and column, as fractions."""
    wanted = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
    near = np.abs(pixels(plot).astype(int) - wanted).sum(-1) < within
    return np.argwhere(near) / near.shape


def test_lines_go_where_the_values_are():
    plot = plots.lines({"a": (np.arange(100), np.arange(100.0))}, "", "")
    rows, columns = coloured(plot).T
    assert np.corrcoef(rows, columns)[0, 1] < -0.99  # up is up
    assert np.ptp(columns) > 0.7


def test_gaps_stay_gaps():
    values = np.ones(100)
    values[40:60] = np.nan
    values[50] = 1.0  # alone, and yet seen
    columns = np.unique(coloured(plots.lines({"a": (np.arange(100), values)}, "", ""))[:, 1])
    gaps = np.diff(columns)
    assert (gaps > 0.05).sum() == 2


def test_one_point():
    assert len(coloured(plots.lines({"a": ([7], [0.5])}, "", ""))) > 10


def test_a_smoothed_line_is_drawn_over_a_pale_one():
    rng = np.random.default_rng(0)
    steps, values = np.arange(200), 5 + rng.normal(size=200)
    raw = coloured(plots.lines({"a": (steps, values)}, "", ""))
    smooth = coloured(plots.lines({"a": (steps, values)}, "", "", smooth=0.95))
    assert np.ptp(smooth[:, 0]) < 0.5 * np.ptp(raw[:, 0])
    constant = plots._smoothed(np.array([3.0, np.nan, 3.0, 3.0]), 0.9)
    np.testing.assert_allclose(constant, [3, np.nan, 3, 3])


def test_a_logarithmic_axis_shows_small_beside_large():
    def middle(log):
        series = {"a": (np.arange(3), [1e-3, 1.0, 1e3])}
        rows, columns = coloured(plots.lines(series, "", "", log=log)).T
        return rows[np.abs(columns - np.median(columns)) < 0.02].mean()

    assert middle(log=True) < middle(log=False) - 0.1
    plots.lines({"a": (np.arange(3), [0.0, 1.0, 1e3])}, "", "", log=True)  # then it is not


def test_long_runs_are_thinned_and_keep_their_spikes():
    values = np.zeros(200_000)
    values[123_456] = 1.0
    values[77_777] = np.nan
    steps, kept = plots._thinned(np.arange(200_000), values)
    assert len(steps) <= plots.POINTS
    assert steps[np.argmax(kept)] == 123_456
    assert (np.diff(steps) > 0).all()
    assert len(plots.lines({"a": (np.arange(200_000), values)}, "", "", png=False).svg) < 100_000
    steps, kept = plots._thinned(np.arange(5000), np.full(5000, np.nan))
    assert np.isnan(kept).all()


def test_many_lines_are_told_apart():
    series = {f"_{i} $a$ & <b>": ([1, 2], [i, i]) for i in range(24)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot = plots.lines(series, "t", "x")
    named = [text for text in texts(plot) if "$a$" in text]
    assert len(named) == 24
    assert {text.lstrip("\N{ZERO WIDTH SPACE}") for text in named} == series.keys()
    colours = {colour for colour in plots.COLOURS if len(coloured(plot, colour, 30)) > 20}
    assert len(colours) == len(plots.COLOURS)


def test_without_png():
    plot = plots.lines({"a": ([1], [2])}, "title", "", png=False)
    assert plot.png == b""
    assert "title" in texts(plot)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: plots.bars([], [], "t", ""),
        lambda: plots.bars(["a"], [1, 2], "t", ""),
        lambda: plots.bars(["a"], [-1], "t", ""),
        lambda: plots.bars(["a"], [np.nan], "t", ""),
        lambda: plots.histogram([1], [np.inf], "t", "", 1),
        lambda: plots.stick_map(np.zeros(3), "t"),
        lambda: plots.stick_map(-np.ones((2, 2)), "t"),
        lambda: plots.lines({}, "t", ""),
        lambda: plots.lines({"a": ([], [])}, "t", ""),
        lambda: plots.lines({"a": ([1, 2], [np.nan, np.inf])}, "t", ""),
        lambda: plots.lines({"a": ([1, 2], [1])}, "t", ""),
    ],
)
def test_what_cannot_be_drawn(bad):
    with pytest.raises(NitrogenError, match=r"^plot 't'"):
        bad()


def test_no_global_state(run_python):
    code = (
        "import sys; from nitrogen_jax.report import plots;"
        "import matplotlib; before = matplotlib.rcParams.copy();"
        "plots.bars(['a'], [1], 't', 'x'); plots.stick_map([[1]], 't');"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        # The backend is looked for when somebody asks for it, and that imports pyplot.
        "assert [k for k in before if k != 'backend' and before[k] != matplotlib.rcParams[k]] == []"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
