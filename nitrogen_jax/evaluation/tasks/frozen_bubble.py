"""Tasks on Frozen-Bubble, judged by what its settings make it tell of the board."""

from __future__ import annotations

from typing import Any

from nitrogen_jax.evaluation.experts.frozen_bubble import plays
from nitrogen_jax.evaluation.judges import frozen_bubble
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

COMMON: dict[str, Any] = {
    "category": "game-specific",
    "dimensions": 2,
    "frame_skip": 1,
    "hold": (Press(0.3, left=(-1, 0)), Press(0.1, ("SOUTH",)), Press(0.6)),
    "expert": plays,
}

TASKS = (
    Task(
        name="frozen-bubble/clear",
        goal="Clear the first level: shoot bubbles at others of their colour until all are gone.",
        procedural=False,
        level="1",
        judge=frozen_bubble.clears,
        seconds=45.0,
        **COMMON,
    ),
    Task(
        name="frozen-bubble/clear-10",
        goal="Clear the tenth level: shoot bubbles at others of their colour until all are gone.",
        procedural=False,
        level="10",
        judge=frozen_bubble.clears,
        seconds=40.0,
        **COMMON,
    ),
    Task(
        name="frozen-bubble/drawn",
        goal="Have 12 bubbles less than at the start on a board that chance has drawn.",
        procedural=True,
        level="random",
        judge=lambda: frozen_bubble.thins(12),
        seconds=45.0,
        **COMMON,
    ),
)
