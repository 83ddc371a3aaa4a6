"""Tasks of Extreme Tux Racer on Bunny Hill, judged by the race in its memory."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import etr as expert
from nitrogen_jax.evaluation.judges.etr import Down
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

# Half of the frames that it could show, in a small window: a processor without graphics keeps up.
OPTIONS = {"window": (320, 240), "fps": 30.0}
SHARED = {"dimensions": 3, "procedural": False, "options": OPTIONS, "frame_skip": 1}
PADDLE = (Press(1.0, left=(0, -1)),)

TASKS = (
    Task(
        name="etr/finish",
        goal="Slide down Bunny Hill to the finish within 50 s.",
        category="navigation",
        judge=Down,
        seconds=50.0,
        hold=PADDLE,
        expert=expert.slide(45.0),
        **SHARED,
    ),
    Task(
        name="etr/fast",
        goal="Slide down Bunny Hill to the finish in a race of 32 s at most.",
        category="game-specific",
        judge=lambda: Down(seconds=32.0),
        seconds=32.0,
        hold=PADDLE,
        expert=expert.slide(45.0),
        **SHARED,
    ),
    Task(
        name="etr/herring",
        goal="Catch 10 herring on the way down Bunny Hill.",
        category="game-specific",
        judge=lambda: Down(herring=10),
        seconds=50.0,
        hold=PADDLE,
        expert=expert.herring,
        **SHARED,
    ),
)
