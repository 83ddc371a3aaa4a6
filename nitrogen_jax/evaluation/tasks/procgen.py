"""Tasks of Procgen's games, whose levels the seed makes, judged by what a game says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.experts import procgen as experts
from nitrogen_jax.evaluation.judges.reward import Goal, Told
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.adapters.procgen import LevelState
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

LEAP = (Press(0.8, ("SOUTH",), left=(1, 0)), Press(0.2, left=(1, 0)))
UP = (Press(1.0, left=(0, -1)),)
COIN, MUSHROOM, STAR, SHORE = 1, 1, 1, 8.5  # types of goals; y behind the river


def completed(env: PadEnv, info: Mapping[str, Any]) -> bool:
    """Whether the game has ended because its goal was reached."""
    return info["variables"].get("prev_level_complete", 0) > 0


def goal(left: Callable[[LevelState], float], name: str) -> Callable[[], Goal]:
    """Judges by the game's own goal, and by what is left until there."""
    return lambda: Goal(completed, lambda env, info: left(experts.known(env)), name)


def to_column(kind: int, in_cells: bool) -> Callable[[LevelState], float]:
    """How many columns it is to a thing, one of the cells or one of the entities."""

    def left(state: LevelState) -> float:
        if in_cells:
            places = np.argwhere(state.cells == kind)[:, 1] + 0.5
        else:
            places = np.array([one.x for one in state.entities if one.kind == kind])
        return float(abs(places - state.entities[0].x).min()) if len(places) else 0.0

    return left


def count(*kinds: int) -> Callable[[LevelState], float]:
    """How many things of some types there are."""
    return lambda state: float(sum(one.kind in kinds for one in state.entities[1:]))


def maze(state: LevelState) -> float:
    """How many steps it is to the cheese."""
    x, y = experts.cell(state)
    return float(experts.maze_steps(state)[y, x])


def task(name: str, goal: str, category: str, judge: Callable, seconds: float, **more: Any) -> Task:
    """A task with what they all share."""
    return Task(
        name=f"procgen/{name}",
        goal=goal,
        category=category,
        dimensions=2,
        procedural=True,
        judge=judge,
        seconds=seconds,
        level=name,
        options={"state": True},
        frame_skip=1,
        **more,
    )


TASKS = (
    task(
        "maze",
        "Find the way through a maze to the cheese.",
        "navigation",
        goal(maze, "steps"),
        15.0,
        proof_seed=1,  # the maze of seed 0 is one step long
        expert=experts.maze,
    ),
    task(
        "heist",
        "Find the gem in a maze whose doors need keys of their colours.",
        "navigation",
        goal(count(experts.HEIST_LOCK, experts.HEIST_KEY, experts.HEIST_GEM), "things"),
        30.0,
        expert=experts.heist,
    ),
    task(
        "coinrun",
        "Run and jump to the coin at the right end of the level.",
        "navigation",
        goal(to_column(COIN, in_cells=True), "columns"),
        20.0,
        hold=LEAP,
        expert=experts.runner((15, 16), (20,), (2, 3, 5, 6, 7)),
    ),
    task(
        "ninja",
        "Jump from ledge to ledge to the mushroom, past bombs.",
        "navigation",
        goal(to_column(MUSHROOM, in_cells=False), "columns"),
        20.0,
        hold=LEAP,
    ),
    task(
        "leaper",
        "Cross a road between its cars and a river on its logs.",
        "navigation",
        goal(lambda state: max(0.0, SHORE - state.entities[0].y), "rows"),
        30.0,
        hold=UP,
    ),
    task(
        "climber",
        "Climb from platform to platform and take every star.",
        "game-specific",
        goal(count(STAR), "stars"),
        40.0,
        hold=LEAP,
    ),
    task(
        "bossfight",
        "Destroy the boss ship between the phases in which its shield is up.",
        "combat",
        lambda: Told(lambda info: info["total"], 10),
        45.0,
        hold=(Press(1.0, ("SOUTH",)),),
        expert=experts.pilot((2, 3, 4, 5, 6, 7), (2,), "x"),
    ),
    task(
        "starpilot",
        "Shoot 12 of the ships and turrets that come from the right.",
        "combat",
        lambda: Told(lambda info: info["total"], 12),
        30.0,
        hold=(Press(1.0, ("SOUTH",)),),
        expert=experts.pilot((2, 3, 4, 5, 7, 8), (4, 7, 8), "y"),
    ),
)
