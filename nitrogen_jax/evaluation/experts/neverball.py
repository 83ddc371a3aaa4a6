"""A scripted player of Neverball: rolls to coins and places, by the ball's place and the view."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges import neverball
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

# How fast it wants to be for each metre that is left, the limits, and how hard it corrects.
EAGER, SLOWEST, FASTEST, HARD = 1.2, 0.9, 2.5, 1.5
AT_PLACE = 0.6  # metres
CENTRE_FAR = 1.5  # metres at most from the ball to what the view looks at

Coin = tuple[float, float, int]  # x, z, worth
Aim = Callable[[neverball.State, list[Coin]], tuple[float, float]]


def find_view(memory: Memory, place: tuple[float, float, float]) -> int:
    """Where the axes of the view (3, 3) are: after what it looks at, and where from."""
    for region in memory.program():
        if "w" not in region.rights:
            continue
        size = (region.end - region.begin) // 4 * 4
        values = np.frombuffer(memory.bytes(region.begin, size), "<f4").astype(np.float64)
        close = np.abs(values[:-14, None] - place[0]) < CENTRE_FAR
        for index in np.flatnonzero(close):
            centre, axes = values[index : index + 3], values[index + 6 : index + 15].reshape(3, 3)
            if not np.all(np.isfinite(axes)) or np.abs(centre - place).max() > CENTRE_FAR:
                continue
            if np.abs(axes @ axes.T - np.eye(3)).max() < 1e-3:
                return region.begin + 4 * int(index) + 24
    raise NitrogenError("no view is in the memory: this build of Neverball cannot be played")


def rolls(start: Callable[[], Aim]) -> Expert:
    """A player that rolls to where an aim says: (x, z), given the state and the coins left.

    Args:
        start: makes the aim of an episode.
    """

    def play(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        aim, level = start(), neverball.Level(env)
        now = level.read()
        with Memory(session_of(env).game_pid) as memory:
            view = find_view(memory, (now.x, now.y, now.z))
            while True:
                now = level.read()
                lying = neverball.items(memory, level.place)
                coins = [(x, z, worth) for x, _, z, kind, worth in lying if kind == neverball.COIN]
                goal = aim(now, coins)
                wish = np.array([goal[0] - now.x, goal[1] - now.z])
                far = max(1e-6, float(np.hypot(*wish)))
                wish *= min(FASTEST, max(SLOWEST, EAGER * far)) / far
                push = HARD * (wish - np.array([now.velocity[0], now.velocity[2]]))
                push *= min(1.0, 1 / max(1e-6, float(np.hypot(*push))))
                axes = memory.unpack(view, "<9f")
                right, back = np.array([axes[0], axes[2]]), np.array([axes[6], axes[8]])
                yield Press(1.0, left=(float(push @ right), float(push @ back))).pad

    return play


def collects(needed: int, then: tuple[float, float] | None = None) -> Callable[[], Aim]:
    """Rolls to the coins that are near or worth much until enough are taken; then to a place."""

    def aim(now: neverball.State, coins: list[Coin]) -> tuple[float, float]:
        here = (now.x, now.z)
        if not coins or (then is not None and now.coins >= needed):
            return then or here
        best = min(coins, key=lambda coin: (1 + math.dist(coin[:2], here)) / coin[2])
        return best[:2]

    return lambda: aim


def follows(places: Sequence[tuple[float, float]]) -> Callable[[], Aim]:
    """Rolls from place to place."""

    def start() -> Aim:
        left = list(places)

        def aim(now: neverball.State, coins: list[Coin]) -> tuple[float, float]:
            while len(left) > 1 and math.dist(left[0], (now.x, now.z)) < AT_PLACE:
                del left[0]
            return left[0]

        return aim

    return start
