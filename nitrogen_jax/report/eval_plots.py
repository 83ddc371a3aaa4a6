"""Plots of an evaluation as SVG that lies in the page: its colours are those of eval.css."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nitrogen_jax.report.html import Html, clean, escape

SERIES = 8  # colours that eval.css has
BAR_WIDTH, BAR_HEIGHT = 140, 14
AXIS, ROW, EDGE = 480, 18, 24  # from 0 to 100 %; of a line; around it
LETTERS, LETTER = 34, 7  # of a name that fit; the width of one


class Share(NamedTuple):
    """A share with its interval, each 0..1; None where there is nothing to take a share of."""

    value: float
    low: float
    high: float


class Dot(NamedTuple):
    """A value 0..1, of what kind it is (a class of eval.css), and words about it."""

    value: float
    kind: str
    words: str


def bar(share: Share | None) -> Html:
    """A share as a bar with its interval as a line, for a cell of a table."""
    if share is None:
        return Html("")
    value, low, high = (BAR_WIDTH * number for number in share)
    middle = BAR_HEIGHT / 2
    return Html(
        f'<svg class="bar-cell" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" width="{BAR_WIDTH}" '
        f'height="{BAR_HEIGHT}" role="img" aria-label="{escape(said(share))}">'
        f'<rect class="rail" width="{BAR_WIDTH}" height="{BAR_HEIGHT}"/>'
        f'<rect class="fill" width="{value:.1f}" height="{BAR_HEIGHT}"/>'
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8'
        f'M{high:.1f} {middle - 4}v8"/></svg>'
    )


def said(share: Share | None) -> str:
    """A share and its interval in words, as per cent."""
    if share is None:
        return "unknown"
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def shares(
    title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[Share | None]]]
) -> Html:
    """A point with its interval for each name, and for each series one below the other.

    Args:
        series: (name, one share for each of `names`).
    """
    parts, high, left = [], ROW * max(1, len(series)) * 0.8 + 6, start(names)
    for row, name in enumerate(names):
        top = EDGE + row * high
        parts.append(_name(name, left, top + high / 2))
        for number, (label, values) in enumerate(series):
            share = values[row]
            if share is None:
                continue
            y = top + 3 + (number + 0.5) * ROW * 0.8
            value, low, most = (left + AXIS * part for part in share)
            words = escape(f"{name}, {label}: {said(share)}")
            parts.append(
                f'<g class="s{number % SERIES}"><title>{words}</title>'
                f'<path class="whisker" d="M{low:.1f} {y:.1f}H{most:.1f}"/>'
                f'<circle cx="{value:.1f}" cy="{y:.1f}" r="4"/></g>'
            )
    legend = [label for label, _ in series] if len(series) > 1 else []
    return _plot(title, parts, left, EDGE + len(names) * high, "success", legend)


def dots(title: str, names: Sequence[str], rows: Sequence[Sequence[Dot]], axis: str) -> Html:
    """A line for each name, with a dot for each value and a stroke at the mean.

    Those of kind "lost" are in no mean.
    """
    parts, left = [], start(names)
    for row, (name, values) in enumerate(zip(names, rows, strict=True)):
        y = EDGE + (row + 0.5) * ROW
        parts.append(_name(name, left, y))
        for number, dot in enumerate(values):
            beside = y + 10 * ((number + 0.5) / len(values) - 0.5)  # equal ones are seen apart
            parts.append(
                f'<circle class="dot {dot.kind}" cx="{left + AXIS * dot.value:.1f}" '
                f'cy="{beside:.1f}" r="4">'
                f"<title>{escape(f'{name}, {dot.words}')}</title></circle>"
            )
        counted = [dot.value for dot in values if dot.kind != "lost"]
        if counted:
            mean = left + AXIS * sum(counted) / len(counted)
            parts.append(f'<path class="mean" d="M{mean:.1f} {y - 7:.1f}v14"/>')
    return _plot(title, parts, left, EDGE + len(names) * ROW, axis, [])


def start(names: Sequence[str]) -> int:
    """Where the axis begins: right of the longest name."""
    return 16 + LETTER * min(LETTERS, max(map(len, names), default=0))


def _name(name: str, left: float, y: float) -> str:
    text = clean(name)
    text = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
    return (
        f'<text class="name" x="{left - 10}" y="{y:.1f}">{escape(text)}</text>'
        f'<path class="rail" d="M{left} {y:.1f}h{AXIS}"/>'
    )


def _plot(
    title: str, parts: Sequence[str], left: int, bottom: float, axis: str, legend: Sequence[str]
) -> Html:
    """Everything within a frame with an axis from 0 to 100 % below, and a legend in HTML."""
    marks = "".join(
        f'<path class="tick" d="M{x:.1f} {EDGE - 4}V{bottom + 4:.1f}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 18:.1f}">{mark} %</text>'
        for mark in range(0, 101, 25)
        for x in [left + AXIS * mark / 100]
    )
    width, height = left + AXIS + EDGE, round(bottom + 40)
    text = (
        f'<text class="tick" x="{left + AXIS / 2:.1f}" y="{bottom + 34:.1f}">{escape(axis)}</text>'
    )
    keys = "".join(
        f'<span class="key s{number % SERIES}"><i></i>{escape(name)}</span>'
        for number, name in enumerate(legend)
    )
    below = f'<div class="legend">{keys}</div>' if keys else ""
    return Html(
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption><div class="wide">'
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">{marks}{"".join(parts)}{text}</svg></div>{below}</figure>'
    )
