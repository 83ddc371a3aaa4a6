"""Digs, builds and walks in Luanti by what its log tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.judges.luanti import Diary
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

SLOPE = 0.9  # radians down to a block that can be reached and is not below one's own feet
STUCK = 0.5  # metres in a second, less than which one has run into something


def dig_down(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Looks straight down and digs on and on."""
    for _ in range(_steps(env, 1.5)):
        yield Press(1.0, right=(0, 1)).pad
    while True:
        yield Press(1.0, ("RIGHT_TRIGGER",)).pad


def dig_around(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Digs a block before its feet, turns a little, digs the next one."""
    diary = Diary(env)
    while True:
        yield from _look_down(env, diary)
        before = len(diary.look().dug)
        for _ in range(_steps(env, 2.5)):
            yield Press(1.0, ("RIGHT_TRIGGER",)).pad
            if len(diary.look().dug) > before:
                break
        for _ in range(_steps(env, 0.4)):
            yield Press(1.0, right=(0.6, 0)).pad


def build(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Digs a block before its feet and puts it back, again and again."""
    diary = Diary(env)
    while True:
        yield from _look_down(env, diary)
        told = diary.look()
        if len(told.dug) <= len(told.placed):
            yield Press(1.0, ("RIGHT_TRIGGER",)).pad
        else:
            for buttons, seconds in (((), 0.3), (("LEFT_TRIGGER",), 0.1), ((), 0.6)):
                for _ in range(_steps(env, seconds)):
                    yield Press(1.0, buttons).pad


def _look_down(env: PadEnv, diary: Diary) -> Iterator[Pad]:
    """Until a block before the feet is looked at."""
    while abs(off := SLOPE - diary.look().turned[1]) > 0.15:
        # What is told is up to 0.2 s old: a little, then a look.
        for _ in range(_steps(env, 0.1)):
            yield Press(1.0, right=(0, float(np.clip(off, -0.4, 0.4)))).pad
        for _ in range(_steps(env, 0.4)):
            yield Press(1.0).pad


def walk(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Walks ahead and jumps; turns away from what stops it."""
    diary, rng = Diary(env), np.random.default_rng(seed)
    before = diary.look().place
    while True:
        for step in range(_steps(env, 1.0)):
            yield Press(1.0, ("SOUTH",) if step % 2 else (), left=(0, -1)).pad
        place = diary.look().place
        if before is not None and place is not None and np.linalg.norm(place - before) < STUCK:
            side = float(rng.choice((-1, 1)))
            for _ in range(_steps(env, float(rng.uniform(0.5, 1.5)))):
                yield Press(1.0, right=(side, 0)).pad
        before = place


def _steps(env: PadEnv, seconds: float) -> int:
    return max(1, round(seconds * env.fps / env.frame_skip))
