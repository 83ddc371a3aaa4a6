"""What an element shows in each frame, taken by itself: a state must beat rest by SURE."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.labeling.fit.read import Reading
from nitrogen_jax.labeling.fit.said import Said
from nitrogen_jax.labeling.skins.skin import Element

SURE = 10.0  # log-likelihood by which a state must beat rest
NEAR = 0.3  # a stick less far from rest may be at rest
DOUBT = 10.0  # times more or less than SURE, up to which a state is doubtful
LEAST = {
    "stick": 0.4
}  # confidence in a state that might as well be rest; a stick's is near it then
LEAST_OTHER = 0.2  # the same of all others
CLOSE = 0.12  # a bar that is so close to half full may be either


def alone(element: Element, reading: Reading, odd: np.ndarray, plain: bool = False) -> Said:
    """What one element shows.

    Args:
        odd: (N,) by which all log-likelihoods of a frame are divided.
        plain: whether each frame's best state is taken as it is.
    """
    gap = reading.gap / odd
    sure = _sure(reading.value[:, :2], gap) if element.kind == "stick" else SURE
    rests = gap <= 0 if plain else gap < sure
    if element.kind == "stick":
        press = (reading.press / odd[:, None]) > (0 if plain else SURE)
    else:
        press = (reading.press > 0) & ~rests[:, None]
    clear = np.abs(np.log(np.maximum(gap, 1e-3) / SURE)) / np.log(DOUBT)
    least = LEAST.get(element.kind, LEAST_OTHER)
    clear = least + (1 - least) * np.minimum(clear, 1)
    if element.kind == "trigger" and element.bar:
        clear = clear * np.where(np.abs(reading.value[:, 0] - 0.5) < CLOSE, 0.6, 1)
    return Said(rests, reading.value, press, clear)


def _sure(position: np.ndarray, gap: np.ndarray) -> float:
    """By how much a stick must beat rest: the less, the more of the time it is in motion."""
    moves = np.mean((np.hypot(*position.T) > NEAR) & (gap > 3 * SURE))
    odds = np.log((1 - moves + 0.01) / (moves + 0.01))
    return float(np.clip(5.0 + 1.5 * odds, 2.0, SURE))
