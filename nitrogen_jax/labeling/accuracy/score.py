"""Labels of one clip against its truth, as sums that can be pooled over clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nitrogen_jax.gamepad import BUTTONS
from nitrogen_jax.labeling.skins.skin import States

LAGS = 5  # frames by which labels are shifted, either way, to find the best lag
NEAR = 1  # frames by which an onset may be off
STILL = 0.02  # variance of a stick below which its R2 says nothing
TRIED = 1000  # resamples of an interval


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

    Args:
        clips: what `run.clip` returns: kind ("known", "unknown", "none"), frames, located (bool),
            accepted (bool), score (as `score`, None where nothing was read).
    """
    rng = np.random.default_rng(seed)
    point = _metrics(clips)
    draws = [
        _metrics([clips[i] for i in rng.integers(0, len(clips), len(clips))])
        for _ in range(TRIED if len(clips) > 1 else 0)
    ]
    intervals = {}
    for name in point:
        values = [draw[name] for draw in draws if draw[name] is not None]
        if values and name not in ("clips", "false_accepts"):
            intervals[name] = [float(v) for v in np.percentile(values, [2.5, 97.5])]
    return {**point, "intervals": intervals}


def _metrics(clips: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = [one for one in clips if one["kind"] != "none"]
    scores = [one["score"] for one in shown if one["score"] is not None]
    sticks = [
        stick for one in scores for stick in one["sticks"].values() if stick["r2"] is not None
    ]
    raw, best = ([stick[name] for stick in sticks] for name in ("r2", "r2_bestlag"))
    counts: dict[str, np.ndarray] = {}
    for one in scores:
        for name, six in one["buttons"].items():
            counts[name] = counts.get(name, np.zeros(6, int)) + six
    pressed = [six for six in counts.values() if six[0] + six[2] > 0]
    begun = [six for six in counts.values() if six[5] > 0]
    cells = sum(one["cells"] for one in scores)
    frames = sum(one["frames"] for one in shown)
    kept = sum(one["kept"] for one in scores)
    return {
        "clips": len(clips),
        "coverage": _share(kept, frames),
        "localisation_recall": _share(sum(one["located"] for one in shown), len(shown)),
        "false_accepts": sum(one["accepted"] for one in clips if one["kind"] == "none"),
        "stick_r2": _mean(raw),
        "stick_r2_p10": float(np.percentile(raw, 10)) if raw else None,
        "stick_r2_bestlag": _mean(best),
        "button_macro_f1": _mean([_f1(six[0], six[1], six[2]) for six in pressed]),
        "onset_f1": _mean([_f1(six[3], six[4] - six[3], six[5] - six[3]) for six in begun]),
        "button_accuracy": _share(sum(one["right"] for one in scores), cells),
        "idle_accuracy": _share(sum(one["idle"] for one in scores), cells),
    }


def _f1(true_positives: int, false_positives: int, false_negatives: int) -> float:
    total = 2 * true_positives + false_positives + false_negatives
    return float(2 * true_positives / total) if total else 1.0


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
