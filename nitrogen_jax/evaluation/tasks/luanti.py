"""Tasks of Luanti: digging, building, walking, as its log tells them."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import luanti as expert
from nitrogen_jax.evaluation.judges.luanti import Deeds, depth, dug, placed, walked
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

# Half of the frames that it could show, in a small window: a processor without graphics keeps up.
SHARED = {
    "dimensions": 3,
    "procedural": False,
    "options": {"window": (320, 240), "fps": 30.0},
    "frame_skip": 1,
    "scripted": True,  # its server is threads of its own: it does not repeat
}

TASKS = (
    Task(
        name="luanti/dig-three",
        goal="Dig three blocks, by hand.",
        category="game-specific",
        judge=lambda: Deeds(dug, 3, "dug"),
        seconds=30.0,
        level="1",
        hold=(Press(1.0, ("RIGHT_TRIGGER",)),),
        expert=expert.dig_around,
        **SHARED,
    ),
    Task(
        name="luanti/shaft",
        goal="Dig a shaft, five blocks deep, with the tools that are given.",
        category="navigation",
        judge=lambda: Deeds(depth, 5, "depth"),
        seconds=30.0,
        level="1/tools",
        hold=(Press(1.0, ("RIGHT_TRIGGER",)),),
        expert=expert.dig_down,
        **SHARED,
    ),
    Task(
        name="luanti/build",
        goal="Place two blocks that were dug before.",
        category="game-specific",
        judge=lambda: Deeds(placed, 2, "placed"),
        seconds=45.0,
        level="1",
        hold=(Press(1.0, ("RIGHT_TRIGGER",)), Press(0.2, ("LEFT_TRIGGER",))),
        expert=expert.build,
        **SHARED,
    ),
    Task(
        name="luanti/walk",
        goal="Walk 25 m away from the start.",
        category="navigation",
        judge=lambda: Deeds(walked, 25, "metres"),
        seconds=30.0,
        level="1",
        hold=(Press(1.0, left=(0, -1)),),
        expert=expert.walk,
        **SHARED,
    ),
)
