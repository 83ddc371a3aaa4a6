"""What the runs of a sweep came to: one row each, the best one, means over seeds, files."""

from __future__ import annotations

import csv
import difflib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.sweep.plan import SEED, Overrides, Run
from nitrogen_jax.sweep.states import FINISHED, read_result, state_of

# What is looked at if nobody says: the first of these that there is.
USUAL = ("validation.loss", "validation.overall.buttons.micro_f1", "train.loss")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        metrics: "validation.overall.buttons.micro_f1" -> number; empty unless it is finished.
    """

    name: str
    state: str
    overrides: Overrides
    step: int | None
    seconds: float | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class Setting:
    """Runs that differ by their seed alone: mean and sample deviation (None of one run)."""

    overrides: Overrides
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def collect(out: Path, runs: Sequence[Run], states: Mapping[str, str] | None = None) -> list[Row]:
    """A row for each run; `states` is what is known beyond the folders: which ones failed."""
    rows = []
    for run in runs:
        result = read_result(out / run.name)
        state = (states or {}).get(run.name) or state_of(out / run.name)
        if result is None:
            rows.append(Row(run.name, state, run.overrides, None, None, {}))
            continue
        metrics = flatten(result.get("metrics") or {})
        step, seconds = result.get("step"), result.get("seconds")
        rows.append(Row(run.name, FINISHED, run.overrides, step, seconds, metrics))
    return rows


def flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """{"a": {"b": 1.0}} -> {"a.b": 1.0}; what is no number is left out."""
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[prefix + key] = value
    return flat


def choose_metric(rows: Sequence[Row], wanted: str | None) -> str | None:
    """The metric to compare by; None while no run is finished."""
    known = {name: None for row in rows for name in row.metrics}
    if not known:
        return None
    if wanted is None:
        return next((name for name in USUAL if name in known), next(iter(known)))
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, 1, 0.3) or list(known)
        raise NitrogenError(f"--metric {wanted!r}: no run has it; did you mean {near[0]!r}?")
    return wanted


def better(metric: str) -> str:
    """ "min" of a loss or an error, "max" of anything else."""
    words = metric.lower()
    lower = any(word in words for word in ("loss", "error", "mae", "mse", "seconds"))
    return "min" if lower else "max"


def settings(rows: Sequence[Row], metric: str) -> list[Setting]:
    """Finished runs by what they have in common but for the seed, in the order of the rows."""
    found: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for row in rows:
        if metric in row.metrics:
            key = tuple((k, v) for k, v in row.overrides.items() if k != SEED)
            found.setdefault(key, []).append(row.metrics[metric])
    return [Setting(dict(key), tuple(values)) for key, values in found.items()]


def best(found: Sequence[Setting], which: str) -> Setting | None:
    """The setting whose mean is the largest ("max") or the smallest ("min")."""
    finite = [one for one in found if one.mean - one.mean == 0]
    choose = max if which == "max" else min
    return choose(finite, key=lambda one: one.mean, default=None)


def keys_of(rows: Sequence[Row]) -> list[str]:
    """All fields that any run overrides, in order."""
    return list(dict.fromkeys(key for row in rows for key in row.overrides))


def as_json(rows: Sequence[Row], metric: str | None, which: str | None) -> dict[str, Any]:
    """Everything, as table.json has it."""
    found = settings(rows, metric) if metric else []
    top = best(found, which) if which else None
    return {
        "metric": metric,
        "best": which,
        "best_setting": None if top is None else {"overrides": top.overrides, "mean": top.mean},
        "settings": [
            {
                "overrides": one.overrides,
                "mean": one.mean,
                "deviation": one.deviation,
                "runs": len(one.values),
            }
            for one in found
        ],
        "runs": [
            {
                "name": row.name,
                "state": row.state,
                "overrides": row.overrides,
                "step": row.step,
                "seconds": row.seconds,
                "metrics": row.metrics,
            }
            for row in rows
        ],
    }


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a run: its overrides and all its metrics."""
    keys = keys_of(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "state", *keys, "step", "seconds", *names])
        for row in rows:
            overrides = [row.overrides.get(key, "") for key in keys]
            metrics = [row.metrics.get(name, "") for name in names]
            numbers = ["" if value is None else value for value in (row.step, row.seconds)]
            writer.writerow([row.name, row.state, *overrides, *numbers, *metrics])


def write_json(path: Path, rows: Sequence[Row], metric: str | None, which: str | None) -> None:
    """What `as_json` returns."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(as_json(rows, metric, which), indent=1) + "\n")
