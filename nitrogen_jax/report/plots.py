"""Plots as pictures: PNG on white, and SVG whose ink follows the page from light to dark.

Matplotlib's object interface only: nothing here opens a window or keeps global state.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report.html import clean

INK, DARK_INK, COLOUR = "#24292f", "#e6edf3", "#2f81c7"
# Of several lines: legible on white and on black, also for those who see few colours.
COLOURS = (COLOUR, "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8a63d2", "#7f7f7f")
POINTS = 1000  # of one line that are drawn; a run may have logged far more
DPI = 120
LEGEND_COLUMNS = 4
_STYLE = (
    f"<style>:root{{--ink:{INK}}}"
    f"@media (prefers-color-scheme:dark){{:root{{--ink:{DARK_INK}}}}}</style>"
)


@dataclass(frozen=True)
class Plot:
    """One plot in both formats."""

    png: bytes
    svg: str


def bars(
    names: Sequence[str], values: ArrayLike, title: str, axis: str, shares: bool = False
) -> Plot:
    """Horizontal bars, the first name on top, with the value at each.

    Args:
        values: (N,) not negative.
        axis: what is measured, with its unit.
        shares: values are 0..1 and are written as per cent.
    """
    values = _values(values, len(names), title)
    figure, axes = _figure(6.4, 0.9 + 0.26 * len(names), title)
    at = np.arange(len(names))
    axes.barh(at, 100 * values if shares else values, color=COLOUR)
    axes.set_yticks(at, [_short(name, 40) for name in names], parse_math=False, color=INK)
    axes.invert_yaxis()
    axes.set_xlabel(axis, color=INK)
    most = float((100 * values if shares else values).max())
    axes.set_xlim(0, 1.15 * most or 1)
    for row, value in zip(at, values, strict=True):
        text = f"{value:.1%}" if shares else f"{value:,.4g}"
        x = 100 * value if shares else value
        axes.text(x, row, f" {text}", va="center", fontsize=8, color=INK)
    return _drawn(figure)


def histogram(
    positions: ArrayLike, counts: ArrayLike, title: str, axis: str, width: float, log: bool = False
) -> Plot:
    """Vertical bars at numeric positions.

    Args:
        positions: (N,) where the middle of each bar is.
        counts: (N,) how high each is.
        width: of each bar, in the unit of positions.
        log: a logarithmic axis of counts.
    """
    positions = np.asarray(positions, float)
    counts = _values(counts, len(positions), title)
    figure, axes = _figure(6.4, 3.0, title)
    axes.bar(positions, counts, width, color=COLOUR)
    if log and counts.any():
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.set_xlabel(axis, color=INK)
    axes.set_ylabel("chunks", color=INK)
    return _drawn(figure)


def lines(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    title: str,
    axis: str,
    log: bool = False,
    smooth: float = 0.0,
    png: bool = True,
) -> Plot:
    """Lines over steps, each with its name below the plot where there are several.

    Args:
        series: name -> (steps (N,), values (N,)); a value that is not finite leaves a gap.
        axis: what is measured, with its unit.
        log: a logarithmic axis of values, where all of them are positive.
        smooth: 0..1, the part of a running mean that stays from point to point; the mean is drawn
            over what it is the mean of, which is drawn pale. 0: the values alone.
        png: whether to draw the PNG too, which takes as long again; else it is empty.
    """
    drawn = [(name, *_points(*pair, title)) for name, pair in series.items()]
    found = np.concatenate([np.zeros(0), *(values for _, _, values in drawn)])
    found = found[np.isfinite(found)]
    if not found.size:
        raise NitrogenError(f"plot {title!r}: there is no finite value in {len(drawn)} lines")
    rows = -(-len(drawn) // LEGEND_COLUMNS) if len(drawn) > 1 else 0
    figure, axes = _figure(6.4, 2.6 + 0.2 * rows, title)
    handles = []
    for number, (_, steps, values) in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        style = ("-", "--", ":")[number // len(COLOURS) % 3]
        _line(axes, steps, values, colour, style, alpha=0.35 if smooth else 1.0)
        if smooth:
            _line(axes, steps, _smoothed(values, smooth), colour, style)
        handles.append(_handle(colour, style))
    if log and found.min() > 0:
        axes.set_yscale("log")
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(_short(axis, 30), color=INK, parse_math=False)
    if len(drawn) > 1:
        legend = figure.legend(
            handles,
            # A name that begins with "_" would be left out.
            ["\N{ZERO WIDTH SPACE}" * name.startswith("_") + _short(name, 24) for name in series],
            loc="outside lower left",
            ncols=LEGEND_COLUMNS,
            fontsize=8,
            frameon=False,
            labelcolor=INK,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return _drawn(figure, png)


def stick_map(counts: np.ndarray, title: str) -> Plot:
    """Positions of a stick, as a heat map with logarithmic colour; white where it never was.

    Args:
        counts: (bins, bins) by [y, x] from -1 to 1, y pointing down.
    """
    from matplotlib.colors import LogNorm

    counts = np.asarray(counts)
    if counts.ndim != 2 or 0 in counts.shape or (counts < 0).any():
        raise NitrogenError(f"plot {title!r}: counts of shape {counts.shape} are no map of counts")
    figure, axes = _figure(4.4, 3.8, title)
    half = 1 / (max(counts.shape) - 1 or 1)
    edge = (-1 - half, 1 + half, 1 + half, -1 - half)  # left, right, bottom, top
    shown = np.ma.masked_equal(counts, 0)
    norm = LogNorm(1, max(10, int(counts.max())))
    drawn = axes.imshow(shown, norm=norm, cmap="viridis", extent=edge, interpolation="nearest")
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("rows", color=INK)
    bar.ax.tick_params(colors=INK, which="both", labelsize=8)
    axes.set_facecolor("white")  # on a dark page too: the colours begin dark
    axes.set_xlabel("x", color=INK)
    axes.set_ylabel("y (up is negative)", color=INK)
    return _drawn(figure)


def _points(steps: ArrayLike, values: ArrayLike, title: str) -> tuple[np.ndarray, np.ndarray]:
    steps, values = np.asarray(steps, float), np.asarray(values, float)
    if steps.ndim != 1 or steps.shape != values.shape:
        raise NitrogenError(
            f"plot {title!r} has {values.shape} values at {steps.shape} steps, where one value at "
            "each step is needed"
        )
    return steps, np.where(np.isfinite(values), values, np.nan)


def _line(axes, steps: np.ndarray, values: np.ndarray, colour: str, style: str, alpha=1.0) -> None:
    """One line with gaps; values that stand alone between gaps, or are few, as points."""
    steps, values = _thinned(steps, values)
    axes.plot(steps, values, style, color=colour, alpha=alpha, linewidth=1.3)
    there = np.isfinite(values)
    beside = np.pad(there, 1)
    alone = there if there.sum() <= 30 else there & ~beside[:-2] & ~beside[2:]
    axes.plot(steps[alone], values[alone], "o", color=colour, alpha=alpha, markersize=2.5)


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points: of each stretch the lowest and the highest, so spikes stay."""
    if len(steps) <= POINTS:
        return steps, values
    kept: list[int] = []
    for part in np.array_split(np.arange(len(steps)), POINTS // 2):
        finite = part[np.isfinite(values[part])]
        chosen = finite if finite.size else part
        kept += sorted({chosen[np.argmin(values[chosen])], chosen[np.argmax(values[chosen])]})
    return steps[kept], values[kept]


def _smoothed(values: np.ndarray, stay: float) -> np.ndarray:
    """A running mean that forgets, unbiased at its beginning; gaps stay gaps."""
    mean = weight = 0.0
    smoothed = np.full(len(values), np.nan)
    for index in np.flatnonzero(np.isfinite(values)):
        mean = stay * mean + (1 - stay) * values[index]
        weight = stay * weight + (1 - stay)
        smoothed[index] = mean / weight
    return smoothed


def _handle(colour: str, style: str):
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linestyle=style, linewidth=1.3)


def _values(values: ArrayLike, count: int, title: str) -> np.ndarray:
    values = np.asarray(values, float)
    if values.shape != (count,) or not count or not np.isfinite(values).all() or values.min() < 0:
        raise NitrogenError(
            f"plot {title!r} has values of shape {values.shape}, where {max(count, 1)} finite "
            "numbers, none of them negative, are needed"
        )
    return values


def _short(text: str, most: int) -> str:
    text = clean(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _figure(width: float, height: float, title: str):
    """A figure (inches) without the frame's right and upper sides, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.set_title(_short(title, 60), loc="left", fontsize=10, color=INK, parse_math=False)
    axes.tick_params(colors=INK, which="both", labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    return figure, axes


def _drawn(figure, with_png: bool = True) -> Plot:
    import matplotlib

    png, svg = io.BytesIO(), io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context({"svg.hashsalt": "", "svg.fonttype": "none"}),
    ):
        # NOTE: the font lacks many scripts; in the SVG the reader's own fonts fill in.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        if with_png:
            figure.savefig(png, format="png", facecolor="white", metadata={"Software": None})
        figure.savefig(svg, format="svg", facecolor="none", metadata=nothing)
    text = svg.getvalue()
    text = text[text.index("<svg") :]  # the document type names an outside address
    text = re.sub(rf"(fill|stroke): {INK}", r"\g<0>; \1: var(--ink)", text)
    return Plot(png.getvalue(), re.sub("(<svg[^>]*>)", rf"\1{_STYLE}", text, count=1))
