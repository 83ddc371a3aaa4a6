"""The whole chain as one picture for the README: watch, label, learn, play, score.

    python -m nitrogen_jax.report.chain_picture nitrogen_jax/report/chain.svg

An SVG that needs nothing else: its colours are those of the pages, its pads those of the drawings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nitrogen_jax.files import atomic_path
from nitrogen_jax.report.chunk import PAD_HEIGHT, PAD_WIDTH, SHAPES, STICKS
from nitrogen_jax.report.html import escape
from nitrogen_jax.report.plots import COLOUR, COLOURS

TITLE = "From a video of somebody's play to a policy that plays, and how well"
WIDTH, HEIGHT = 1016, 446
CARD_WIDTH, CARD_HEIGHT, CARD_TOP, GAP, EDGE = 180, 250, 82, 20, 18
ICON_WIDTH, ICON_HEIGHT = 156, 88
FEED_TOP, FEED_HEIGHT, FEED_WIDTH = 374, 54, 124
LIT, STICK = "#ffc440", "#56b4e9"

STYLE = """\
:root { --ink: #1f2328; --paper: #ffffff; --soft: #59636e; --line: #d1d9e0; --shade: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9198a1;
  --line: #3d444d; --shade: #161b22; } }
text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.top { font-size: 15px; fill: var(--ink); }
.title { font-size: 19px; font-weight: 600; fill: var(--ink); }
.command { font: 11.5px ui-monospace, monospace; fill: var(--ink); }
.middle { text-anchor: middle; }
.paper { fill: var(--paper); }
.card { fill: var(--shade); stroke: var(--line); }
.screen { fill: #20242c; }
.arrow { fill: none; stroke: var(--soft); stroke-width: 2; marker-end: url(#head); }
.head { fill: var(--soft); }
.curve { fill: none; stroke-width: 2.5; }
.pad { fill: none; stroke: #9aa2b1; }
"""


class Card(NamedTuple):
    """One stage: what it does in two lines, what to type, what comes out."""

    title: str
    lines: Sequence[str]
    commands: Sequence[str]
    gives: str


class Feed(NamedTuple):
    """What comes from elsewhere into a card, at a part of its width."""

    card: int
    at: float
    lines: Sequence[str]


CARDS = (
    Card(
        "Watch",
        ("A video of play, with the", "controller drawn in it"),
        ("nitrogen sim record",),
        "videos",
    ),
    Card(
        "Label",
        ("The overlay is found, the", "pad is read from pixels"),
        ("nitrogen label run",),
        "labels",
    ),
    Card(
        "Learn",
        ("One frame in, the next 18", "states of a pad out"),
        ("nitrogen data build", "nitrogen train"),
        "a policy",
    ),
    Card(
        "Play",
        ("The game waits for it, or", "goes on in real time"),
        ("nitrogen play", "nitrogen serve"),
        "what was played",
    ),
    Card(
        "Score",
        ("Goals in games, judged by", "programs, with intervals"),
        ("nitrogen eval",),
        "success, progress",
    ),
)
FEEDS = (
    Feed(0, 0.5, ("your own play,", "or found videos")),
    Feed(1, 0.5, ("skins of overlays,", "OBS or web pages")),
    Feed(2, 0.13, ("NVIDIA's labels,", "40,000 hours")),
    Feed(2, 0.87, ("NVIDIA's weights,", "ng.pt")),
    Feed(3, 0.62, ("NVIDIA's client", "on Windows")),
    Feed(4, 0.5, ("50 tasks in", "13 games")),
)


def draw() -> str:
    """The picture as SVG text."""
    parts = [
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="middle top" x="{WIDTH / 2:g}" y="28">{escape(TITLE)}</text>',
    ]
    icons = (_watch(), _label(), _learn(), _play(), _score())
    for number, (card, icon) in enumerate(zip(CARDS, icons, strict=True)):
        parts.append(_card(number, card, icon))
    middle = CARD_TOP + CARD_HEIGHT / 2
    for number in range(len(CARDS) - 1):
        left = _left(number) + CARD_WIDTH
        parts.append(_arrow(f"M{left + 2} {middle:g}h{GAP - 8}"))
    # What was played goes back into training.
    start, end = _left(3) + CARD_WIDTH / 2, _left(2) + CARD_WIDTH / 2
    parts.append(_arrow(f"M{start:g} {CARD_TOP - 2}v-16H{end:g}v12"))
    parts.append(
        f'<text class="middle" x="{(start + end) / 2:g}" y="{CARD_TOP - 23}">'
        "and learn from what was played</text>"
    )
    parts += map(_feed, FEEDS)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(said())}">\n'
        f"<style>\n{STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="5" '
        'markerHeight="5" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>\n'
        f"{body}\n</svg>\n"
    )


def said() -> str:
    """The picture in words."""
    stages = [
        f"{card.title}: {' '.join(card.lines)} ({', '.join(card.commands)}), gives {card.gives}"
        for card in CARDS
    ]
    return f"{TITLE}. {'. '.join(stages)}."


def write(path: Path) -> None:
    """Writes the file."""
    with atomic_path(path) as temporary:
        temporary.write_text(draw(), encoding="utf-8")


# ---------------------------------------------------------------------------------------------
# Pieces


def _left(number: int) -> int:
    return EDGE + number * (CARD_WIDTH + GAP)


def _arrow(path: str) -> str:
    return f'<path class="arrow" d="{path}"/>'


def _card(number: int, card: Card, icon: str) -> str:
    x, y = _left(number), CARD_TOP
    inner = x + (CARD_WIDTH - ICON_WIDTH) / 2
    parts = [
        f'<rect class="card" x="{x}" y="{y}" width="{CARD_WIDTH}" height="{CARD_HEIGHT}" rx="6"/>',
        f'<g transform="translate({inner:g} {y + 12})">{icon}</g>',
        f'<text class="title" x="{inner:g}" y="{y + 128}">{escape(card.title)}</text>',
    ]
    for row, line in enumerate(card.lines):
        parts.append(f'<text x="{inner:g}" y="{y + 150 + 17 * row}">{escape(line)}</text>')
    for row, line in enumerate(card.commands):
        top = y + 191 + 16 * row
        parts.append(f'<text class="command" x="{inner:g}" y="{top}">{escape(line)}</text>')
    parts.append(f'<text x="{inner:g}" y="{y + CARD_HEIGHT - 14}">→ {escape(card.gives)}</text>')
    return "\n".join(parts)


def _feed(feed: Feed) -> str:
    middle = _left(feed.card) + feed.at * CARD_WIDTH
    parts = [
        f'<rect class="card" x="{middle - FEED_WIDTH / 2:g}" y="{FEED_TOP}" width="{FEED_WIDTH}" '
        f'height="{FEED_HEIGHT}" rx="6" stroke-dasharray="5 4"/>'
    ]
    for row, line in enumerate(feed.lines):
        y = FEED_TOP + 23 + 17 * row
        parts.append(f'<text class="middle" x="{middle:g}" y="{y}">{escape(line)}</text>')
    parts.append(_arrow(f"M{middle:g} {FEED_TOP - 2}V{CARD_TOP + CARD_HEIGHT + 8}"))
    return "\n".join(parts)


def _pad(x: float, y: float, width: float, lit: Sequence[str], left: tuple[float, float]) -> str:
    """A pad with some buttons pressed and the left stick somewhere, in -1..1."""
    parts = []
    for name, shape in SHAPES.items():
        if name.startswith("RIGHT_") and name.split("_")[1] in ("UP", "BOTTOM", "LEFT", "RIGHT"):
            continue  # the four without a place of their own
        look = f' style="fill:{LIT};stroke:{LIT}"' if name in lit else ""
        if shape.kind == "box":
            parts.append(
                f'<rect x="{shape.x - shape.width}" y="{shape.y - shape.height}" '
                f'width="{2 * shape.width}" height="{2 * shape.height}"{look}/>'
            )
        else:
            parts.append(f'<circle cx="{shape.x}" cy="{shape.y}" r="{shape.width}"{look}/>')
    for name, (cx, cy) in STICKS.items():
        dx, dy = left if name == "left" else (0.0, 0.0)
        parts.append(
            f'<circle cx="{cx + 9 * dx:g}" cy="{cy + 9 * dy:g}" r="5" '
            f'style="fill:{STICK};stroke:none"/>'
        )
    scale = width / PAD_WIDTH
    inner = "".join(parts)
    return (
        f'<g class="pad" transform="translate({x:g} {y:g}) scale({scale:.3f})" '
        f'stroke-width="{1.2 / scale:.2f}"><rect width="{PAD_WIDTH}" height="{PAD_HEIGHT}" rx="10" '
        f'style="fill:#2c303a;stroke:none;opacity:.85"/>{inner}</g>'
    )


def _screen(width: float = ICON_WIDTH) -> str:
    """A game: hills, a platform, somebody who runs."""
    return (
        f'<rect class="screen" width="{width:g}" height="{ICON_HEIGHT}" rx="4"/>'
        f'<path d="M0 {ICON_HEIGHT}V64q12-14 26-4t{width / 2 - 26:g}-6t{width / 2:g} 4'
        f'V{ICON_HEIGHT}z" '
        f'fill="{COLOURS[2]}"/>'
        f'<circle cx="{width - 24:g}" cy="18" r="8" fill="{LIT}"/>'
        f'<rect x="52" y="36" width="12" height="15" rx="4" fill="{COLOURS[1]}"/>'
    )


def _watch() -> str:
    return _screen() + _pad(92, 38, 58, ("SOUTH",), (0.9, 0.1))


def _label() -> str:
    found = (
        f'<rect x="21" y="1" width="114" height="86" fill="none" stroke="{COLOUR}" '
        'stroke-width="2" stroke-dasharray="6 4"/>'
    )
    return _pad(26, 4, 104, ("SOUTH", "RIGHT_TRIGGER"), (0.9, 0.1)) + found


def _learn() -> str:
    """Noise becomes the action: paths from scattered points to one."""
    starts = (8, 24, 36, 54, 66, 80)
    ends = (22, 22, 25, 62, 64, 64)
    paths = "".join(
        f'<path class="curve" d="M6 {y0}C60 {y0} 90 {y1} 148 {y1}" '
        f'stroke="{COLOURS[number % 3]}" opacity=".85"/>'
        f'<circle cx="6" cy="{y0}" r="3" fill="{COLOURS[number % 3]}"/>'
        for number, (y0, y1) in enumerate(zip(starts, ends, strict=True))
    )
    ring = "".join(f'<circle cx="148" cy="{y}" r="6" fill="{LIT}"/>' for y in (23, 63))
    return paths + ring


def _play() -> str:
    return (
        f"{_screen(86)}{_pad(92, 20, 64, ('EAST', 'LEFT_SHOULDER'), (-0.7, -0.6))}"
        '<path class="arrow" d="M92 10q28-10 34 4"/>'
        '<path class="arrow" d="M124 74q-14 14-32 4"/>'
    )


def _score() -> str:
    """Shares with their intervals."""
    rows = ((0.06, 0.0, 0.18, 7), (0.22, 0.1, 0.38, 5), (0.66, 0.5, 0.8, 0), (0.92, 0.82, 0.98, 2))
    parts = [f'<path d="M10 4V84H{ICON_WIDTH}" fill="none" stroke="var(--soft)"/>']
    for row, (value, low, high, colour) in enumerate(rows):
        y = 14 + 19 * row
        x = [10 + 140 * part for part in (value, low, high)]
        parts.append(
            f'<rect x="10" y="{y - 6}" width="{x[0] - 10:.1f}" height="12" '
            f'fill="{COLOURS[colour]}" opacity=".75"/>'
            f'<path d="M{x[1]:.1f} {y}H{x[2]:.1f}M{x[1]:.1f} {y - 4}v8M{x[2]:.1f} {y - 4}v8" '
            'stroke="var(--ink)" stroke-width="1.5"/>'
        )
    return "".join(parts)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
