"""Tasks of ViZDoom's scenarios, judged by the variables that the engine tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from nitrogen_jax.evaluation.experts import vizdoom as experts
from nitrogen_jax.evaluation.judges.reward import Goal, Lasting, Told
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.adapters.vizdoom import VizdoomEnv
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

TURN_AND_FIRE = (Press(1.0, ("RIGHT_TRIGGER",), right=(1, 0)),)
AHEAD = (Press(1.0, left=(0, -1)),)
ROUND = (Press(1.0, left=(0, -1)), Press(0.4, left=(0, -1), right=(1, 0)))
VEST = {"deadly_corridor": (1312.0, 0.0), "my_way_home": (1040.0, -352.0)}
NOT_FIRED = 600.0  # map units from rocket to monster that count as nothing done
ROOM = 20.0  # map units that ways stay off walls


def variable(name: str) -> Callable[[Mapping[str, Any]], float]:
    """Reads one of the engine's variables."""
    return lambda info: info["variables"][name]


def kills(needed: int) -> Callable[[], Told]:
    """Judges by the monsters that were killed."""
    return lambda: Told(variable("KILLCOUNT"), needed, "kills")


def alive(seconds: float) -> Callable[[], Lasting]:
    """Judges by the time for which the player lives."""
    return lambda: Lasting(seconds, lambda info: info["variables"]["HEALTH"] <= 0)


def vest(scenario: str) -> Callable[[], Goal]:
    """Judges by the vest that a scenario ends with, and by the way that is left to it."""

    def judge() -> Goal:
        ways = experts.scenario_ways(scenario, VEST[scenario], ROOM)

        def left(env: PadEnv, info: Mapping[str, Any]) -> float:
            return ways.left(*experts.place(info))

        return Goal(lambda env, info: info["variables"]["ARMOR"] > 0, left, "map units")

    return judge


def rocket() -> Goal:
    """Judges by the monster that is hit, and by how near to it the rocket was."""

    def left(env: PadEnv, info: Mapping[str, Any]) -> float:
        assert isinstance(env, VizdoomEnv)
        places = {one["name"]: (one["x"], one["y"]) for one in env.labels()}
        if not {"Rocket", "Cacodemon"} <= set(places):
            return NOT_FIRED
        return min(NOT_FIRED, math.dist(places["Rocket"], places["Cacodemon"]))

    return Goal(lambda env, info: info["variables"]["KILLCOUNT"] > 0, left, "map units")


def task(name: str, goal: str, category: str, judge: Callable, seconds: float, **more: Any) -> Task:
    """A task with what they all share."""
    return Task(
        name=f"vizdoom/{name}",
        goal=goal,
        category=category,
        dimensions=3,
        procedural=False,
        judge=judge,
        seconds=seconds,
        level=name.replace("-", "_"),
        options={"labels": True},
        **more,
    )


TASKS = (
    task(
        "defend-the-center",
        "Shoot 10 of the monsters that come from all sides, standing in the middle.",
        "combat",
        kills(10),
        60.0,
        frame_skip=1,
        hold=TURN_AND_FIRE,
        expert=experts.gunner(("MarineChainsawVzd", "Demon")),
    ),
    task(
        "defend-the-line",
        "Shoot 20 of the monsters that come from the other side of the room.",
        "combat",
        kills(20),
        60.0,
        frame_skip=1,
        hold=TURN_AND_FIRE,
        expert=experts.gunner(("DoomImp", "Demon")),
    ),
    task(
        "deadly-corridor",
        "Take the vest at the end of a corridor in which six gunmen wait.",
        "combat",
        vest("deadly_corridor"),
        40.0,
        frame_skip=1,
        hold=(Press(1.0, ("RIGHT_TRIGGER",), left=(0, -1)),),
        expert=experts.raider(
            ("Zombieman", "ShotgunGuy", "ChaingunGuy"), 460.0, *VEST["deadly_corridor"]
        ),
    ),
    task(
        "predict-position",
        "Hit a monster that flies to and fro with the only rocket.",
        "combat",
        rocket,
        8.0,
        frame_skip=1,
        hold=TURN_AND_FIRE,
        expert=experts.hunter,
    ),
    task(
        "my-way-home",
        "Find the room with the vest in a maze of rooms, from whatever room the seed puts you in.",
        "navigation",
        vest("my_way_home"),
        60.0,
        hold=ROUND,
        expert=experts.wanderer("my_way_home", *VEST["my_way_home"], ROOM),
    ),
    task(
        "health-gathering",
        "Live for 30 seconds on a floor of acid, from one medikit to the next.",
        "navigation",
        alive(30),
        40.0,
        hold=ROUND,
        expert=experts.gatherer(("Medikit",)),
    ),
    task(
        "health-gathering-supreme",
        "Live for 30 seconds in a maze with a floor of acid: take medikits, leave poison.",
        "navigation",
        alive(30),
        40.0,
        hold=ROUND,
        expert=experts.gatherer(("CustomMedikit",)),
    ),
    task(
        "take-cover",
        "Live for 20 seconds before a wall of monsters that throw fire.",
        "game-specific",
        alive(20),
        30.0,
        frame_skip=1,
        hold=(Press(0.8, left=(-1, 0)), Press(0.8, left=(1, 0))),
        expert=experts.dodger,
    ),
)
