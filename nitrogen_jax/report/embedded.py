"""Videos and shares within a page that runs no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from nitrogen_jax.evaluation import results as folders
from nitrogen_jax.evaluation.scores import Score, counted, progressed
from nitrogen_jax.report import eval_plots, html
from nitrogen_jax.report.eval_plots import Share
from nitrogen_jax.report.html import Html, escape

MORE_STYLE = """\
figure.film { max-width: 30rem; }
figure.film video { width: 100%; aspect-ratio: auto; }
figure img { image-rendering: auto; }
.verdict { color: var(--ink); font-size: 1.2rem; font-weight: 600; border-left: .3rem solid
  var(--fill); padding-left: .75rem; }
"""


def style() -> str:
    """CSS for what is made here, beside that of every page."""
    package = resources.files("nitrogen_jax.report")
    return (package / "eval.css").read_text(encoding="utf-8") + MORE_STYLE


def film(path: Path, words: str) -> Html:
    """A video that lies in the page as a whole."""
    packed = base64.b64encode(path.read_bytes()).decode()
    return Html(
        f'<figure class="film"><video src="data:video/mp4;base64,{packed}" controls loop muted '
        f'playsinline preload="metadata" aria-label="{escape(words)}"></video>'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def films(folder: Path, who: str) -> list[Html]:
    """The clips of an evaluation: one of each outcome that there is."""
    found = folders.read(folder)
    parts = []
    for one in found.episodes:
        path = found.file(one.clip)
        if path is not None:
            words = f"{who}: a {one.outcome} (episode {one.episode}, seed {one.seed})"
            parts.append(film(path, words))
    return parts


def scores(players: Mapping[str, Score]) -> list[str]:
    """How well players play: a table with all intervals, and a plot."""
    rows = []
    for score in players.values():
        share = None if score.rate is None else Share(score.rate, score.low, score.high)
        bar = eval_plots.bar(share)
        rows.append((score.name, bar, counted(score), progressed(score), score.apart))
    columns = ("who", "", "successes, 95 % interval", "mean progress, 95 % interval")
    plot = eval_plots.shares(
        "Successes with 95 % Wilson intervals",
        [score.name for score in players.values()],
        [("", shares(list(players.values())))],
    )
    return [html.table("", (*columns, "crashes and the like>"), rows), plot]


def shares(players: Sequence[Score]) -> list[Share | None]:
    """For plots."""
    return [None if one.rate is None else Share(one.rate, one.low, one.high) for one in players]


def number(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A number between 0 and 1 with its interval, "-" for None."""
    if value is None:
        return "-"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
