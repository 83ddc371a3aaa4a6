"""Tasks of ViZDoom's scenarios, judged by the variables that the engine tells."""

from __future__ import annotations

from nitrogen_jax.evaluation.judges.reward import Told
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

TASKS = (
    Task(
        name="vizdoom/defend-the-center",
        goal="Shoot 5 of the monsters that come from all sides, standing in the middle.",
        category="combat",
        dimensions=3,
        procedural=False,
        judge=lambda: Told(lambda info: info["variables"]["KILLCOUNT"], 5, "kills"),
        seconds=60.0,
        level="defend_the_center",
        frame_skip=1,
        hold=(Press(1.0, ("RIGHT_TRIGGER",), right=(1, 0)),),
    ),
)
