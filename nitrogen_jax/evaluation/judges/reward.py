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

    def finish(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        return self.look(env, info)
