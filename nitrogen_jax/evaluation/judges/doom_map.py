"""How far it is to walk from everywhere to one place of a Doom map, from the map's own walls."""

from __future__ import annotations

import heapq
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.wad import lumps

CELL = 16  # map units of a cell's side
BLOCK = re.compile(r"(\w+)[^{}]*\{([^{}]*)\}")
FIELD = re.compile(r"(\w+)\s*=\s*([^;]+);")
STEPS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


@dataclass(frozen=True, eq=False)
class Ways:
    """The ways to one place.

    Attributes:
        corner: x and y of the lowest corner of the map, in map units.
        length: (rows, columns) float, map units to walk from each cell, inf where there is no way.
    """

    corner: tuple[float, float]
    length: np.ndarray

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """The cell of a place: the nearest one, of those around it, from which there is a way."""
        rows, columns = self.length.shape
        at = int((y - self.corner[1]) // CELL), int((x - self.corner[0]) // CELL)
        around = sorted(((0, 0), *STEPS), key=lambda step: step[0] ** 2 + step[1] ** 2)
        for row, column in ((at[0] + step[0], at[1] + step[1]) for step in around):
            if 0 <= row < rows and 0 <= column < columns and np.isfinite(self.length[row, column]):
                return row, column
        raise NitrogenError(f"there is no way from x {x:g}, y {y:g} of the map")

    def left(self, x: float, y: float) -> float:
        """How far it is from a place, in map units."""
        return float(self.length[self.cell(x, y)])

    def ahead(self, x: float, y: float, cells: int) -> tuple[float, float]:
        """The place that many cells further on the way from a place."""
        row, column = self.cell(x, y)
        for _ in range(cells):
            near = [(row + step[0], column + step[1]) for step in STEPS]
            row, column = min([(row, column), *near], key=lambda at: self.length[at])
        return self.corner[0] + (column + 0.5) * CELL, self.corner[1] + (row + 0.5) * CELL


def ways(wad: str | Path, goal: tuple[float, float], room: float) -> Ways:
    """The ways to a place.

    Args:
        wad: a file whose first map is in the format UDMF, as those of ViZDoom's scenarios.
        goal: x and y in map units.
        room: how far from walls a way stays, in map units.
    """
    lines = walls(text_map(wad))
    low, high = lines.reshape(-1, 2).min(0), lines.reshape(-1, 2).max(0)
    columns, rows = (math.ceil(side / CELL) for side in high - low)
    middles = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * CELL + CELL / 2 + low
    free = np.ones((rows, columns), bool)
    for start, end in lines:
        along = end - start
        share = ((middles - start) @ along / max(float(along @ along), 1e-9)).clip(0, 1)
        nearest = start + share[..., None] * along
        free &= np.hypot(*np.moveaxis(middles - nearest, -1, 0)) >= room
    # NOTE: a border that is never entered, so that neighbours need no check of their own.
    free[[0, -1]] = free[:, [0, -1]] = False
    length = np.full((rows, columns), np.inf)
    first = int((goal[1] - low[1]) // CELL), int((goal[0] - low[0]) // CELL)
    if not free[first]:
        raise NitrogenError(f"{wad}: the place {goal} of the map is nearer than {room:g} to a wall")
    length[first] = 0.0
    queue = [(0.0, first)]
    while queue:
        done, at = heapq.heappop(queue)
        for step in STEPS:
            near = at[0] + step[0], at[1] + step[1]
            far = done + CELL * math.hypot(*step)
            if free[near] and far < length[near]:
                length[near] = far
                heapq.heappush(queue, (far, near))
    return Ways((float(low[0]), float(low[1])), length)


def text_map(wad: str | Path) -> str:
    """The text of the first map of a WAD file."""
    for name, content in lumps(wad):
        if name == "TEXTMAP":
            return content.decode("latin-1")
    raise NitrogenError(f"{wad} has no map in the format UDMF")


def walls(text: str) -> np.ndarray:
    """Both ends of all lines that nobody can cross, (lines, 2, 2) float, x and y in map units."""
    text = re.sub(r"//[^\n]*", "", text)
    blocks = [(kind, dict(FIELD.findall(inside))) for kind, inside in BLOCK.findall(text)]
    corners = [(float(one["x"]), float(one["y"])) for kind, one in blocks if kind == "vertex"]
    ends = [
        [corners[int(one["v1"])], corners[int(one["v2"])]]
        for kind, one in blocks
        if kind == "linedef" and ("sideback" not in one or one.get("blocking") == "true")
    ]
    return np.array(ends, float).reshape(-1, 2, 2)
