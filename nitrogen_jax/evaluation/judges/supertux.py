"""Judges of SuperTux: its exit code, and where Tux is, read from the program's memory.

A level that is finished ends the program with code 0; one that is lost begins again. With START
and BACK masked nothing else ends it. Tux is found by what C++ keeps of the names of classes, so
that no addresses of a certain build are needed: the name leads to the class, and that to Tux.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import EXITED, PadEnv

CLASS = b"\0006Player\0"  # the mangled name of the class
WIDTHS, HEIGHTS = (30.0, 36.0), (28.0, 66.0)  # that Tux can have, in pixels
BOX = range(64, 512, 4)  # bytes of the object in which his box is looked for: x, y, width, height
FARTHEST = 1e5  # pixels: no level is as large
LOOK_S = 1.0  # game time between looks for a new Tux, where the one that is known rests


def class_of(memory: Memory) -> int:
    """The address by which all objects of the class begin (that of its virtual functions)."""
    own = memory.program()

    def pointers(to: int) -> list[int]:
        return list(memory.find(struct.pack("<Q", to), own, 8))

    names = [place + 1 for place in memory.find(CLASS, own, 1)]
    kinds = [place - 8 for name in names for place in pointers(name)]
    # Before the functions stand the kind, and how far into the object they are: not at all.
    found = [place + 8 for kind in kinds for place in pointers(kind) if _first(memory, place)]
    if len(found) != 1:
        raise NitrogenError(
            f"the program has {len(found)} classes for the player, where one is needed: this "
            "build of SuperTux cannot be judged"
        )
    return found[0]


def _first(memory: Memory, place: int) -> bool:
    return memory.pointer(place - 8) == 0


def find_tux(memory: Memory, functions: int) -> tuple[int, int] | None:
    """The addresses of Tux and of his box, see `box`; None while there is none."""
    heap = [region for region in memory.regions() if region.name == "[heap]"]
    for place in memory.find(struct.pack("<Q", functions), heap, 8):
        for offset in BOX:
            if _is_box(*memory.unpack(place + offset, "<4f")):
                return place, place + offset
    return None


def _is_box(x: float, y: float, width: float, height: float) -> bool:
    sized = WIDTHS[0] < width < WIDTHS[1] and HEIGHTS[0] < height < HEIGHTS[1]
    return sized and max(abs(x), abs(y)) < FARTHEST


class Finish:
    """Success is to reach `goal` (pixels from the level's left edge), or to finish the level.

    Args:
        goal: None where the level is to be finished.
        far: where progress is 1: the x at which the level ends, or the goal.
    """

    def __init__(self, far: float, goal: float | None = None):
        self._far, self._goal = far, goal
        self._best, self._looked, self._x = 0.0, 0.0, 0.0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        with Memory(session_of(env).game_pid) as memory:
            self._functions = class_of(memory)
            self._tux = find_tux(memory, self._functions)
            if self._tux is None:
                raise NitrogenError("Tux is nowhere in the memory of SuperTux: it cannot be judged")
            self._start = self._x = memory.unpack(self._tux[1], "<f")[0]

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        if info["reason"] == EXITED:
            done = info["exit_code"] == 0
            self._best = 1.0 if done else self._best
            return Verdict(done, self._best, {"x": self._x, "finished": float(done)})
        self._x = self._where(env, info["time"])
        self._best = max(self._best, (self._x - self._start) / (self._far - self._start))
        self._best = min(self._best, 1.0)
        success = True if self._goal is not None and self._x >= self._goal else None
        return Verdict(success, self._best, {"x": self._x, "finished": 0.0})

    def _where(self, env: PadEnv, time: float) -> float:
        """His x; the last one where he is nowhere, as between his end and a new beginning."""
        with Memory(session_of(env).game_pid) as memory:
            x = self._read(memory)
            # Who rests may be gone, and his memory not used again yet.
            if x in (None, self._x) and time >= self._looked + LOOK_S:
                self._looked = time
                self._tux = find_tux(memory, self._functions)
                x = self._read(memory)
        return self._x if x is None else x

    def _read(self, memory: Memory) -> float | None:
        if self._tux is None:
            return None
        try:
            alive = memory.pointer(self._tux[0]) == self._functions
            box = memory.unpack(self._tux[1], "<4f")
        except NitrogenError:  # the memory was given back
            return None
        return box[0] if alive and _is_box(*box) else None
