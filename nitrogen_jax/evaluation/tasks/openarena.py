"""Tasks of OpenArena: frags against one bot, and items to be found, as its log tells them."""

from __future__ import annotations

from nitrogen_jax.evaluation.experts import openarena as expert
from nitrogen_jax.evaluation.judges.openarena import Frags, Items
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press

# Half of the frames that it could show, in a small window: a processor without graphics keeps up.
OPTIONS = {"window": (320, 240), "fps": 30.0}
SHARED = {"dimensions": 3, "procedural": False, "options": OPTIONS, "frame_skip": 1}
SPIN = (Press(1.0, ("RIGHT_TRIGGER",), left=(0, -1), right=(0.4, 0)),)
AHEAD = (Press(1.0, left=(0, -1)),)

TASKS = (
    Task(
        name="openarena/first-frag",
        goal="Kill the other fighter, a bot of the lowest skill, within 45 s.",
        category="combat",
        judge=lambda: Frags(1),
        seconds=45.0,
        level="oa_dm1",
        hold=SPIN,
        expert=expert.fight,
        **SHARED,
    ),
    Task(
        name="openarena/three-frags",
        goal="Kill the bot three times within 60 s.",
        category="combat",
        judge=lambda: Frags(3),
        seconds=60.0,
        level="oa_dm1",
        hold=SPIN,
        expert=expert.fight,
        **SHARED,
    ),
    Task(
        name="openarena/duel",
        goal="Kill the bot twice without being killed by it.",
        category="combat",
        judge=lambda: Frags(2, deaths=1),
        seconds=60.0,
        level="oa_dm1",
        hold=SPIN,
        expert=expert.fight,
        **SHARED,
    ),
    Task(
        name="openarena/lightning-gun",
        goal="Find the lightning gun and take it, in an arena without anybody else.",
        category="navigation",
        judge=lambda: Items("weapon_lightning"),
        seconds=30.0,
        level="oa_dm1/alone",
        hold=AHEAD,
        expert=expert.collect("weapon_lightning"),
        **SHARED,
    ),
    Task(
        name="openarena/two-weapons",
        goal="Find two different weapons and take them, in an arena without anybody else.",
        category="navigation",
        judge=lambda: Items("weapon_", 2),
        seconds=30.0,
        level="oa_dm1/alone",
        hold=AHEAD,
        expert=expert.collect("weapon_"),
        **SHARED,
    ),
)
