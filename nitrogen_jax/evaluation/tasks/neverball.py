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

# (x, z) in the middle of a way that bends to and fro, more and more.
SLALOM = (
    *((1.0, -1.0), (1.0, -6.1), (-0.8, -10.1), (-1.5, -12.1), (-0.8, -14.8), (-0.1, -17.4)),
    *((0.5, -20.2), (1.1, -22.8), (1.8, -25.8), (2.5, -28.9), (1.0, -31.5), (-0.8, -34.0)),
    *((-1.5, -36.1), (-1.5, -38.2), (-1.1, -40.1), (-0.2, -41.4), (1.2, -42.5), (3.1, -44.1)),
    *((3.9, -46.4), (3.1, -48.2), (0.8, -49.5), (-0.9, -50.2), (-0.9, -51.9)),
)

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
        name="neverball/slalom",
        goal="Roll 60 m along a way that bends to and fro, without falling down.",
        category="navigation",
        level="easy/slalom",
        judge=lambda: neverball.along(Route(SLALOM, within=1.0)),
        seconds=36.0,
        expert=rolls(follows(SLALOM[1:])),
        **COMMON,
    ),
)
