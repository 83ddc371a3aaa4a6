"""The check of a game's physics as one page: a table, a plot, pictures of the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import html, plots
from nitrogen_jax.sim.physics import Physics

MOMENTS = 6
COLUMNS = ("run", "frames>", "real seconds>", "equal frames>", "first other>", "mean>", "largest>")


def rows(found: Physics) -> list[Sequence[str]]:
    """The table: differences are those to the run in lockstep, 0..255."""
    drawn: list[Sequence[str]] = []
    for run in found.runs:
        facts = (run.name, f"{run.presented:,}", f"{run.seconds:.2f}")
        one = next((one for one in found.comparisons if one.name == run.name), None)
        if one is None:
            drawn.append((*facts, "", "", "", ""))
            continue
        first = "none" if one.first is None else f"{one.first:,}"
        mean, most = float(one.difference.mean()), float(one.difference.max())
        drawn.append((*facts, f"{one.equal:.1%}", first, f"{mean:.3f}", f"{most:.2f}"))
    return drawn


def state_rows(found: Physics) -> list[Sequence[str]]:
    """The largest difference of each number that a judge reads, to the run in lockstep."""
    return [
        (one.name, name, f"{value:,.6g}")
        for one in found.comparisons
        for name, value in sorted(one.state_difference.items())
    ]


def verdict(found: Physics) -> list[str]:
    """What came out, a sentence each."""
    verdicts = {
        True: "Pauses change nothing.",
        False: "Pauses change the game.",
        None: "The game does not repeat exactly, so that what pauses change cannot be told.",
    }
    said = [verdicts[found.pauses_change_nothing]]
    if np.isfinite(found.real_share):
        said.append(
            f"In real time the pictures differ by {found.real_share:.0%} of what the pad changes."
        )
    return said


def page(found: Physics, command: str = "") -> str:
    """The page as HTML text."""
    time_of = np.arange(len(found.runs[0].frames))
    lines = {
        one.name: (time_of[: len(one.difference)], one.difference) for one in found.comparisons
    }
    plot = plots.lines(lines, "difference to the run in lockstep", "levels of 0..255", png=False)
    facts = [
        ("game", found.slug),
        ("level", found.level),
        ("frames a second of game time", f"{found.fps:g}"),
        ("seed", str(found.seed)),
        ("command", command),
    ]
    states = state_rows(found)
    below = "Differences are means over all pixels, to the most similar frame within 0.05 s."
    first = [*verdict(found), html.table(below, COLUMNS, rows(found))]
    if states:
        first.append(html.table("state", ("run", "number", "largest difference>"), states))
    return html.page(
        f"Physics of {found.slug}",
        [
            ("", first),
            ("Over time", [html.picture(plot.svg, "difference over steps")]),
            ("The same moments", [_moments(found)]),
            ("How it was made", [html.table("", ("what", "value"), facts)]),
        ],
    )


def write(found: Physics, path: Path, command: str = "") -> None:
    """Writes the page."""
    with atomic_path(path) as temporary:
        temporary.write_text(page(found, command), encoding="utf-8")


def _moments(found: Physics) -> html.Html:
    """A row of small frames for each run."""
    parts = []
    for run in found.runs:
        at = np.linspace(0, len(run.frames) - 1, MOMENTS).astype(int)
        strip = np.concatenate([run.frames[index] for index in at], axis=1)
        large = cv2.resize(strip, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        png = cv2.imencode(".png", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))[1].tobytes()
        parts.append(html.picture(png, f"frames of the run {run.name}", run.name))
    return html.Html("\n".join(parts))
