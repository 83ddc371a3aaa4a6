"""Labels of one clip against its truth, as sums that can be pooled over clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax.gamepad import BUTTONS
from nitrogen_jax.labeling.skins.skin import States

LAGS = 5  # frames by which labels are shifted, either way, to find the best lag
NEAR = 1  # frames by which an onset may be off
STILL = 0.02  # variance of a stick below which its R2 says nothing
TRIED = 1000  # resamples of an interval
RIGHT = 0.2  # travels by which a stick may be off in a frame that counts as right
BINS = 10  # of confidence


def score(read: States, true: States, kept: np.ndarray, buttons: Sequence[str]) -> dict[str, Any]:
    """What one clip's labels are worth.

    Args:
        kept: (N,) bool, frames whose labels are used.
        buttons: those that the overlay can show.

    Returns:
        frames, kept; sticks: side -> {r2, r2_bestlag, lag, mae}, r2 None where the stick rests;
        buttons: name -> [true positives, false positives, false negatives, onsets found, onsets
        said, onsets there]; right, idle, cells: entries of all buttons that are right, that a pad
        at rest would have right, and all.
    """
    sticks = {
        side: _stick(getattr(read, side), getattr(true, side), kept) for side in ("left", "right")
    }
    counts, right, idle = {}, 0, 0
    for at, name in enumerate(BUTTONS):
        if name not in buttons:
            continue
        said, was = read.buttons[:, at], true.buttons[:, at]
        found, starts, real = _onsets(said, was, kept)
        said, was = said[kept], was[kept]
        both = int((said & was).sum())
        counts[name] = [both, int(said.sum()) - both, int(was.sum()) - both, found, starts, real]
        right += int((said == was).sum())
        idle += int((~was).sum())
    return {
        "frames": len(kept),
        "kept": int(kept.sum()),
        "sticks": sticks,
        "buttons": counts,
        "right": right,
        "idle": idle,
        "cells": int(kept.sum()) * len(counts),
    }


def reliability(
    read: States, true: States, confidence: np.ndarray, buttons: Sequence[str]
) -> list[list[int]]:
    """How many frames there are of each tenth of confidence, and how many of them are right.

    A frame is right if all buttons that the overlay can show are, and no stick is further off than
    RIGHT.
    """
    shown = [at for at, name in enumerate(BUTTONS) if name in buttons]
    right = (read.buttons[:, shown] == true.buttons[:, shown]).all(1)
    for side in ("left", "right"):
        right &= np.hypot(*(getattr(read, side) - getattr(true, side)).T) <= RIGHT
    bins = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    return [
        np.bincount(bins, minlength=BINS).tolist(),
        np.bincount(bins[right], minlength=BINS).tolist(),
    ]


def _stick(read: np.ndarray, true: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    if kept.sum() < 10 or true[kept].var(0).sum() < STILL:
        return {"r2": None, "r2_bestlag": None, "lag": 0, "mae": _mae(read, true, kept)}
    by_lag = {lag: _lagged(read, true, kept, lag) for lag in range(-LAGS, LAGS + 1)}
    best = max(by_lag, key=lambda lag: (by_lag[lag], -abs(lag)))
    mae = _mae(read, true, kept)
    return {"r2": by_lag[0], "r2_bestlag": by_lag[best], "lag": best, "mae": mae}


def _mae(read: np.ndarray, true: np.ndarray, kept: np.ndarray) -> float | None:
    return float(np.abs(read[kept] - true[kept]).mean()) if kept.any() else None


def _lagged(read: np.ndarray, true: np.ndarray, kept: np.ndarray, lag: int) -> float:
    """R2 where the label of frame i + lag is taken for frame i."""
    rows = np.flatnonzero(kept)
    rows = rows[(rows + lag >= 0) & (rows + lag < len(kept))]
    if not len(rows):
        return -np.inf
    return r2(read[rows + lag], true[rows])


def r2(read: np.ndarray, true: np.ndarray) -> float:
    """1 - squared error / variance around the mean, x and y (N, 2) pooled."""
    spread = ((true - true.mean(0)) ** 2).sum()
    return float(1 - ((read - true) ** 2).sum() / max(spread, 1e-12))


def _onsets(said: np.ndarray, was: np.ndarray, kept: np.ndarray) -> tuple[int, int, int]:
    """Onsets found, said and there, among frames that are kept; each is found once at most."""
    starts = np.flatnonzero(~said[:-1] & said[1:]) + 1
    real = np.flatnonzero(~was[:-1] & was[1:]) + 1
    starts, real = starts[kept[starts]], real[kept[real]]
    found, at = 0, 0
    for one in real:
        while at < len(starts) and starts[at] < one - NEAR:
            at += 1
        if at < len(starts) and starts[at] <= one + NEAR:
            found, at = found + 1, at + 1
    return found, len(starts), len(real)


# ---------------------------------------------------------------------------------------------
# Over clips


def summary(clips: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Any]:
    """The metrics of some clips, each with a 95 % interval over clips (bootstrap).

    `intervals` holds [low, high] for each metric but the number of clips; None where there are
    too few of them.

    Args:
        clips: what `run.clip` returns: kind ("known", "unknown", "none"), frames, located (bool),
            accepted (bool), score (as `score`, None where nothing was read).
    """
    rng, number = np.random.default_rng(seed), len(clips)
    table = _table(clips)
    point = _metrics(table, np.ones(number, int))
    draws = [
        _metrics(table, np.bincount(rng.integers(0, number, number), minlength=number))
        for _ in range(TRIED if number > 1 else 0)
    ]
    intervals: dict[str, list[float] | None] = {}
    for name in point.keys() - {"clips"}:
        values = [draw[name] for draw in draws if draw[name] is not None]
        intervals[name] = np.percentile(values, [2.5, 97.5]).tolist() if values else None
    return {**point, "intervals": intervals}


class _Table(NamedTuple):
    """What some clips add to the metrics, as arrays, so that resampling them is quick.

    Attributes:
        sums: name -> (C,) of each clip; zero where a clip does not count.
        counts: (C, B, 6) of each button that any of them shows.
        owner, r2, bestlag: (S,) of the sticks that move: their clip and values.
    """

    sums: Mapping[str, np.ndarray]
    counts: np.ndarray
    owner: np.ndarray
    r2: np.ndarray
    bestlag: np.ndarray


def _table(clips: Sequence[Mapping[str, Any]]) -> _Table:
    shown = [one["kind"] != "none" for one in clips]
    scores = [one["score"] if there else None for one, there in zip(clips, shown, strict=True)]
    sums = {
        "shown": shown,
        "frames": [one["frames"] * there for one, there in zip(clips, shown, strict=True)],
        "located": [one["located"] and there for one, there in zip(clips, shown, strict=True)],
        "false": [one["accepted"] and not there for one, there in zip(clips, shown, strict=True)],
    } | {
        name: [0 if one is None else one[name] for one in scores]
        for name in ("kept", "right", "idle", "cells")
    }
    names = sorted({name for one in scores if one is not None for name in one["buttons"]})
    counts = np.zeros((len(clips), len(names), 6), int)
    sticks = []
    for at, one in enumerate(scores):
        if one is not None:
            for name, six in one["buttons"].items():
                counts[at, names.index(name)] = six
            sticks += [(at, stick) for stick in one["sticks"].values() if stick["r2"] is not None]
    return _Table(
        {name: np.array(values, int) for name, values in sums.items()},
        counts,
        np.array([at for at, _ in sticks], int),
        *(np.array([stick[name] for _, stick in sticks], float) for name in ("r2", "r2_bestlag")),
    )


def _metrics(table: _Table, times: np.ndarray) -> dict[str, Any]:
    """The metrics where each clip is there so many times (C,)."""
    total = {name: int(times @ values) for name, values in table.sums.items()}
    counts = np.tensordot(times, table.counts, 1)
    raw, best = (np.repeat(values, times[table.owner]) for values in (table.r2, table.bestlag))
    pressed = [six for six in counts if six[0] + six[2] > 0]
    begun = [six for six in counts if six[5] > 0]
    return {
        "clips": int(times.sum()),
        "coverage": _share(total["kept"], total["frames"]),
        "localisation_recall": _share(total["located"], total["shown"]),
        "false_accepts": total["false"],
        "stick_r2": _mean(raw),
        "stick_r2_p10": float(np.percentile(raw, 10)) if len(raw) else None,
        "stick_r2_bestlag": _mean(best),
        "button_macro_f1": _mean([_f1(six[0], six[1], six[2]) for six in pressed]),
        "onset_f1": _mean([_f1(six[3], six[4] - six[3], six[5] - six[3]) for six in begun]),
        "button_accuracy": _share(total["right"], total["cells"]),
        "idle_accuracy": _share(total["idle"], total["cells"]),
    }


def _f1(true_positives: int, false_positives: int, false_negatives: int) -> float:
    total = 2 * true_positives + false_positives + false_negatives
    return float(2 * true_positives / total) if total else 1.0


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
