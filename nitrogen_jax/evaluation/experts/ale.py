"""Scripted players of Atari games, by their pictures (210, 160, 3) uint8 RGB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

FAST = 3  # pixels by which a paddle may be wrong


def stick(x: float, y: float = 0.0, *buttons: str) -> Pad:
    """A pad () that is pushed somewhere, y down."""
    return Press(1.0, buttons, (x, y)).pad


def middle(picture: np.ndarray, color: tuple[int, int, int], rows: slice, columns: slice):
    """The middle (x, y) of what has a color in a part of a picture; None where nothing has it."""
    y, x = np.nonzero((picture[rows, columns] == color).all(-1))
    if not len(x):
        return None
    return float(x.mean()) + (columns.start or 0), float(y.mean()) + (rows.start or 0)


BREAKOUT_RED = (200, 72, 72)


def breakout(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Keeps the paddle where the ball comes down."""
    last = None
    for step in itertools.count():
        ball = middle(env.picture, BREAKOUT_RED, slice(95, 188), slice(8, 152))
        paddle = middle(env.picture, BREAKOUT_RED, slice(189, 193), slice(8, 152))
        if ball is None or paddle is None:
            last = None
            yield stick(0, 0, *(["SOUTH"] if step % 2 else []))
            continue
        goal = ball[0]
        if last is not None and ball[1] > last[1]:
            goal = _bounced(ball[0] + (ball[0] - last[0]) * (188 - ball[1]) / (ball[1] - last[1]))
        last, off = ball, goal - paddle[0]
        yield stick(0 if abs(off) <= FAST else np.sign(off))


def _bounced(x: float, low: float = 8.0, high: float = 151.0) -> float:
    """Where a ball is that has been thrown back by the walls."""
    wide = high - low
    along = (x - low) % (2 * wide)
    return low + (along if along <= wide else 2 * wide - along)


BOXING_WHITE, BOXING_BLACK = (214, 214, 214), (0, 0, 0)
BOXING_ROWS, BOXING_COLUMNS = slice(38, 176), slice(33, 127)


def boxing(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Goes beside the other boxer, on the same height, and hits."""
    for step in itertools.count():
        me = middle(env.picture, BOXING_WHITE, BOXING_ROWS, BOXING_COLUMNS)
        other = middle(env.picture, BOXING_BLACK, BOXING_ROWS, BOXING_COLUMNS)
        if me is None or other is None:
            yield stick(0)
            continue
        x, y = other[0] - me[0], other[1] - me[1]
        far = abs(x) - 28
        push_x = np.sign(x) if far > 3 else -np.sign(x) if far < -6 else 0
        # NOTE: an arm is beside the head: aim past the middle.
        up = y - (8 if y > 0 else -8)
        push_y = np.sign(up) if abs(up) > 4 else 0
        yield stick(push_x, push_y, *(["SOUTH"] if step % 2 else []))
