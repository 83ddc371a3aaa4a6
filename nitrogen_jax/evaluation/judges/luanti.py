"""Luanti: what its log tells of the player, who digs, places and walks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

NUMBER = r"(-?\d+(?:\.\d+)?)"
PLACE = rf"\({NUMBER},{NUMBER},{NUMBER}\)"
LINE = re.compile(rf"(\d\S+ \S+): ACTION\[Server\]: nitrogen (digs|places node) (\S+) at {PLACE}")
IS_AT = re.compile(rf"ACTION\[Server\]: nitrogen is at {PLACE} turned {NUMBER} {NUMBER}")

Cell = tuple[int, int, int]
Deed = tuple[str, str, Cell]


class Told(NamedTuple):
    """What one look at the log tells.

    Attributes:
        dug, placed: (when, what, where) in order.
        place: (3,) of the player, the second number upwards, in metres; None before the first.
        turned: radians to the left of the third axis, and down.
    """

    dug: list[Deed]
    placed: list[Deed]
    place: np.ndarray | None
    turned: tuple[float, float]


def read(text: str) -> Told:
    """What a log, or the end of one, tells."""
    dug: list[Deed] = []
    placed: list[Deed] = []
    for when, kind, what, x, y, z in LINE.findall(text):
        cell = (int(float(x)), int(float(y)), int(float(z)))
        (dug if kind == "digs" else placed).append((when, what, cell))
    found = IS_AT.findall(text)
    if not found:
        return Told(dug, placed, None, (0.0, 0.0))
    x, y, z, left, down = (float(number) for number in found[-1])
    return Told(dug, placed, np.array((x, y, z)), (left, down))


class Diary:
    """Everything that was told since the reset, though the log keeps only its end."""

    def __init__(self, env: PadEnv):
        self._session = session_of(env)
        self._dug: dict[Deed, None] = {}
        self._placed: dict[Deed, None] = {}

    def look(self) -> Told:
        """What was told until now; the same at the same place counts once in a second."""
        told = read(self._session.log_text())
        self._dug.update(dict.fromkeys(told.dug))
        self._placed.update(dict.fromkeys(told.placed))
        return told._replace(dug=list(self._dug), placed=list(self._placed))


@dataclass
class Deeds:
    """Success once so much was done.

    Attributes:
        number: what counts, of what was told and where the player was at the start.
        needed: how much of it.
        name: of it, for `facts`.
    """

    number: Callable[[Told, np.ndarray], float]
    needed: float
    name: str

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._diary = Diary(env)
        self._start = self._diary.look().place

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        told = self._diary.look()
        if self._start is None:
            self._start = told.place
        if self._start is None:
            return Verdict(None, 0.0, {self.name: 0.0})
        done = self.number(told, self._start)
        progress = min(1.0, max(0.0, done / self.needed))
        return Verdict(True if done >= self.needed else None, progress, {self.name: done})


def dug(told: Told, start: np.ndarray) -> float:
    """Blocks that were dug."""
    return float(len(told.dug))


def placed(told: Told, start: np.ndarray) -> float:
    """Blocks that were placed."""
    return float(len(told.placed))


def depth(told: Told, start: np.ndarray) -> float:
    """How far below the ground at the start a block was dug, the ground's own being 1."""
    # The player stands half a block above the middle of the ground.
    ground = round(float(start[1]) - 0.5)
    return float(max((ground + 1 - cell[1] for _, _, cell in told.dug), default=0))


def walked(told: Told, start: np.ndarray) -> float:
    """Metres from the start, straight and level."""
    assert told.place is not None
    return round(float(np.hypot(*(told.place - start)[[0, 2]])), 1)
