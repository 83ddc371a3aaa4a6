"""Plots that compare runs: a number over another one, or a number for each name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report.plots import COLOUR, COLOURS, INK, Plot, _drawn, _figure, _short

_STYLES = ("-", "--", ":", "-.")


class Line(NamedTuple):
    """Points in the order of x; where an x is there more than once the line is their mean."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def over_axis(drawn: Sequence[Line], title: str, x: str, y: str, log_x: bool = False) -> Plot:
    """Lines with a mark at each point.

    Args:
        x: what the axis is, with its unit; y alike.
        log_x: a logarithmic axis.
    """
    for line in drawn:
        values = np.asarray([line.x, line.y], float)
        if values.size == 0 or not np.isfinite(values).all() or (log_x and values[0].min() <= 0):
            raise NitrogenError(
                f"plot {title!r}: line {line.name!r} has points that cannot be drawn"
            )
    figure, axes = _figure(6.4, 3.6, title)
    for at, line in enumerate(drawn):
        colour = COLOURS[at % len(COLOURS)]
        style = _STYLES[at // len(COLOURS) % len(_STYLES)]
        places, groups = np.unique(np.asarray(line.x, float), return_inverse=True)
        values = np.asarray(line.y, float)
        means = np.bincount(groups, values) / np.bincount(groups)
        axes.plot(places, means, style, color=colour, linewidth=1.5, label=_short(line.name, 60))
        axes.plot(line.x, values, "o", color=colour, markersize=4)
    if log_x:
        axes.set_xscale("log")
    axes.set_xlabel(_short(x, 60), color=INK, parse_math=False)
    axes.set_ylabel(_short(y, 40), color=INK, parse_math=False)
    if len(drawn) > 1 or (drawn and drawn[0].name):
        legend = axes.legend(fontsize=8, labelcolor=INK, framealpha=0, loc="best")
        for text in legend.get_texts():
            text.set_parse_math(False)
    return _drawn(figure)


def by_name(names: Sequence[str], values: Sequence[float], title: str, axis: str) -> Plot:
    """A point for each name, the first on top, with its value; of either sign."""
    numbers = np.asarray(values, float)
    if numbers.shape != (len(names),) or not len(names) or not np.isfinite(numbers).all():
        raise NitrogenError(
            f"plot {title!r} has values of shape {numbers.shape}, where {max(len(names), 1)} "
            "finite numbers are needed"
        )
    figure, axes = _figure(7.2, 0.9 + 0.26 * len(names), title)
    at = np.arange(len(names))
    axes.plot(numbers, at, "o", color=COLOUR, markersize=5)
    axes.set_yticks(at, [_short(name, 48) for name in names], parse_math=False, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(_short(axis, 60), color=INK, parse_math=False)
    axes.margins(x=0.15)
    for row, value in zip(at, numbers, strict=True):
        axes.annotate(
            f"{value:,.4g}",
            (value, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    return _drawn(figure)
