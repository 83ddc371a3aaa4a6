"""Tasks of X-Moto, judged by its database of levels."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import xmoto as expert
from nitrogen_jax.evaluation.judges.xmoto import Completed
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

TASKS = (
    Task(
        name="xmoto/tutorial",
        goal="Complete the first level of the tutorial: drive to the flower.",
        category="navigation",
        dimensions=2,
        procedural=False,
        judge=Completed,
        seconds=15.0,
        level="tut1",
        options={"window": (320, 240)},
        hold=(Press(1.0, left=(1, 0)),),
        expert=expert.gas,
        scripted=True,  # it does not repeat exactly
    ),
)
