"""Slides down a hill of Extreme Tux Racer by what its memory tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.judges.etr import Race, Reader
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

COURSE = Path("/usr/share/games/etr/courses/default/bunny_hill/items.lst")
ITEM = re.compile(r"\[name\](\w+)\[x\]([\d.]+)\[z\]([\d.]+).*\[diam\]([\d.]+)")
POINTS, SIZE = np.array([90, 260]), np.array([90.0, 520.0])  # of its map, and in metres
TREES = ("tree", "tree_barren")  # what one runs into
WIDTH = (8.0, 82.0)  # metres that are free of the fences
PADDLES = 15.0  # metres a second, above which paddling brakes
AHEAD = 35.0  # metres that it looks ahead
NEAREST = 6.0  # metres within which nothing can be steered any more
ROOM = 1.2  # metres between Tux's middle and a tree's rim
OFF = 0.4  # metres a second aside that need no steering


def slide(x: float):
    """An expert that slides down fast, between the trees, near a line at x metres from the left."""

    def play(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        reader, trees = Reader(env), course(*TREES)
        while True:
            race = reader.race()
            yield _towards(race, _free(race, trees, x), AHEAD)

    return play


def herring(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Steers for one herring after the other, leaving out those that are too far aside."""
    reader, trees, fish = Reader(env), course(*TREES), course("herring")
    while True:
        race = reader.race()
        ahead = fish[fish[:, 1] > race.way + 1]
        near = ahead[np.abs(ahead[:, 0] - race.x) < 2 + 0.5 * (ahead[:, 1] - race.way)]
        if len(near) and near[0, 1] - race.way < AHEAD:
            yield _towards(race, near[0, 0], near[0, 1] - race.way)
        else:
            yield _towards(race, _free(race, trees, near[0, 0] if len(near) else 45.0), AHEAD)


def course(*names: str) -> np.ndarray:
    """Things of these names: (N, 3) of x, metres downhill and diameter, from the start on."""
    found = ITEM.findall(COURSE.read_text(errors="replace"))
    rows = [[float(number) for number in numbers] for name, *numbers in found if name in names]
    # The list counts the points of the map of heights, from its other end.
    table = np.array(rows)
    table[:, :2] = (POINTS - table[:, :2]) / (POINTS - 1) * SIZE
    return table[np.argsort(table[:, 1])]


def _free(race: Race, trees: np.ndarray, wish: float) -> float:
    """Where to be `AHEAD` metres further down so that no tree is met; near `wish`."""
    away = trees[:, 1] - race.way
    near = trees[(away > 0) & (away < AHEAD)]
    goals = np.arange(WIDTH[0], WIDTH[1], 1.0)
    share = (near[:, 1] - race.way) / AHEAD
    lines = race.x + (goals[:, None] - race.x) * share  # (goals, trees)
    meets = np.abs(lines - near[:, 0]) < near[:, 2] / 2 + ROOM
    # Nearer trees are worse; those that cannot be missed any more do not count.
    bad = np.where(meets, 1.5 - share, 0.0).max(1, initial=0.0) * 100
    return float(goals[np.argmin(bad + np.abs(goals - wish) * 0.3 + np.abs(goals - race.x) * 0.5)])


def _towards(race: Race, x: float, far: float) -> Pad:
    """Steers so that the line through here and now meets x so many metres further down."""
    speed = max(race.speed_way, 1.0)
    wanted = (x - race.x) / max(far, NEAREST) * speed
    more = wanted - race.speed_x
    side = 0.0 if abs(more) < OFF else float(np.sign(more))
    return Press(1.0, left=(side, -0.7 if np.hypot(speed, race.speed_x) < PADDLES else 0.0)).pad
