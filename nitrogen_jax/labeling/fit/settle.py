"""Readings of all elements as states of the pad, and how sure they are.

Likelihoods are of independent noise; real errors go together, and some frames have more of them (a
cut, an explosion behind a thin skin). What a frame leaves unexplained, beyond what is usual for its
element, therefore divides all log-likelihoods of that frame; a state other than rest must beat rest
by SURE of what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.fit.model import ElementModel
from nitrogen_jax.labeling.fit.read import Reading
from nitrogen_jax.labeling.skins.skin import States

SURE = 10.0  # log-likelihood by which a state must beat rest
NEAR = 0.3  # a stick less far from rest may be at rest
STILL = 0.12  # a stick that is less far from rest than this, and than its scatter, is at rest
# A stick at rest is read a little beside its rest more often than one that is pushed is read beside
# its place: only so much, in travels, is an error of all positions.
BESIDE = 0.1
ODD = 12.0  # times the energy of one frame in ten, from which on a frame is hardly to be trusted
DOUBT = 10.0  # times more or less than SURE, up to which a state is doubtful
LEAST = {
    "stick": 0.4
}  # confidence in a state that might as well be rest; a stick's is near it then
LEAST_OTHER = 0.2  # the same of all others
CLOSE = 0.12  # a bar that is so close to half full may be either


class Settled(NamedTuple):
    """States, (N,) confidence of each frame and (N, elements) of each element, all 0..1."""

    states: States
    confidence: np.ndarray
    each: np.ndarray


def settle(
    models: Sequence[ElementModel], readings: Sequence[Reading], without: Collection[str] = ()
) -> Settled:
    """The states that readings of all elements of a block mean.

    Args:
        without: steps that are left out, see `options.STEPS`; "settle" takes each frame's best
            state as it is.
    """
    plain, beside = "settle" in without, np.inf if "centre" in without else BESIDE
    number = len(readings[0].gap)
    states, each = States.idle(number), np.ones((number, len(models)), np.float32)
    for at, (model, reading) in enumerate(zip(models, readings, strict=True)):
        usual = max(float(np.median(reading.energy)), 1e-3)
        odd = np.maximum(reading.energy / usual, 1.0)
        gap = reading.gap / odd
        element = model.element
        sure = SURE
        if element.kind == "stick":
            sure = _sure(reading.value[:, :2], gap)
        rests = gap < sure if not plain else gap <= 0
        if element.kind == "stick":
            stick = states.left if element.side == "left" else states.right
            position = reading.value[:, :2]
            stick[:] = np.clip(position, -1, 1) if plain else centred(position, rests, beside)
            if element.button is not None:
                states.buttons[:, BUTTON_INDEX[element.button]] = reading.press[:, 0] / odd > (
                    0 if plain else SURE
                )
        else:
            pressed = (reading.press > 0) & ~rests[:, None]
            for column, button in enumerate(element.buttons):
                states.buttons[:, BUTTON_INDEX[button]] |= pressed[:, column]
            if element.kind == "trigger":
                value = np.where(rests, 0, reading.value[:, 0])
                states.triggers[:, 0 if element.side == "left" else 1] = value
        each[:, at] = _confidence(gap, reading.energy, element.kind)
        if element.kind == "trigger" and element.bar:
            each[:, at] *= np.where(np.abs(reading.value[:, 0] - 0.5) < CLOSE, 0.6, 1)
    return Settled(states, each.min(1), each)


def centred(position: np.ndarray, rests: np.ndarray, beside: float = 0.0) -> np.ndarray:
    """Stick positions (N, 2) around the place where the stick rests most, in [-1, 1].

    Args:
        rests: (N,) where nothing speaks against rest.
        beside: how far off the middle that place must be to move all positions with it; what is
            near it is at rest in any case.
    """
    far = np.hypot(*position.T)
    near = position[far < NEAR]
    centre, scatter = np.zeros(2), 0.0
    if len(near) > max(20, 0.02 * len(position)):
        centre = _mode(near)
        close = near[np.hypot(*(near - centre).T) < 0.15]
        if len(close) > 10:
            centre = np.median(close, 0)
            scatter = 1.4826 * float(np.median(np.hypot(*(close - centre).T)))
    # NOTE: what is all over the place has no centre to be moved to.
    if np.hypot(*centre) > 0.2:
        centre = np.zeros(2)
    moved = position - centre
    still = np.hypot(*moved.T) < min(max(2.5 * scatter, 0.03), STILL)
    if np.hypot(*centre) < beside:
        moved = position.copy()
    moved[rests | still] = 0
    return np.clip(moved, -1, 1)


def _sure(position: np.ndarray, gap: np.ndarray) -> float:
    """By how much a stick must beat rest: the less, the more of the time it is in motion."""
    moves = np.mean((np.hypot(*position.T) > NEAR) & (gap > 3 * SURE))
    odds = np.log((1 - moves + 0.01) / (moves + 0.01))
    return float(np.clip(5.0 + 1.5 * odds, 2.0, SURE))


def _mode(points: np.ndarray) -> np.ndarray:
    """The fullest cell of points (N, 2)."""
    cells = np.round(points / 0.06).astype(int)
    unique, counts = np.unique(cells, axis=0, return_counts=True)
    return unique[counts.argmax()] * 0.06


def _confidence(gap: np.ndarray, energy: np.ndarray, kind: str) -> np.ndarray:
    """(N,) 0..1: low where a state is about as likely as rest, and where much is unexplained."""
    clear = np.abs(np.log(np.maximum(gap, 1e-3) / SURE)) / np.log(DOUBT)
    least = LEAST.get(kind, LEAST_OTHER)
    clear = least + (1 - least) * np.minimum(clear, 1)
    usual = max(float(np.percentile(energy, 90)), 3 * float(np.median(energy)), 1e-3)
    return clear / (1 + (energy / usual / ODD) ** 2)
