"""How pads are used: how likely one state of an element is to follow another, by frame.

Rates are a second's and of no one person: sticks rest for much of the time, are pushed for tenths
of a second and mostly move on to places near by; presses last for a tenth of a second and more.
Readings of many frames outweigh them by far; they decide where frames say little.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from nitrogen_jax.labeling.fit.model import AXIS, REST
from nitrogen_jax.labeling.skins.skin import DPAD_STATES

# Rates, a second.
PUSHED = 0.6  # of sticks that rest
MOVED_ON = 30.0  # of sticks that are away from rest
LET_GO = 5.0  # of sticks that are away from rest
SPEED = 15.0  # travels, of a stick that moves on
PRESSED = 0.24  # of a button that is released
RELEASED = 6.0  # of one that is pressed
FILLED = 12.0  # full bars, of a trigger that moves on

FLICKED = 0.01  # share of frames from which a stick goes anywhere
TO_ANYWHERE = 0.5  # share of pushes that do not begin near rest
ROUND = 1.2  # travels, beyond which are corners of a square
BEYOND = 0.02  # of such a corner, which hardly any stick reaches, against other places
AT_REST = 0.6  # of sticks in a first frame
UP = 0.95  # of buttons in a first frame
SLOWEST, FASTEST = 1 / 240, 1 / 5  # seconds between frames that make sense
STAYS = 0.7  # of a bar's levels from one frame to the next


class Habit(NamedTuple):
    """How likely states follow one another.

    Attributes:
        first: (K,) probabilities in a first frame.
        next: (K, K) probabilities of the next state (columns) after each (rows).
    """

    first: np.ndarray
    next: np.ndarray


def stick(seconds: float) -> Habit:
    """Of a stick's GRID * GRID positions, rows of y, in frames so many seconds apart."""
    return _stick(_whole(seconds))


def button(seconds: float) -> Habit:
    """Released and pressed."""
    return _button(_whole(seconds))


def dpad(seconds: float) -> Habit:
    """A d-pad's states, as `DPAD_STATES`; the first is at rest."""
    held = button(seconds)
    number = len(DPAD_STATES)
    other = 1 / (number - 1)
    after = np.full((number, number), held.next[1, 0] * other)
    after[0] = held.next[0, 1] * other
    np.fill_diagonal(after, held.next[1, 1])
    after[0, 0] = held.next[0, 0]
    first = np.full(number, (1 - UP) * other)
    first[0] = UP
    return Habit(first, after)


def bar(levels: int, seconds: float) -> Habit:
    """So many levels of a trigger, from released to full."""
    level, out = np.linspace(0, 1, levels), button(seconds).next[0, 1]
    after = np.exp(-0.5 * ((level[:, None] - level) / (FILLED * _whole(seconds))) ** 2) + 0.02
    after = STAYS * np.eye(levels) + (1 - STAYS) * _shares(after)
    after[0] = out * after[0] + (1 - out) * np.eye(levels)[0]
    after[:, 0] += 0.05
    first = np.full(levels, (1 - UP) / (levels - 1))
    first[0] = UP
    return Habit(first, _shares(after))


def _whole(seconds: float) -> float:
    """Seconds between frames that habits are worked out for: rounded, so that they are kept."""
    return round(float(np.clip(seconds, SLOWEST, FASTEST)), 4)


@functools.lru_cache(maxsize=8)
def _button(seconds: float) -> Habit:
    out, back = 1 - np.exp(-PRESSED * seconds), 1 - np.exp(-RELEASED * seconds)
    return Habit(np.array([UP, 1 - UP]), np.array([[1 - out, out], [back, 1 - back]]))


@functools.lru_cache(maxsize=8)
def _stick(seconds: float) -> Habit:
    y, x = (part.ravel() for part in np.meshgrid(AXIS, AXIS, indexing="ij"))
    number = len(x)
    apart = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    near = np.exp(-0.5 * apart / (SPEED * seconds) ** 2)
    np.fill_diagonal(near, 0)
    inside = np.where(np.hypot(x, y) <= ROUND, 1.0, BEYOND)
    near = _shares(near * inside)
    anywhere = _shares(inside[None])
    stays = np.exp(-MOVED_ON * seconds)
    moves = max(1 - stays - FLICKED, FLICKED)
    after = _shares(stays * np.eye(number) + moves * near + FLICKED * anywhere)
    home = 1 - np.exp(-LET_GO * seconds)
    after *= 1 - home
    after[:, REST] += home
    out = 1 - np.exp(-PUSHED * seconds)
    pushed = (1 - TO_ANYWHERE) * near[REST] + TO_ANYWHERE * anywhere[0]
    after[REST] = out * pushed
    after[REST, REST] += 1 - out
    first = np.full(number, (1 - AT_REST) / number)
    first[REST] += AT_REST
    return Habit(first, _shares(after))


def _shares(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(-1, keepdims=True)
