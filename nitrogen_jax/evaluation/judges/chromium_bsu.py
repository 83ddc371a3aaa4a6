"""Chromium B.S.U.: the hero's ships and score, from the game's memory, as its status shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nitrogen_jax.evaluation.judges.builds import known
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

PROGRAM = "chromium-bsu"


class Layout(NamedTuple):
    """Offsets: of the pointer to the hero in the program, and of what is in the hero."""

    hero: int
    ships: int
    score: int


LAYOUTS = {
    # Chromium B.S.U. 0.9.16 of Debian 12.
    "c7ef7dbd1f33bf829c99fc2368b4de4900a8b38492a7da38ed21222b1ae1ab69": Layout(0x568A0, 188, 244)
}


class Hero(NamedTuple):
    """Ships that are left beside the one that flies, and points."""

    ships: int
    score: float


class Reader:
    """Reads the hero of a running game; made after each reset."""

    def __init__(self, env: PadEnv):
        self._pid = session_of(env).game_pid
        with Memory(self._pid) as memory:
            base, self._at = known(memory, PROGRAM, LAYOUTS)
            self._hero = memory.pointer(base + self._at.hero)

    def hero(self) -> Hero:
        """How the hero stands now."""
        with Memory(self._pid) as memory:
            (ships,) = memory.unpack(self._hero + self._at.ships, "<i")
            (score,) = memory.unpack(self._hero + self._at.score, "<f")
        return Hero(ships, score)


@dataclass
class Unharmed:
    """Failure as soon as a ship is lost, by what hits it or by an enemy that gets past it.

    Attributes:
        seconds: for which none may be lost; then it is a success.
        points: if given it is these that are needed instead, before a ship is lost.
    """

    seconds: float = 0.0
    points: float = 0.0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._reader = Reader(env)
        self._first = self._reader.hero()
        self._progress = 0.0

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        hero = self._reader.hero()
        facts = {"ships": float(hero.ships), "score": float(hero.score)}
        if hero.ships < self._first.ships:
            return Verdict(False, min(self._progress, 0.99), facts)
        done = hero.score - self._first.score if self.points else info["time"]
        self._progress = min(1.0, max(0.0, done / (self.points or self.seconds)))
        return Verdict(True if self._progress == 1 else None, self._progress, facts)
