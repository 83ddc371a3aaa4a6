"""Judges for games that tell their own rewards and variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv


@dataclass
class Told:
    """Judges by one number that `info` tells: success as soon as it reaches `needed`.

    Attributes:
        number: what counts, from `info`.
        needed: how much of it, more than at the start.
        name: of the number, for `facts`.
    """

    number: Callable[[Mapping[str, Any]], float]
    needed: float
    name: str = "score"

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._first = self.number(info)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        done = self.number(info) - self._first
        progress = min(1.0, max(0.0, done / self.needed))
        return Verdict(True if done >= self.needed else None, progress, {self.name: float(done)})


@dataclass
class Goal:
    """Judges by a goal that is reached or not, and by how much is left to do until there.

    Attributes:
        reached: whether it is reached, from `info`.
        left: how much is still to be done, in any unit; it need not be 0 at the goal.
        name: of what is left, for `facts`.
    """

    reached: Callable[[PadEnv, Mapping[str, Any]], bool]
    left: Callable[[PadEnv, Mapping[str, Any]], float]
    name: str = "left"

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._first = self._least = self.left(env, info)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        self._least = min(self._least, self.left(env, info))
        facts = {f"least {self.name}": float(self._least)}
        if self.reached(env, info):
            return Verdict(True, 1.0, facts)
        done = 1 - self._least / self._first if self._first > 0 else 0.0
        return Verdict(None, min(1.0, max(0.0, done)), facts)


@dataclass
class Lasting:
    """Judges by the time for which a player lasts; who is lost before has failed.

    Attributes:
        seconds: of game time.
        lost: whether the player is lost, from `info`.
    """

    seconds: float
    lost: Callable[[Mapping[str, Any]], bool]

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._lasted = 0.0

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        lost = self.lost(info)
        if not lost:
            self._lasted = info["time"]
        progress = min(1.0, self._lasted / self.seconds)
        facts = {"seconds": float(self._lasted)}
        if lost:
            return Verdict(False, progress, facts)
        return Verdict(True if self._lasted >= self.seconds else None, progress, facts)
