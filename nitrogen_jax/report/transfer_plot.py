"""The transfer study as one picture: both starts side by side, by amount of play, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nitrogen_jax.chain.transfer import PRETRAINED, REFERENCES, SCRATCH, WHERE, ZERO
from nitrogen_jax.chain.transfer_results import Cell, Found
from nitrogen_jax.evaluation.paired import MEASURES, Difference
from nitrogen_jax.report.html import escape

WIDTH, HEIGHT = 300, 170  # of a panel's axes
LEFT, TOP, GAP_X, GAP_Y = 56, 80, 56, 84
BAR = 26
ORDER = (SCRATCH, PRETRAINED)
NAMES = {SCRATCH: "from scratch", PRETRAINED: "pre-trained on other games"}
LINES = {"random": "random", ZERO: "pre-trained, none of the game", "expert": "scripted expert"}
STYLE = """
svg { font: 12px system-ui, sans-serif; }
text { fill: #1f2328; } .soft { fill: #59636e; } .axis { stroke: #8c959f; fill: none; }
.grid { stroke: #d1d9e0; } .scratch { fill: #8c959f; } .pretrained { fill: #2f81c7; }
.whisker { stroke: #1f2328; stroke-width: 1.5; fill: none; }
.random { stroke: #d55e00; stroke-dasharray: 2 3; } .zero-shot { stroke: #2f81c7;
  stroke-dasharray: 6 4; } .expert { stroke: #009e73; stroke-dasharray: 8 2 2 2; }
.gain { font-weight: 600; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .soft { fill: #9198a1; }
  .whisker { stroke: #e6edf3; } .grid { stroke: #3d444d; } }
"""


class Bar(NamedTuple):
    """A value with its interval, each 0 to 1."""

    value: float
    low: float
    high: float


def draw(found: Found) -> str:
    """An SVG that needs nothing else: a row of panels for each measure, a column for each place."""
    wide = LEFT + len(WHERE) * (WIDTH + GAP_X)
    high = TOP + len(MEASURES) * (HEIGHT + GAP_Y) + 8
    parts = list(_legend())
    for row, measure in enumerate(MEASURES):
        for column, where in enumerate(WHERE):
            x, y = LEFT + column * (WIDTH + GAP_X), TOP + 24 + row * (HEIGHT + GAP_Y)
            parts += _panel(found, where, measure, x, y)
    words = "success and progress by minutes of play, pre-trained and from scratch"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" role="img" aria-label="{words}"><style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def bar(cell: Cell, measure: str) -> Bar | None:
    """What a cell's bar shows; None where nothing is judged."""
    one = cell.summary
    if one.rate is None or one.progress is None:
        return None
    if measure == "success":
        return Bar(one.rate, one.low, one.high)
    assert cell.progress_low is not None
    assert cell.progress_high is not None
    return Bar(one.progress, cell.progress_low, cell.progress_high)


def gain(difference: Difference | None) -> str:
    """Relative improvement of the pre-trained start, and a star where its sign is sure."""
    if difference is None or difference.difference is None:
        return ""
    assert difference.low is not None
    assert difference.high is not None
    sure = "*" if difference.low > 0 or difference.high < 0 else ""
    if difference.relative is None:
        return f"{100 * difference.difference:+.0f} points{sure}"
    return f"{difference.relative:+.0%}{sure}"


def _legend() -> Iterator[str]:
    x = LEFT
    for start in ORDER:
        yield f'<rect class="{start}" x="{x}" y="10" width="14" height="12"/>'
        yield f'<text x="{x + 20}" y="20">{NAMES[start]}</text>'
        x += 34 + 7 * len(NAMES[start])
    x = LEFT
    for name, words in LINES.items():
        yield f'<path class="{name}" stroke-width="1.5" d="M{x} 36h20"/>'
        yield f'<text x="{x + 26}" y="40">{words}</text>'
        x += 44 + 7 * len(words)
    yield (
        f'<text class="soft" x="{LEFT}" y="60">95 % intervals; above: relative improvement, '
        "* where the interval of the difference holds no 0</text>"
    )


def _panel(found: Found, where: str, measure: str, x: float, y: float) -> Iterator[str]:
    study = found.study
    category = next((one.category for one in found.cells if one.where == where), "")
    title = f"{where}: {study.held_out(where)}" + (f" ({category})" if category else "")
    yield f'<text x="{x}" y="{y - 20}" class="gain">{escape(title)}</text>'
    for share in range(0, 101, 25):
        at = y + HEIGHT * (1 - share / 100)
        yield f'<path class="grid" d="M{x} {at}h{WIDTH}"/>'
        yield f'<text class="soft" x="{x - 6}" y="{at + 4}" text-anchor="end">{share} %</text>'
    for name in (*REFERENCES, ZERO):
        shown = _shown(found.cell(where, name), measure)
        if shown is not None:
            at = y + HEIGHT * (1 - shown.value)
            words = escape(f"{LINES[name]}: {shown.value:.0%}")
            yield (
                f'<path class="{name}" stroke-width="1.5" fill="none" d="M{x} {at:.1f}h{WIDTH}">'
                f"<title>{words}</title></path>"
            )
    step = WIDTH / len(study.minutes)
    for number, minutes in enumerate(study.minutes):
        middle = x + step * (number + 0.5)
        bars = [_shown(found.cell(where, start, minutes), measure) for start in ORDER]
        for side, (start, one) in enumerate(zip(ORDER, bars, strict=True)):
            if one is not None:
                yield from _bar(start, one, middle + (side - 1) * BAR, y)
        told = gain(found.of(where, minutes, measure))
        top = y + HEIGHT * (1 - max((one.high for one in bars if one is not None), default=0))
        place = f'x="{middle}" y="{top - 5:.1f}" text-anchor="middle"'
        yield f'<text class="gain" {place}>{told}</text>'
        yield (
            f'<text x="{middle}" y="{y + HEIGHT + 16}" text-anchor="middle">{minutes:g} min</text>'
        )
    yield f'<path class="axis" d="M{x} {y}v{HEIGHT}h{WIDTH}"/>'
    yield (
        f'<text class="soft" x="{x + WIDTH / 2}" y="{y + HEIGHT + 34}" text-anchor="middle">'
        f"{measure}, by play that was learned from</text>"
    )


def _bar(start: str, one: Bar, x: float, y: float) -> Sequence[str]:
    top, low, high = (y + HEIGHT * (1 - value) for value in one)
    middle = x + BAR / 2
    words = escape(f"{NAMES[start]}: {one.value:.0%} ({one.low:.0%} to {one.high:.0%})")
    return (
        f'<rect class="{start}" x="{x + 1:.1f}" y="{top:.1f}" width="{BAR - 2}" '
        f'height="{y + HEIGHT - top:.1f}"><title>{words}</title></rect>',
        f'<path class="whisker" d="M{middle:.1f} {low:.1f}V{high:.1f}M{middle - 4:.1f} {low:.1f}h8'
        f'M{middle - 4:.1f} {high:.1f}h8"/>',
    )


def _shown(cell: Cell | None, measure: str) -> Bar | None:
    return None if cell is None else bar(cell, measure)
