"""How fast a game steps, what that costs, and how much of it is ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import catalogue, play, spaces, watch
from nitrogen_jax.sim.env import GamepadEnv

WINDOWS = ((256, 256), (640, 480))
WARM_UP = 30


@dataclass(frozen=True)
class Speed:
    """Of one game at one size of its window; times in ms, of one step.

    Attributes:
        drawn: (width, height) that it really draws at.
        steps: that were measured; fewer where an episode ended, which is then begun anew.
        reset_s: seconds until the first frame of play.
        steps_per_s: real time, the making of observations included.
        step_ms: median.
        cpu_ms: mean processor time of the game's process; None where it is not known.
        ours_ms: median of a step's time without the game's processor time: of waking it, waiting
            for it, reading and resizing its frame. None where that is not known.
        picture_ms: median of reading and resizing alone; None where that is not known.
        own_cpu_ms: mean processor time of our process, which a busy machine changes less.
    """

    slug: str
    window: tuple[int, int] | None
    drawn: tuple[int, int]
    steps: int
    reset_s: float
    steps_per_s: float
    step_ms: float
    cpu_ms: float | None
    ours_ms: float | None
    picture_ms: float | None
    own_cpu_ms: float


def measure(
    slug: str,
    window: tuple[int, int] | None,
    steps: int = 600,
    size: tuple[int, int] = (256, 256),
    options: Mapping[str, Any] | None = None,
    advance: Callable[[float], None] = lambda steps: None,
) -> Speed:
    """Plays a game's script.

    Args:
        window: (width, height); None for games whose size is fixed.
        size: of observations.
        options: of the environment.
    """
    if steps < 10:
        raise NitrogenError(f"steps is {steps}, where at least 10 are needed")
    about = catalogue.get(slug)
    given = dict(options or {}) | ({} if window is None else {"window": window})
    with catalogue.make(slug, size=size, render_mode="rgb_array", **given) as env:
        begin = time.monotonic()
        env.reset(seed=0)
        reset_s = time.monotonic() - begin
        stream = play.script(about, env.fps / env.frame_skip)
        walls, costs, own, pictures = [], [], [], []
        for step in range(WARM_UP + steps):
            action = spaces.to_action(next(stream))
            pid = _pid(env)
            cost = watch.cpu_ns(pid) if pid else 0
            own_ns, begin_ns = time.process_time_ns(), time.perf_counter_ns()
            *_, terminated, truncated, _ = env.step(action)
            wall = time.perf_counter_ns() - begin_ns
            advance(1)
            if terminated or truncated:
                env.reset(seed=step)
            elif step >= WARM_UP:
                walls.append(wall / 1e6)
                own.append((time.process_time_ns() - own_ns) / 1e6)
                costs.append((watch.cpu_ns(pid) - cost) / 1e6 if pid else np.nan)
                if pid:
                    begin_ns = time.perf_counter_ns()
                    env.session.frame(env.size)
                    pictures.append((time.perf_counter_ns() - begin_ns) / 1e6)
        drawn = env.render().shape[1::-1]
    if not walls:
        raise NitrogenError(f"{slug}: every episode ended at once, so nothing can be measured")
    known = not np.isnan(costs).any()
    spent = np.asarray(walls)
    return Speed(
        slug=slug,
        window=window,
        drawn=tuple(drawn),
        steps=len(walls),
        reset_s=reset_s,
        steps_per_s=1000 * len(walls) / float(spent.sum()),
        step_ms=float(np.median(spent)),
        cpu_ms=float(np.mean(costs)) if known else None,
        ours_ms=float(np.median(spent - costs)) if known else None,
        picture_ms=float(np.median(pictures)) if pictures else None,
        own_cpu_ms=float(np.mean(own)),
    )


def _pid(env) -> int:
    """The process whose time is the game's; 0 where it is not known."""
    return env.session.game_pid if isinstance(env, GamepadEnv) and env.session else 0


def windows(slug: str, wanted: tuple[tuple[int, int], ...] = WINDOWS):
    """The sizes that a game can be measured at."""
    from nitrogen_jax.sim.game import Game

    return wanted if isinstance(catalogue.get(slug), Game) else (None,)
