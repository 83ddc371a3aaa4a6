"""How well sticks and buttons are read, over clips whose truth is known.

r2        of sticks: 1 - squared error / variance around the mean, x and y pooled
mae       of sticks, in travels
macro_f1  mean of the F1 of the buttons that are pressed at all
onset_f1  of the moments at which buttons are pressed, found within a frame, all together
accuracy  of buttons, beside `accuracy_of_idle`, what "nothing is pressed" scores
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax.labeling.parser import heat

NEAR = 1  # frames by which a moment may be missed


class Rows(NamedTuple):
    """N frames, those of a clip in their order.

    Attributes:
        clip: (N,) which of them belong together.
        sticks, said_sticks: (N, 2, 2) in travels; has_sticks: (N, 2).
        buttons, said_buttons, has_buttons: (N, 17) bool.
    """

    clip: np.ndarray
    sticks: np.ndarray
    said_sticks: np.ndarray
    has_sticks: np.ndarray
    buttons: np.ndarray
    said_buttons: np.ndarray
    has_buttons: np.ndarray

    @staticmethod
    def of(found: Mapping[str, np.ndarray]) -> Rows:
        """From a batch's truth, and positions in cells and logits that were said."""
        good = np.asarray(found["valid"])
        rows = {name: np.asarray(array)[good] for name, array in found.items() if np.ndim(array)}
        said = heat.travels(rows["said_at"], rows["travel"])
        return Rows(
            rows["clip"],
            rows["sticks"],
            said,
            rows["has_sticks"],
            rows["buttons"],
            rows["said_buttons"] > 0,
            rows["has_buttons"],
        )


def summarize(parts: Sequence[Rows]) -> dict[str, Any]:
    """The metrics of all rows; None where there is nothing that they could be taken of."""
    if not parts:
        return {"samples": 0}
    rows = Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    true, said, seen = rows.buttons & rows.has_buttons, rows.said_buttons, rows.has_buttons
    said = said & seen
    hits, errors = (true & said).sum(0), (true != said).sum(0)
    pressed = true.any(0)
    f1 = 2 * hits[pressed] / (2 * hits + errors)[pressed]
    return {
        "samples": len(rows.clip),
        "sticks": {
            "left": stick(rows.sticks[:, 0], rows.said_sticks[:, 0], rows.has_sticks[:, 0]),
            "right": stick(rows.sticks[:, 1], rows.said_sticks[:, 1], rows.has_sticks[:, 1]),
        },
        "buttons": {
            "macro_f1": float(f1.mean()) if len(f1) else None,
            "onset_f1": onset_f1(rows.clip, true, said),
            "accuracy": float((true == said)[seen].mean()) if seen.any() else None,
            "accuracy_of_idle": float((~true)[seen].mean()) if seen.any() else None,
        },
    }


def stick(true: np.ndarray, said: np.ndarray, there: np.ndarray) -> dict[str, float | None]:
    """R2 and mean absolute error of positions (N, 2) where they are there (N,)."""
    true, said = true[there].astype(np.float64), said[there]
    spread = ((true - true.mean(0)) ** 2).sum() if len(true) else 0.0
    if not spread:
        return {"r2": None, "mae": None}
    error = said - true
    return {"r2": float(1 - (error**2).sum() / spread), "mae": float(np.abs(error).mean())}


def onset_f1(clip: np.ndarray, true: np.ndarray, said: np.ndarray) -> float | None:
    """F1 of the moments at which buttons (N, k) are pressed; None where none is."""
    found = wanted = hits = right = 0
    for one in np.unique(clip):
        rows = clip == one
        starts = [_onsets(part[rows]) for part in (true, said)]
        near = [_spread(part) for part in starts]
        wanted, found = wanted + int(starts[0].sum()), found + int(starts[1].sum())
        hits += int((starts[0] & near[1]).sum())
        right += int((starts[1] & near[0]).sum())
    if not wanted + found:
        return None
    recall, precision = hits / max(wanted, 1), right / max(found, 1)
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _onsets(pressed: np.ndarray) -> np.ndarray:
    found = np.zeros_like(pressed)
    found[1:] = pressed[1:] & ~pressed[:-1]
    return found


def _spread(onsets: np.ndarray) -> np.ndarray:
    near = onsets.copy()
    for step in range(1, NEAR + 1):
        near[step:] |= onsets[:-step]
        near[:-step] |= onsets[step:]
    return near
