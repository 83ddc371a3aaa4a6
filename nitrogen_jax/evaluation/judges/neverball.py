"""Judges of Neverball: the ball and the coins in the program's memory, and the replay's header.

The game keeps the state of a level as `struct s_vary` and its ball as `struct v_ball`, as its
published source says. They are found by what a ball is: two turned frames of three axes and, after
them, the radius. How a level ended stands in the replay that it writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.route import Route
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

REPLAY = ".neverball/Replays/Last.nbr"
HEADER, VERSION = struct.Struct("<4s5i"), 9  # magic, version, time (1/100 s), coins, status, mode
GOING_ON, TIME_OUT, GOAL, FALL = range(4)  # how a level ended
ENDINGS = ("", "time out", "goal", "fall")

BALL = "<9f3f3f3f9f3f1f"  # axes, place, velocity, spin, axes and spin of the picture, radius
RADII = (0.05, 2.0)
# Bytes from the pointer to the ball, in s_vary.
NUMBER_OF_ITEMS, ITEMS = -0x34, -0x10
ITEM, COIN = struct.Struct("<3f2i"), 1  # place, kind (0 once it was taken), worth


@dataclass(frozen=True)
class State:
    """Attributes:
    x, y, z: of the ball, in metres; y up, most levels begin towards -z.
    velocity: (3,) m/s.
    coins: what the coins that were taken are worth.
    ended: how, one of the numbers above.
    """

    x: float
    y: float
    z: float
    velocity: tuple[float, float, float]
    coins: int
    ended: int


class Level:
    """Reads a level that is played; made at its start."""

    def __init__(self, env: PadEnv):
        self._pid = session_of(env).game_pid
        self._replay = Path(session_of(env).home) / REPLAY
        with Memory(self._pid) as memory:
            self.place = find_ball(memory)
            self._worth = worth_of_coins(memory, self.place)

    def read(self) -> State:
        """What is now."""
        with Memory(self._pid) as memory:
            _, place, velocity, _ = ball(memory, memory.pointer(self.place))
            coins = self._worth - worth_of_coins(memory, self.place)
        return State(*place, velocity, coins, ending(self._replay))


def ball(memory: Memory, address: int) -> tuple[tuple, tuple, tuple, float]:
    """Axes (9), place (3), velocity (3) and radius of the ball at an address."""
    told = memory.unpack(address, BALL)
    return told[:9], told[9:12], told[12:15], told[30]


def find_ball(memory: Memory) -> int:
    """Where the program keeps the pointer to its ball; NitrogenError where that is not found."""
    own = [region for region in memory.program() if "w" in region.rights]
    heap = [region for region in memory.regions() if region.name == "[heap]"]
    found = []
    for region in own:
        words = np.frombuffer(memory.bytes(region.begin, region.end - region.begin), "<u8")
        for part in heap:
            size = struct.calcsize(BALL)
            inside = (words >= part.begin) & (words < part.end - size)
            for index in np.flatnonzero(inside):
                if _is_ball(memory.unpack(int(words[index]), BALL)):
                    found.append(region.begin + 8 * int(index))
    if not found:
        raise NitrogenError("no ball is in the memory: this build of Neverball cannot be judged")
    # The picture's ball comes first, and that of the rules after it.
    return found[-1]


def _is_ball(told: tuple) -> bool:
    values = np.array(told)
    if not np.all(np.isfinite(values)) or not RADII[0] < values[30] < RADII[1]:
        return False
    if np.abs(values[9:18]).max() > 1e4:
        return False
    frames = values[:9].reshape(3, 3), values[18:27].reshape(3, 3)
    return all(np.abs(one @ one.T - np.eye(3)).max() < 1e-3 for one in frames)


def items(memory: Memory, place: int) -> list[tuple[float, float, float, int, int]]:
    """x, y, z, kind and worth of all that lies about."""
    (number,) = memory.unpack(place + NUMBER_OF_ITEMS, "<i")
    block = memory.bytes(memory.pointer(place + ITEMS), number * ITEM.size)
    return list(ITEM.iter_unpack(block))


def worth_of_coins(memory: Memory, place: int) -> int:
    """Of all coins that still lie there."""
    return sum(worth for *_, kind, worth in items(memory, place) if kind == COIN)


def ending(replay: Path) -> int:
    """How the level of a replay ended; it is written at the end, and has no time before."""
    try:
        block = replay.read_bytes()[: HEADER.size]
    except OSError:
        return GOING_ON
    if len(block) < HEADER.size:
        return GOING_ON
    _, version, time, _, status, _ = HEADER.unpack(block)
    if version != VERSION:
        raise NitrogenError(f"the replay is of version {version}, where {VERSION} can be read")
    return status if time > 0 and status in (TIME_OUT, GOAL, FALL) else GOING_ON


class Rolls:
    """Judges by how much of the goal is done, 0 to 1; at 1 it is reached. To fall is failure.

    Args:
        done: given what is now.
    """

    def __init__(self, done: Callable[[State], float]):
        self._done, self._best = done, 0.0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._level = Level(env)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        now = self._level.read()
        self._best = max(self._best, min(1.0, self._done(now)))
        success = True if self._best >= 1 else None
        if success is None and now.ended != GOING_ON:
            success = False
        facts = {"x": now.x, "z": now.z, "coins": float(now.coins), "ended": ENDINGS[now.ended]}
        return Verdict(success, self._best, facts)


def coins(needed: int) -> Rolls:
    """To take coins that are worth so much."""
    return Rolls(lambda now: now.coins / needed)


def goal(needed: int) -> Rolls:
    """To roll into the goal, which so many coins open: they are most of the way."""
    return Rolls(lambda now: 1.0 if now.ended == GOAL else 0.9 * min(1.0, now.coins / needed))


def along(route: Route) -> Rolls:
    """To follow a route (x, z) to its end."""
    walked = route.walk()
    return Rolls(lambda now: walked(now.x, now.z))
