"""Tasks of the Arcade Learning Environment, judged by the score of a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nitrogen_jax.evaluation.experts import ale as experts
from nitrogen_jax.evaluation.judges.reward import Goal, Told
from nitrogen_jax.evaluation.judges.route import Route
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

UP = (Press(1.0, left=(0, -1)),)
FIRE = (Press(0.1, ("SOUTH",)), Press(0.1))


# Montezuma's Revenge: bytes of x and y of the player, y up, and the way to the key: down a ladder,
# over to the rope, down to the ground, back below the start and up the ladder on the left.
PLAYER_X, PLAYER_Y, KEY_POINTS = 42, 43, 100
TO_KEY = Route(
    ((77, 235), (77, 192), (109, 192), (131, 192), (133, 148), (21, 148), (21, 192), (15, 205)), 8
)


def points(needed: float) -> Callable[[], Told]:
    """Judges by the score."""
    return lambda: Told(lambda info: info["total"], needed, "points")


def key() -> Goal:
    """Judges by the points that only the key gives, and by the way that is left to it."""
    # NOTE: tasks are listed where the emulator is not installed, too.
    from nitrogen_jax.sim.adapters.ale import AleEnv

    walked = TO_KEY.walk()

    def left(env: PadEnv, info: Mapping[str, Any]) -> float:
        assert isinstance(env, AleEnv)
        memory = env.memory()
        return 1 - walked(float(memory[PLAYER_X]), float(memory[PLAYER_Y]))

    return Goal(lambda env, info: info["total"] >= KEY_POINTS, left, "share of the way left")


def task(name: str, goal: str, category: str, judge: Callable, seconds: float, **more: Any) -> Task:
    """A task with what they all share."""
    return Task(
        name=f"ale/{name}",
        goal=goal,
        category=category,
        dimensions=2,
        procedural=False,
        judge=judge,
        seconds=seconds,
        frame_skip=4,
        **{"level": name.replace("-", "_")} | more,
    )


TASKS = (
    task(
        "boxing",
        "Land 5 more punches than you take.",
        "combat",
        points(5),
        45.0,
        hold=FIRE,
        expert=experts.boxing,
    ),
    task(
        "space-invaders",
        "Shoot invaders for 300 points.",
        "combat",
        points(300),
        60.0,
        hold=FIRE,
    ),
    task(
        "breakout",
        "Break bricks for 15 points before the balls are lost.",
        "game-specific",
        points(15),
        60.0,
        hold=FIRE,
        expert=experts.breakout,
    ),
    task(
        "freeway",
        "Cross a road of ten lanes eight times, between the cars.",
        "navigation",
        points(8),
        48.0,
        hold=UP,
    ),
    task(
        "montezuma-key",
        "Fetch the key of the first room: down ladders and a rope, past a skull.",
        "navigation",
        key,
        30.0,
        level="montezuma_revenge",
        hold=(Press(0.5, left=(1, 0)), Press(0.5, ("SOUTH",), left=(1, 0))),
    ),
)
