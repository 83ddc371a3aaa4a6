"""A label tree's summary for people: tables, plots, and the page that shows both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data.label_fields import shown
from nitrogen_jax.data.label_summary import GameSum, LabelSummary, most
from nitrogen_jax.report import html, plots
from nitrogen_jax.report.plots import Plot

# Those that a label file has a column for.
BUTTONS = tuple(name for name in gamepad.BUTTONS if name in gamepad.COLUMNS.values())


class Table(NamedTuple):
    """Columns whose name ends in '>' hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def games(summary: LabelSummary, top: int) -> list[tuple[str, GameSum]]:
    """The games with most hours, and all others as one."""
    ordered = sorted(summary.games.items(), key=lambda item: (-item[1].seconds, item[0]))
    rest = [game for _, game in ordered[top:]]
    found = [(shown(name), game) for name, game in ordered[:top]]
    if rest:
        sums = GameSum(*(sum(column) for column in zip(*rest, strict=True)))
        found.append((f"{len(rest)} other games", sums))
    return found


def tables(summary: LabelSummary, top: int = 20) -> list[Table]:
    """All numbers as tables: what there is, games, buttons, videos, and what could not be read."""
    rows = summary.rows
    facts = [
        ("chunks", f"{summary.chunks:,}"),
        ("chunks that cannot be read", f"{summary.found - summary.chunks:,}"),
        ("hours", f"{summary.seconds / 3600:,.2f}"),
        ("rows", f"{rows:,}"),
        ("idle rows", _share(summary.idle, rows)),
        ("rows with the left stick in use", _share(summary.left_active, rows)),
        ("rows with the right stick in use", _share(summary.right_active, rows)),
        ("chunks with actions_processed", _share(summary.with_processed, summary.chunks)),
        ("chunks with a game area", _share(summary.with_game_area, summary.chunks)),
        ("chunks without an overlay", _share(summary.no_overlay, summary.chunks)),
        ("chunks whose overlay has no resolution", _share(summary.unplaced, summary.chunks)),
        ("part of the frame that the overlay covers, median", _median(summary.overlay_shares)),
    ]
    played = [
        (name, f"{game.seconds / 3600:,.2f}", f"{game.chunks:,}", _share(game.idle, game.rows))
        for name, game in games(summary, top)
    ]
    pressed = [(name, _share(count, rows)) for name, count in _buttons(summary) if count]
    found = [Table("", ("what", "number>"), facts)]
    found.append(Table("games", ("game", "hours>", "chunks>", "idle>"), played))
    found.append(Table("buttons", ("button", "of rows>"), pressed))
    found += [
        _counts("rates", "Hz", summary.rates, summary.chunks, top),
        _counts("controllers", "controller", summary.controllers, summary.chunks, top),
        _counts("sources", "source", summary.sources, summary.chunks, top),
        _counts("resolutions", "width x height", summary.resolutions, summary.chunks, top),
    ]
    broken = [
        (cause, f"{count:,}", shown(summary.examples.get(cause, "")))
        for cause, count in most(summary.broken)
    ]
    found.append(Table("chunks that cannot be read", ("cause", "chunks>", "the first"), broken))
    faults = [(cause, f"{count:,}") for cause, count in most(summary.faults)]
    found.append(Table("what is no part of a chunk", ("cause", "files>"), faults))
    return [table for table in found if table.rows]


def draw(summary: LabelSummary, top: int = 20) -> dict[str, Plot]:
    """File name without ending -> plot; none at all where no chunk could be read."""
    if not summary.rows:
        return {}
    played = games(summary, top)
    names = [name for name, _ in played]
    hours = [game.seconds / 3600 for _, game in played]
    idle = [game.idle / game.rows for _, game in played]
    buttons = _buttons(summary)
    shares = [count / summary.rows for _, count in buttons]
    whole = Counter()
    for rate, count in summary.rates.items():
        whole[round(rate)] += count
    drawn = {
        "hours_by_game": plots.bars(names, hours, "hours by game", "hours"),
        "idle_by_game": plots.bars(names, idle, "idle rows by game", "% of rows", shares=True),
        "buttons": plots.bars(
            [name for name, _ in buttons], shares, "buttons pressed", "% of rows", shares=True
        ),
        "left_stick": plots.stick_map(summary.left, "left stick"),
        "right_stick": plots.stick_map(summary.right, "right stick"),
        "rates": plots.histogram(
            list(whole), list(whole.values()), "rates", "Hz", width=0.9, log=True
        ),
    }
    if summary.overlay_shares.any():
        used = max(int(np.flatnonzero(summary.overlay_shares)[-1]) + 1, 20)
        drawn["overlays"] = plots.histogram(
            np.arange(used) + 0.5,
            summary.overlay_shares[:used],
            "size of the overlay",
            "% of the frame's area",
            width=0.9,
        )
    return drawn


def page(summary: LabelSummary, name: str, drawn: Mapping[str, Plot], top: int = 20) -> str:
    """The whole page as HTML text.

    Args:
        name: what the tree is called.
        drawn: what `draw` returned.
    """
    pictures = {key: html.picture(plot.svg, key.replace("_", " ")) for key, plot in drawn.items()}
    shown_with = {
        "games": ("hours_by_game", "idle_by_game"),
        "buttons": ("buttons", "left_stick", "right_stick"),
        "rates": ("rates",),
        "resolutions": ("overlays",),
    }
    sections = []
    for table in tables(summary, top):
        beside = [pictures[key] for key in shown_with.get(table.title, ()) if key in pictures]
        body = [html.table("", table.columns, table.rows)]
        sections.append((table.title, [*body, html.side_by_side(beside)] if beside else body))
    return html.page(f"Labels of {name}", sections)


def _buttons(summary: LabelSummary) -> list[tuple[str, int]]:
    counts = dict(zip(gamepad.BUTTONS, summary.buttons.tolist(), strict=True))
    return most({name: counts[name] for name in BUTTONS})


def _counts(title: str, column: str, counts: Mapping, chunks: int, top: int) -> Table:
    ordered = most(counts)
    rows = [(shown(key), count) for key, count in ordered[:top]]
    if len(ordered) > top:
        rows.append((f"{len(ordered) - top} others", sum(n for _, n in ordered[top:])))
    return Table(
        title,
        (column, "chunks>", "share>"),
        [(key, f"{count:,}", _share(count, chunks)) for key, count in rows],
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _median(shares: np.ndarray) -> str:
    """Of a distribution over whole per cents."""
    if not shares.any():
        return "-"
    low = int(np.searchsorted(np.cumsum(shares), shares.sum() / 2))
    return f"{low} to {low + 1} %"
