"""Tasks of Chromium B.S.U., judged by the ships and the score in its memory."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import chromium_bsu as expert
from nitrogen_jax.evaluation.judges.chromium_bsu import Unharmed
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

SHARED = {
    "category": "combat",
    "dimensions": 2,
    "procedural": False,
    "options": {"window": (320, 240)},
    "hold": (Press(0.5, ("SOUTH",), left=(1, 0)), Press(0.5, ("SOUTH",), left=(-1, 0))),
    "expert": expert.fire,
}

TASKS = (
    Task(
        name="chromium-bsu/hold-the-line",
        goal="Lose no ship for 12 s: let no enemy get past, and do not be shot down.",
        judge=lambda: Unharmed(seconds=12.0),
        seconds=12.0,
        **SHARED,
    ),
    Task(
        name="chromium-bsu/first-points",
        goal="Shoot enemies for 250 points before a ship is lost.",
        judge=lambda: Unharmed(points=250.0),
        seconds=20.0,
        **SHARED,
    ),
)
