"""Tasks on Freedoom's first level, judged by the engine's own record of the player."""

from __future__ import annotations

from typing import Any

from nitrogen_jax.evaluation.experts.doom import Place, goes
from nitrogen_jax.evaluation.judges import doom
from nitrogen_jax.evaluation.judges.route import Route
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.games.freedoom import WAD

START = (-160.0, 304.0)
# By the south door, which a button opens, into the yard behind it, to its far east end.
YARD = Route((START, (0.0, 110.0), (936.0, 20.0), (936.0, -160.0), (1700.0, -330.0)), within=64.0)
TO_THE_YARD = (
    *(Place(0, 110), Place(936, 30, use=True), Place(936, -160)),
    *(Place(1150, -330), Place(1700, -330)),
)

BONUSES = (Place(0, 110), Place(880, 32), Place(1030, 32))
# They stand in a pit.
SOLDIERS = (
    *(Place(0, 110), Place(400, 150), Place(460, 250, clear=True), Place(640, 250, clear=True)),
)
HUNT = (  # two on boxes in the yard, more behind it
    *(Place(0, 110), Place(936, 30, use=True), Place(936, -120, clear=True)),
    *(Place(936, -250, clear=True), Place(1150, -330, clear=True), Place(1500, -330, clear=True)),
)

COMMON: dict[str, Any] = {
    "dimensions": 3,
    "procedural": False,
    "level": "E1M1",
    "frame_skip": 1,
    "hold": (Press(1.0, ("RIGHT_TRIGGER",), left=(0, -1)),),
}

TASKS = (
    Task(
        name="freedoom/yard",
        goal="Find the door in the south of the first hall, open it, cross the yard to its east.",
        category="navigation",
        judge=lambda: doom.walks(YARD),
        seconds=30.0,
        expert=goes(WAD, TO_THE_YARD, shoots=False),
        **COMMON,
    ),
    Task(
        name="freedoom/bonuses",
        goal="Pick up 3 of the bonuses that lie about: small helmets and bottles.",
        category="game-specific",
        judge=lambda: doom.counts("items", 3),
        seconds=20.0,
        expert=goes(WAD, BONUSES, shoots=False),
        **COMMON,
    ),
    Task(
        name="freedoom/soldiers",
        goal="Jump into the pit of the first hall and kill the 2 soldiers there, all in 12 s.",
        category="combat",
        judge=lambda: doom.counts("kills", 2),
        seconds=12.0,
        expert=goes(WAD, SOLDIERS),
        **COMMON,
    ),
    Task(
        name="freedoom/hunt",
        goal="Kill 3 monsters, for which the south door must be opened, and stay alive.",
        category="combat",
        judge=lambda: doom.counts("kills", 3),
        seconds=45.0,
        expert=goes(WAD, HUNT),
        **COMMON,
    ),
)
