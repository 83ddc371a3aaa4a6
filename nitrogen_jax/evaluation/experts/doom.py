"""A scripted player of Doom: walks from place to place and shoots at what it sees.

It reads the player, the monsters and the map's walls where the engine keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.judges import doom
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.judges.wad import lumps
from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

NEXT, FUNCTION, FLAGS = 8, 16, 160  # of a body, beside those of the judge
COUNTS_AS_KILL = 0x400000  # a flag of monsters
NEAR, AT_PLACE, SLOWS, PIT = 900.0, 24.0, 200.0, 100.0  # map units
# Radians: aimed well enough, no need to turn, too far for slow turns.
AIMED, STILL, FAST = math.radians(1.3), math.radians(0.9), math.radians(12)
SLOW_FRAMES = 5  # for which a turn is slow
# In frames: shooting on the way to one place, waiting for more monsters, until a door is open.
PATIENCE, CALM, OPENS = 35 * 20, 70, 35


@dataclass(frozen=True)
class Place:
    """Where to go next.

    Attributes:
        use: whether a door is to be opened there, in the direction of the place after.
        clear: whether to stay until no monster is seen from there.
    """

    x: float
    y: float
    use: bool = False
    clear: bool = False


def walls(wad: str | Path, level: str) -> np.ndarray:
    """The lines of a level that block sight, (N, 4) of x, y, x, y: walls and doors."""
    found = lumps(wad)
    first = [name for name, _ in found].index(level)
    own = dict(found[first : first + 11])
    corners = np.frombuffer(own["VERTEXES"], "<i2").reshape(-1, 2)
    lines = np.frombuffer(own["LINEDEFS"], "<i2").reshape(-1, 7)
    blocking = (lines[:, 6] == -1) | (lines[:, 3] != 0)
    return np.concatenate([corners[lines[blocking, 0]], corners[lines[blocking, 1]]], 1).astype(
        float
    )


def sees(lines: np.ndarray, a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether none of the lines (N, 4) lies between two places."""

    def side(p, q, x, y):
        return (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])

    one = side(a, b, lines[:, 0], lines[:, 1]) * side(a, b, lines[:, 2], lines[:, 3]) < 0
    begin, end = lines[:, :2].T, lines[:, 2:].T
    other = side(begin, end, *a) * side(begin, end, *b) < 0
    return not np.any(one & other)


def monsters(memory: Memory, player: int) -> list[tuple[float, float]]:
    """Where the living monsters are, from the engine's list of everything that moves.

    Those in a pit far below are left out: its edge hides them.
    """
    own = memory.pointer(player + doom.BODY)
    moves = memory.pointer(own + FUNCTION)
    (height,) = memory.unpack(own + doom.PLACE + 8, "<i")
    found, node = [], memory.pointer(own + NEXT)
    while node != own:
        if memory.pointer(node + FUNCTION) == moves:
            flags, health = memory.unpack(node + FLAGS, "<2i")
            x, y, z = (value / doom.FIXED for value in memory.unpack(node + doom.PLACE, "<3i"))
            if flags & COUNTS_AS_KILL and health > 0 and z > height / doom.FIXED - PIT:
                found.append((x, y))
        node = memory.pointer(node + NEXT)
    return found


def _aim(person: doom.Person, goal: tuple[float, float]) -> float:
    """The angle to turn by to look at a place, to the left, radians."""
    angle = math.atan2(goal[1] - person.y, goal[0] - person.x) - person.angle
    return (angle + math.pi) % math.tau - math.pi


class _Hand:
    """Turns as the engine lets one: fast, or slow in the first moments of a turn."""

    def __init__(self):
        self._held = 0

    def pad(self, turn: float, walk: float | None = None, speed: float = 1.0, *buttons: str) -> Pad:
        """Turns by an angle and walks along another, both from where the player looks."""
        rests = abs(turn) < STILL or (abs(turn) < FAST and self._held >= SLOW_FRAMES)
        self._held = 0 if rests else self._held + 1
        right = (0.0 if rests else -math.copysign(1.0, turn), 0.0)
        left = (0.0, 0.0) if walk is None else (-speed * math.sin(walk), -speed * math.cos(walk))
        return Press(1.0, buttons, left, right).pad


@dataclass
class _Visit:
    """One place, from when it is the next one until all that is to be done there is done."""

    place: Place
    after: Place
    shoots: bool
    hand: _Hand
    patience: int = PATIENCE
    calm: int = 0
    pressed: int = 0

    def step(self, person: doom.Person, seen: Sequence[tuple[float, float]]) -> Pad | None:
        here, goal = (person.x, person.y), (self.place.x, self.place.y)
        if seen and self.shoots and self.patience > 0:
            self.patience, self.calm = self.patience - 1, 0
            turn = _aim(person, min(seen, key=lambda one: math.dist(one, here)))
            return self.hand.pad(turn, None, 1.0, *(["RIGHT_TRIGGER"] if abs(turn) < AIMED else []))
        far = math.dist(here, goal)
        if far > AT_PLACE:
            walk = _aim(person, goal)
            return self.hand.pad(walk, walk, min(1.0, 0.2 + far / SLOWS))
        ahead = _aim(person, (self.after.x, self.after.y))
        if self.place.use and self.pressed < OPENS:
            self.pressed += self.pressed > 0 or abs(ahead) < FAST
            return self.hand.pad(ahead, None, 1.0, *(["SOUTH"] if self.pressed in (1, 2) else []))
        if self.place.clear and self.calm < CALM:
            self.calm += 1
            return self.hand.pad(ahead)
        return None


def goes(wad: str, places: Sequence[Place], shoots: bool = True) -> Expert:
    """A player that visits places in turn."""

    def play(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        lines = walls(wad, info["level"])
        with Memory(session_of(env).game_pid) as memory:
            player = doom.find_player(memory)
            hand = _Hand()
            for place, after in zip(places, [*places[1:], places[-1]], strict=True):
                visit = _Visit(place, after, shoots, hand)
                while True:
                    person = doom.read_player(memory, player)
                    here = (person.x, person.y)
                    seen = [
                        one
                        for one in (monsters(memory, player) if shoots else ())
                        if math.dist(one, here) < NEAR and sees(lines, here, one)
                    ]
                    pad = visit.step(person, seen)
                    if pad is None:
                        break
                    yield pad

    return play
