"""The table and the plot of a sweep: in the terminal, as pictures and as one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import html
from nitrogen_jax.report.compare import Line, by_name, over_axis
from nitrogen_jax.report.plots import Plot
from nitrogen_jax.sweep import results
from nitrogen_jax.sweep.plan import SEED
from nitrogen_jax.sweep.results import Row, Setting

PLOT, PAGE = "plot", "sweep.html"
_LOG_FROM = 20.0  # an axis that spans more than this is logarithmic


def table(rows: Sequence[Row], metric: str | None) -> tuple[list[str], list[list[Any]]]:
    """Columns (a '>' at the end: to the right) and cells, a run a row."""
    keys = results.keys_of(rows)
    columns = ["run", "state", *(f"{key}>" for key in keys), "steps>", "minutes>"]
    columns += [f"{metric}>"] if metric else []
    cells = []
    for row in rows:
        minutes = "-" if row.seconds is None else f"{row.seconds / 60:.1f}"
        line = [row.name, row.state, *(row.overrides.get(key, "-") for key in keys)]
        line += ["-" if row.step is None else f"{row.step:,}", minutes]
        cells.append([*line, _number(row.metrics.get(metric))] if metric else line)
    return columns, cells


def seeds_table(found: Sequence[Setting], metric: str) -> tuple[list[str], list[list[Any]]]:
    """Means over seeds, a setting a row."""
    keys = list(dict.fromkeys(key for one in found for key in one.overrides))
    columns = [*(f"{key}>" for key in keys), "runs>", f"mean {metric}>", "deviation>"]
    return columns, [
        [
            *(one.overrides.get(key, "-") for key in keys),
            len(one.values),
            _number(one.mean),
            _number(one.deviation),
        ]
        for one in found
    ]


def best_line(found: Sequence[Setting], metric: str, which: str) -> str:
    """One sentence: which setting is the best."""
    top = results.best(found, which)
    if top is None:
        return f"no run has a finite {metric}"
    what = ", ".join(f"{key}={value}" for key, value in top.overrides.items()) or "the config"
    runs = f" (mean of {len(top.values)} runs)" if len(top.values) > 1 else ""
    return f"best ({which}) {metric}: {_number(top.mean)}{runs} with {what}"


def plot(rows: Sequence[Row], metric: str) -> Plot | None:
    """Lines over the first numeric field that differs between runs; a point for each run else."""
    found = [row for row in rows if _finite(row.metrics.get(metric))]
    if not found:
        return None
    axis = numeric_axis(found)
    if axis is None:
        names = [row.name for row in found]
        return by_name(names, [row.metrics[metric] for row in found], metric, metric)
    groups: dict[str, list[tuple[float, float]]] = {}
    for row in found:
        rest = [f"{k}={v}" for k, v in row.overrides.items() if k not in (axis, SEED)]
        place = float(row.overrides[axis]), row.metrics[metric]
        groups.setdefault(", ".join(rest), []).append(place)
    at = [x for places in groups.values() for x, _ in places]
    log = min(at) > 0 and max(at) / min(at) > _LOG_FROM
    drawn = [Line(name, *zip(*sorted(places), strict=True)) for name, places in groups.items()]
    return over_axis(drawn, metric, axis, metric, log_x=log)


def numeric_axis(rows: Sequence[Row]) -> str | None:
    """The first field but the seed that is a number in all runs, and not always the same."""
    for key in results.keys_of(rows):
        values = {row.overrides.get(key) for row in rows}
        if key != SEED and len(values) > 1 and all(_finite(_float(value)) for value in values):
            return key
    return None


def write(out: Path, rows: Sequence[Row], metric: str | None, which: str, words: str) -> None:
    """plot.png, plot.svg and sweep.html; the page alone while there is nothing to draw."""
    drawn = plot(rows, metric) if metric else None
    parts: list[str] = [words]
    if metric:
        found = results.settings(rows, metric)
        parts.append(best_line(found, metric, which))
        if any(len(one.values) > 1 for one in found):
            parts.append(html.table("means over seeds", *seeds_table(found, metric)))
    if drawn is not None:
        parts.append(html.picture(drawn.svg, f"{metric} of every run"))
        for kind, data in (("png", drawn.png), ("svg", drawn.svg.encode())):
            with atomic_path(out / f"{PLOT}.{kind}") as temporary:
                temporary.write_bytes(data)
    page = html.page(
        f"Sweep {out.name}",
        [("", parts), ("Runs", [html.table("", *table(rows, metric))])],
    )
    with atomic_path(out / PAGE) as temporary:
        temporary.write_text(page)


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
