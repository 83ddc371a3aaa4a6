"""Readings of all elements as states of the pad, and how sure they are.

Likelihoods are of independent noise; real errors go together, and some frames have more of them (a
cut, an explosion behind a thin skin). What a frame leaves unexplained, beyond what is usual for its
element, therefore divides all log-likelihoods of that frame. Then the frames before and after it
have their say (together.py), or each must make itself clear (alone.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.fit.alone import NEAR, alone
from nitrogen_jax.labeling.fit.model import ElementModel
from nitrogen_jax.labeling.fit.read import Reading
from nitrogen_jax.labeling.fit.together import together
from nitrogen_jax.labeling.skins.skin import States

STILL = 0.12  # a stick that is less far from rest than this, and than its scatter, is at rest
# A stick at rest is read a little beside its rest more often than one that is pushed is read beside
# its place: only so much, in travels, is an error of all positions.
BESIDE = 0.1
OWN = 0.5  # weight of what a frame says by itself in how sure it is
TRUSTED = 0.8  # mean confidence from which on an element's is what it says
ODD = 12.0  # times the energy of one frame in ten, from which on a frame is hardly to be trusted


class Settled(NamedTuple):
    """States, (N,) confidence of each frame and (N, elements) of each element, all 0..1."""

    states: States
    confidence: np.ndarray
    each: np.ndarray


def settle(
    models: Sequence[ElementModel],
    readings: Sequence[Reading],
    without: Collection[str] = (),
    seconds: float = 1 / 30,
) -> Settled:
    """The states that readings of all elements of a block mean.

    Args:
        without: steps that are left out, see `options.STEPS`; "settle" takes each frame's best
            state as it is, "time" each frame by itself.
        seconds: between frames.
    """
    plain, beside = "settle" in without, np.inf if "centre" in without else BESIDE
    number = len(readings[0].gap)
    states, each = States.idle(number), np.ones((number, len(models)), np.float32)
    elements = [model.element for model in models]
    odds = [_odd(reading.energy) for reading in readings]
    said = by_themselves = [
        alone(*one, plain) for one in zip(elements, readings, odds, strict=True)
    ]
    if not plain and "time" not in without and all(one.scores is not None for one in readings):
        said = [
            one._replace(sure=_trusted(one.sure * (1 - OWN + OWN * own.sure)))
            for one, own in zip(
                together(elements, readings, odds, seconds), by_themselves, strict=True
            )
        ]
    for at, (element, reading, one) in enumerate(zip(elements, readings, said, strict=True)):
        if element.kind == "stick":
            stick = states.left if element.side == "left" else states.right
            position = one.value[:, :2]
            stick[:] = np.clip(position, -1, 1) if plain else centred(position, one.rests, beside)
        for column, button in enumerate(element.buttons):
            states.buttons[:, BUTTON_INDEX[button]] |= one.press[:, column]
        if element.kind == "trigger":
            value = np.where(one.rests, 0, one.value[:, 0])
            states.triggers[:, 0 if element.side == "left" else 1] = value
        each[:, at] = one.sure * _explained(reading.energy)
    return Settled(states, each.min(1), each)


def _odd(energy: np.ndarray) -> np.ndarray:
    """(N,) how much more a frame leaves unexplained than is usual, from 1 on."""
    return np.maximum(energy / max(float(np.median(energy)), 1e-3), 1.0)


def _trusted(sure: np.ndarray) -> np.ndarray:
    """(N,) the same, or less for an element that is hardly ever sure: then it errs where it is."""
    return sure * min(1.0, float(sure.mean()) / TRUSTED) ** 2


def _explained(energy: np.ndarray) -> np.ndarray:
    """(N,) 1..0, low where much is unexplained."""
    usual = max(float(np.percentile(energy, 90)), 3 * float(np.median(energy)), 1e-3)
    return 1 / (1 + (energy / usual / ODD) ** 2)


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


def _mode(points: np.ndarray) -> np.ndarray:
    """The fullest cell of points (N, 2)."""
    cells = np.round(points / 0.06).astype(int)
    unique, counts = np.unique(cells, axis=0, return_counts=True)
    return unique[counts.argmax()] * 0.06
