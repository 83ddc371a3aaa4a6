"""Tasks on SuperTux's first levels, judged by where Tux is and by how the program ends."""

from __future__ import annotations

from typing import Any

from nitrogen_jax.evaluation.experts.recorded import recorded
from nitrogen_jax.evaluation.judges.supertux import Finish
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

TILE = 32.0  # pixels
# Tiles from the left edge: behind the first pit, on its far side, and where the level is over.
PIT, IGLOO = 100 * TILE, 280 * TILE
# Of the second level: behind the high ground on which its first enemies walk.
PLATEAU = 90 * TILE

COMMON: dict[str, Any] = {
    "dimensions": 2,
    "procedural": False,
    "frame_skip": 2,
    "hold": (*(Press(0.8, ("WEST",), left=(1, 0)), Press(0.5, ("SOUTH", "WEST"), left=(1, 0))),),
}

TASKS = (
    Task(
        name="supertux/pit",
        goal="Run to the right, past snowballs and walls, to the far side of the first pit.",
        category="navigation",
        level="world1/welcome_antarctica",
        judge=lambda: Finish(far=PIT, goal=PIT),
        seconds=30.0,
        expert=recorded("supertux/pit"),
        **COMMON,
    ),
    Task(
        name="supertux/igloo",
        goal="Finish the level: reach the igloo at its right end.",
        category="navigation",
        level="world1/welcome_antarctica",
        judge=lambda: Finish(far=IGLOO),
        seconds=75.0,
        expert=recorded("supertux/igloo"),
        **COMMON,
    ),
    Task(
        name="supertux/plateau",
        goal="Run to the right through the second level, over the plateau with its snowballs.",
        category="game-specific",
        level="world1/journey_begins",
        judge=lambda: Finish(far=PLATEAU, goal=PLATEAU),
        seconds=40.0,
        expert=recorded("supertux/plateau"),
        **COMMON,
    ),
)
