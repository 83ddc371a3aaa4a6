"""Players that look at no picture: the baselines, scripted experts, recorded pads; without JAX."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.rollout import RESTING, Player
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import actions, play
from nitrogen_jax.sim.pad_env import PadEnv

BASELINES = ("idle", "random", "hold", "expert")


@dataclass
class Baseline:
    """One of BASELINES, for one task."""

    task: Task
    kind: str
    _pads: Iterator[Pad] = field(init=False, repr=False)
    _info: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self):
        if self.kind not in BASELINES:
            raise NitrogenError(f"{self.kind!r} is none of {', '.join(BASELINES)}")
        if self.kind == "expert" and self.task.expert is None:
            raise NitrogenError(f"task {self.task.name} has no expert")

    def begin(self, env: PadEnv, info: Mapping[str, Any], seed: int) -> None:
        rate = env.fps / env.frame_skip
        self._info = dict(info)
        if self.kind == "idle":
            self._pads = itertools.repeat(RESTING)
        elif self.kind == "random":
            self._pads = play.chance(rate, seed)
        elif self.kind == "hold":
            self._pads = play.over_and_over(self.task.hold, rate)
        else:
            assert self.task.expert is not None
            self._pads = self.task.expert(env, self._info, seed)

    def step(self, frame: np.ndarray, info: Mapping[str, Any]) -> Pad:
        # The expert's generator holds on to this mapping.
        self._info.update(info)
        return next(self._pads)


class Recorded:
    """Pads (N,) that were recorded."""

    def __init__(self, pads: Pad | str | Path):
        self._recorded = pads if isinstance(pads, Pad) else actions.read(pads)

    def begin(self, env: PadEnv, info: Mapping[str, Any], seed: int) -> None:
        self._left = play.each(self._recorded)

    def step(self, frame: np.ndarray, info: Mapping[str, Any]) -> Pad:
        return next(self._left)


def baseline(task: Task, kind: str) -> Player:
    """A baseline's player; NitrogenError where the task has none."""
    return Baseline(task, kind)
