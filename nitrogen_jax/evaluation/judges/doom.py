"""Judges of games on Chocolate Doom, from the engine's own record of the player (`player_t`).

Where that record lies differs from build to build, so it is looked for at the start of each
episode: it is the only place in the program with a new player's ammunition, health and weapons,
whose pointer to the body is answered by the body's pointer back. The layout is that of Doom's
published source on a 64-bit machine.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.route import Route
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

# What a new player has: bullets, shells, cells, rockets, and the most of each.
AMMO = struct.pack("<8i", 50, 0, 0, 0, 200, 50, 300, 50)
# Bytes from the ammunition to other fields of player_t.
HEALTH, ARMOR, BODY, WEAPONS, KILLS, ITEMS, SECRETS = -124, -120, -168, -36, 48, 52, 56
FIST_AND_PISTOL = (1, 1, 0, 0, 0, 0, 0, 0, 0)
# Bytes from the begin of a body, mobj_t. Places are whole numbers of 1/65536 map unit.
PLACE, ANGLE, BODY_HEALTH, PLAYER = 24, 56, 164, 192
FIXED = 65536.0


@dataclass(frozen=True)
class Person:
    """The player, as the engine keeps it.

    Attributes:
        x, y: in map units, x to the east and y to the north.
        angle: that it looks along, radians, 0 to the east, counted to the north.
    """

    health: int
    armor: int
    kills: int
    items: int
    secrets: int
    x: float
    y: float
    angle: float


def find_player(memory: Memory) -> int:
    """The address of the player's ammunition, at the start of a level; see above."""
    found = [
        place for place in memory.find(AMMO, memory.program()) if _is_new_player(memory, place)
    ]
    if len(found) != 1:
        raise NitrogenError(
            f"{len(found)} records in the memory of the game look like a new player's, where "
            "one is needed: this build of Chocolate Doom cannot be judged"
        )
    return found[0]


def _is_new_player(memory: Memory, place: int) -> bool:
    try:
        if memory.unpack(place + WEAPONS, "<9i") != FIST_AND_PISTOL:
            return False
        body = memory.pointer(place + BODY)
        health = memory.unpack(place + HEALTH, "<i") + memory.unpack(body + BODY_HEALTH, "<i")
        return health == (100, 100) and memory.pointer(body + PLAYER) == place + BODY
    except NitrogenError:
        return False


def read_player(memory: Memory, place: int) -> Person:
    """The player now, whose ammunition lies at `place`."""
    health, armor = memory.unpack(place + HEALTH, "<2i")
    kills, items, secrets = memory.unpack(place + KILLS, "<3i")
    body = memory.pointer(place + BODY)
    x, y = memory.unpack(body + PLACE, "<2i")
    (angle,) = memory.unpack(body + ANGLE, "<I")
    turn = angle / 2**32 * math.tau
    return Person(health, armor, kills, items, secrets, x / FIXED, y / FIXED, turn)


@dataclass
class Doom:
    """Judges by the player's record: `done` of it from 0 to 1, at 1 the goal; death is failure.

    Attributes:
        done: how much of the goal, given the player now and at the start.
        facts: what of the player is told.
    """

    done: Callable[[Person, Person], float]
    facts: Callable[[Person], Mapping[str, float]]
    _best: float = field(default=0.0, init=False)

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        with Memory(session_of(env).game_pid) as memory:
            self._place = find_player(memory)
            self._first = read_player(memory, self._place)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        with Memory(session_of(env).game_pid) as memory:
            return self.verdict(read_player(memory, self._place))

    def verdict(self, now: Person) -> Verdict:
        """Of what the player is now; death is a failure, whatever was done."""
        self._best = max(self._best, min(1.0, self.done(now, self._first)))
        success = False if now.health <= 0 else (True if self._best >= 1 else None)
        return Verdict(success, self._best, {**self.facts(now), "health": float(now.health)})


def counts(name: str, needed: int) -> Doom:
    """A judge of how many `kills`, `items` or `secrets` the game has counted."""

    def number(person: Person) -> float:
        return float(getattr(person, name))

    return Doom(
        lambda now, first: (number(now) - number(first)) / needed, lambda now: {name: number(now)}
    )


def walks(route: Route) -> Doom:
    """A judge of how far along a route the player has come."""
    walked = route.walk()
    return Doom(lambda now, first: walked(now.x, now.y), lambda now: {"x": now.x, "y": now.y})
