"""The task of Airstriker, judged by its score."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import airstriker as experts
from nitrogen_jax.evaluation.judges.reward import Told
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

TASKS = (
    Task(
        name="airstriker/score",
        goal="Shoot ships for 300 points before all of yours are lost.",
        category="combat",
        dimensions=2,
        procedural=False,
        judge=lambda: Told(lambda info: info["variables"]["score"], 300, "points"),
        seconds=60.0,
        frame_skip=4,
        hold=(Press(0.2, ("SOUTH",)), Press(0.1)),
        expert=experts.sweep,
    ),
)
