"""Scripted players of Procgen's games, by what a game knows of its level; y is up here."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters.procgen import Entity, LevelState, ProcgenEnv
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
    """To the gem, or to a key that can be reached, or to a lock whose key was found."""
    while True:
        state = known(env)
        things = [one for one in state.entities if one.kind in (HEIST_LOCK, HEIST_KEY, HEIST_GEM)]
        missing = {one.theme for one in things if one.kind == HEIST_KEY}
        goals: dict[int, set[Cell]] = {HEIST_GEM: set(), HEIST_KEY: set(), HEIST_LOCK: set()}
        shut = set()
        for one in things:
            place = int(one.x), int(one.y)
            if one.kind != HEIST_LOCK or one.theme not in missing:
                goals[one.kind].add(place)
            if one.kind == HEIST_LOCK:
                shut.add(place)

        def free(place: Cell, cells=state.cells, shut=shut) -> bool:
            return cells[place[1], place[0]] == SPACE and place not in shut

        at, size = cell(state), state.cells.shape[::-1]
        ways = (next_step(steps_to(places, free, size), at) for places in goals.values())
        yield _along(state, next((step for step in ways if step != (0, 0)), (0, 0)))


def _along(state: LevelState, step: Cell) -> Pad:
    """A step of a player who slides, and fits through a way only in the middle of it."""
    player = state.entities[0]
    off = player.x % 1 - 0.5, player.y % 1 - 0.5
    speed = player.speed_x, player.speed_y
    # NOTE: towards the middle of the way where that is not where it slides to by itself.
    back = [0.0 if abs(o + s) < 0.1 else -np.sign(o) for o, s in zip(off, speed, strict=True)]
    if step[0]:
        return push(step[0] if abs(off[1]) < 0.2 else 0, 0 if abs(off[1]) < 0.05 else back[1])
    return push(0 if abs(off[0]) < 0.05 else back[0], step[1] if abs(off[0]) < 0.2 else 0)


WAYS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
SOON, PACE, MARGIN = 10, 0.5, 0.35  # frames ahead, cells a frame, cells to keep off


def pilot(threats: Collection[int], targets: Collection[int], axis: str) -> Expert:
    """An expert that keeps clear of threats, else lines up with a target; fires every other frame.

    Args:
        threats: the types of what must not be touched.
        targets: the types of what is to be shot.
        axis: along which it lines up, "x" where shots fly up and "y" where they fly right.
    """

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        for step in itertools.count():
            state = known(env)
            me, things = state.entities[0], state.entities[1:]
            near = [one for one in things if one.kind in threats]
            aims = [one for one in things if one.kind in targets]
            if axis == "y":
                aims = [one for one in aims if one.x > me.x]
            aim = min(aims, key=lambda one: math.dist((one.x, one.y), (me.x, me.y)), default=me)
            goal = float(getattr(aim, axis) + 3 * getattr(aim, f"speed_{axis}"))
            size = state.cells.shape[::-1]

            def cost(way: Cell, me=me, near=near, goal=goal, size=size) -> tuple[float, float]:
                after = getattr(me, axis) + way["xy".index(axis)]
                return round(_danger(me, way, near, size), 3), abs(after - goal)

            best = min(WAYS, key=cost)
            calm = cost((0, 0))[0] == 0
            fires = step % 2 == 0 and (calm or best == (0, 0))
            yield push(0, 0, "SOUTH") if fires else push(*best)

    return expert


def _danger(me: Entity, way: Cell, near: Sequence[Entity], size: tuple[int, int]) -> float:
    """How bad it is to go somewhere, by what would be touched, the sooner the worse."""
    total = 0.0
    for frame in range(1, SOON + 1):
        x = min(max(me.x + way[0] * PACE * frame, 1.0), size[0] - 1.0)
        y = min(max(me.y + way[1] * PACE * frame, 1.0), size[1] - 1.0)
        for one in near:
            off_x = abs(one.x + one.speed_x * frame - x) - one.half_width - me.half_width
            off_y = abs(one.y + one.speed_y * frame - y) - one.half_height - me.half_height
            gap = max(off_x, off_y)
            if gap < MARGIN:
                total += (MARGIN - gap) / frame
    return total


def runner(solid: Collection[int], ground: Collection[int], touch: Collection[int]) -> Expert:
    """An expert that runs to the right and jumps over what is in its way.

    Args:
        solid: the types of cells that can be stood on.
        ground: the types of entities that can be stood on.
        touch: the types of entities that must not be touched.
    """

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        stuck, last = 0, 0.0
        while True:
            state = known(env)
            me = state.entities[0]
            stuck = stuck + 1 if abs(me.x - last) < 0.02 else 0
            last = me.x
            if stuck > 20:  # too high from here: from further back
                yield from [push(-1, 0)] * 6
                stuck = 0
                continue
            firm = np.isin(state.cells, list(solid))
            for one in state.entities[1:]:
                if one.kind in ground:
                    firm[int(one.y), int(one.x)] = True
            x, y = int(me.x + me.half_width), int(me.y)
            wall = firm[y, x + 1]
            below = np.flatnonzero(firm[:y, x + 1] | (state.cells[:y, x + 1] != SPACE))
            hole = not len(below) or not firm[below[-1], x + 1]
            danger = any(
                one.kind in touch and -0.5 < one.x - me.x < 2.5 and abs(one.y - me.y) < 1.5
                for one in state.entities[1:]
            )
            yield push(1, 1 if wall or hole or danger else 0)

    return expert
