"""Does a game do here what the simulator promises? It is played, and each promise is looked at."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from nitrogen_jax.sim import catalogue, play, spaces, watch
from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.pad_env import PadEnv

SIZE = (64, 64)  # of observations, which nothing here looks at


@dataclass(frozen=True)
class Finding:
    """One promise.

    Attributes:
        kept: None where it was not asked for, or where the game is known not to keep it.
        value: what was seen.
    """

    promise: str
    kept: bool | None
    value: str


def check(
    slug: str,
    steps: int = 300,
    pause: float = 2.0,
    seed: int = 0,
    load: bool = False,
    options: Mapping[str, Any] | None = None,
    advance: Callable[[float], None] = lambda part: None,
) -> list[Finding]:
    """Plays a game's script some times over.

    Args:
        steps: of each episode.
        pause: seconds of real time for which it has to stand still.
        load: whether the repetition is played beside a process that keeps a core busy.
        options: of the environment.
        advance: is told parts of 1 that are done.
    """
    about = catalogue.get(slug)
    before, found = watch.held(), []
    with catalogue.make(slug, size=SIZE, **(options or {})) as env:
        begin = time.monotonic()
        env.reset(seed=seed)
        found.append(Finding("boots into play", True, f"in {time.monotonic() - begin:.2f} s"))
        pads = play.take(play.script(about, env.fps / env.frame_skip), steps)
        moves = [pads[step] for step in range(steps)]
        begin = time.monotonic()
        first = watch.play(env, moves, seed)
        rate = (len(first.digests) - 1) / (time.monotonic() - begin)
        ended = f", ended: {first.reason}" if first.reason else ""
        value = f"{len(first.digests) - 1} steps, {rate:.0f} a second with the reset{ended}"
        found.append(Finding("goes on", len(first.digests) > 1, value))
        value = f"{first.distinct} different frames"
        found.append(Finding("moves", first.distinct > 1, value))
        advance(0.3)
        found.append(_freeze(env, seed, pause))
        advance(0.1)
        idle = watch.play(env, [play.idle()] * (len(first.digests) - 1), seed)
        differs = first.first_difference(idle)
        at = "nothing differs from an idle pad" if differs is None else f"from frame {differs} on"
        found.append(Finding("obeys the pad", differs is not None, at))
        advance(0.3)
        with _load() if load else nullcontext():
            again = watch.play(env, moves, seed)
        differs = first.first_difference(again)
        value = f"{len(first.digests)} frames are equal" if differs is None else ""
        value = value or f"frame {differs} of {len(first.digests)} differs"
        value += " (beside a busy process)" if load else ""
        kept = differs is None
        found.append(Finding("repeats bit by bit", kept if about.repeats else kept or None, value))
        advance(0.3)
    after = watch.held()
    memory = watch.forsaken(after.memory - before.memory)
    left = [f"{len(memory)} in /dev/shm"] * bool(memory)
    left += [f"{len(after.children - before.children)} processes"] * bool(
        after.children - before.children
    )
    # NOTE: the first session loads libraries, which may keep a file of their own open.
    left += [f"{after.files - before.files} open files"] * (after.files > before.files + 2)
    found.append(Finding("leaves nothing behind", not left, ", ".join(left) or "nothing"))
    return found


def _freeze(env: PadEnv, seed: int, pause: float) -> Finding:
    promise = f"stands still for {pause:g} s"
    env.reset(seed=seed)
    env.step(spaces.idle())
    if not isinstance(env, GamepadEnv) or env.session is None:
        before = watch.digest(env.picture)
        time.sleep(min(pause, 0.5))
        return Finding(promise, before == watch.digest(env.picture), "an emulator does by nature")
    session = env.session

    def state() -> tuple[int, float, int]:
        return session.frames, session.time, int(session.stats["clock_reads"])

    before = state()
    time.sleep(pause)
    frames, seconds, reads = (b - a for a, b in zip(before, state(), strict=True))
    value = f"{frames} frames, {seconds:g} s of its time, {reads} looks at the clock"
    return Finding(promise, frames == 0 and seconds == 0, value)


@contextmanager
def _load():
    """A process that keeps a core busy."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()
