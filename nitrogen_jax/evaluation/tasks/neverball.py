"""Tasks on Neverball's easy levels, judged by its memory and by the replay that it writes."""

from __future__ import annotations

from typing import Any

from nitrogen_jax.evaluation.experts.neverball import collects, follows, rolls
from nitrogen_jax.evaluation.judges import neverball
from nitrogen_jax.evaluation.judges.route import Route
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

COMMON: dict[str, Any] = {
    "dimensions": 3,
    "procedural": False,
    # Drawing is what costs: half as many frames, on a sixth of the area.
    "options": {"fps": 30.0, "window": (256, 192)},
    "frame_skip": 1,
    "hold": (Press(1.0, left=(0, -1)),),
}

# (x, z) of a way around the hole in the middle of the floor.
AROUND = ((1.0, -1.0), (0.0, -5.0), (-1.5, -7.0), (-1.5, -11.0), (0.0, -13.0), (1.0, -17.0))

TASKS = (
    Task(
        name="neverball/goal",
        goal="Take 10 coins, which opens the goal, and roll into it without falling down.",
        category="game-specific",
        level="easy/easy",
        judge=lambda: neverball.goal(10),
        seconds=30.0,
        expert=rolls(collects(10, then=(1.0, -17.0))),
        **COMMON,
    ),
    Task(
        name="neverball/coins",
        goal="Take coins that are worth 40; the large ones in the corners are worth 10.",
        category="game-specific",
        level="easy/coins",
        judge=lambda: neverball.coins(40),
        seconds=30.0,
        expert=rolls(collects(40)),
        **COMMON,
    ),
    Task(
        name="neverball/hole",
        goal="Roll around the hole in the middle to the far side, where the goal is.",
        category="navigation",
        level="easy/hole",
        judge=lambda: neverball.along(Route(AROUND, within=1.0)),
        seconds=20.0,
        expert=rolls(follows(AROUND[1:])),
        **COMMON,
    ),
)
