"""Scripted players of Procgen's games, by what a game knows of its level; y is up here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters.procgen import LevelState, ProcgenEnv
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

SPACE = 100  # the type of an empty cell
FOUR = ((1, 0), (-1, 0), (0, 1), (0, -1))
Cell = tuple[int, int]  # x, y


def push(x: float, y: float, *buttons: str) -> Pad:
    """A pad () that is pushed somewhere, y up."""
    return Press(1.0, buttons, (x, -y)).pad


def known(env: PadEnv) -> LevelState:
    """What the game knows."""
    assert isinstance(env, ProcgenEnv)
    return env.level_state()


def cell(state: LevelState) -> Cell:
    """Where the player is."""
    return int(state.entities[0].x), int(state.entities[0].y)


def steps_to(goals: set[Cell], free: Callable[[Cell], bool], size: tuple[int, int]) -> np.ndarray:
    """How many steps it is to the nearest goal.

    Args:
        goals: which are entered whether they are free or not.
        free: whether a cell can be entered.
        size: (width, height).

    Returns:
        (height, width) float, inf where there is no way.
    """
    found = np.full(size[::-1], np.inf)
    queue = deque(goals)
    for x, y in goals:
        found[y, x] = 0
    while queue:
        x, y = queue.popleft()
        for step in FOUR:
            near = x + step[0], y + step[1]
            inside = 0 <= near[0] < size[0] and 0 <= near[1] < size[1]
            if inside and np.isinf(found[near[1], near[0]]) and free(near):
                found[near[1], near[0]] = found[y, x] + 1
                queue.append(near)
    return found


def next_step(found: np.ndarray, at: Cell) -> Cell:
    """The step (x, y) from a cell towards the goal; (0, 0) where there is none."""
    height, width = found.shape

    def after(step: Cell) -> float:
        x, y = at[0] + step[0], at[1] + step[1]
        return found[y, x] if 0 <= x < width and 0 <= y < height else np.inf

    best = min(FOUR, key=after)
    return best if np.isfinite(after(best)) else (0, 0)


MAZE_CHEESE = 2


def maze_steps(state: LevelState) -> np.ndarray:
    """How many steps it is to the cheese."""
    goals = {(int(x), int(y)) for y, x in np.argwhere(state.cells == MAZE_CHEESE)}
    return steps_to(goals, lambda at: state.cells[at[1], at[0]] == SPACE, state.cells.shape[::-1])


def maze(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """The shortest way to the cheese."""
    while True:
        state = known(env)
        yield push(*next_step(maze_steps(state), cell(state)))


HEIST_LOCK, HEIST_KEY, HEIST_GEM = 1, 2, 9


def heist(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """To the keys that can be reached, then to the locks that they open, then to the gem."""
    while True:
        state = known(env)
        kinds = {
            kind: {(int(one.x), int(one.y)) for one in state.entities if one.kind == kind}
            for kind in (HEIST_LOCK, HEIST_KEY, HEIST_GEM)
        }
        at, size = cell(state), state.cells.shape[::-1]

        def free(place: Cell, cells=state.cells, locks=kinds[HEIST_LOCK]) -> bool:
            return cells[place[1], place[0]] == SPACE and place not in locks

        for kind in (HEIST_GEM, HEIST_KEY, HEIST_LOCK):
            found = steps_to(kinds[kind], free, size)
            step = next_step(found, at)
            if kinds[kind] and step != (0, 0):
                break
        yield _along(state, step)


def _along(state: LevelState, step: Cell) -> Pad:
    """A step of a player who moves by less than a cell, and must be in the middle to turn."""
    player = state.entities[0]
    off_x, off_y = player.x % 1 - 0.5, player.y % 1 - 0.5
    if step[0] and abs(off_y) > 0.12:
        return push(0, -np.sign(off_y))
    if step[1] and abs(off_x) > 0.12:
        return push(-np.sign(off_x), 0)
    return push(*step)
