"""Does it change a game that it is stopped again and again? The check of the paper, by itself.

The same pads are played from the same frame on: in lockstep without pauses, in lockstep with long
random pauses between steps, and in real time at the game's own speed, twice. Frames at equal game
times are compared: with pauses there must be no difference at all; in real time, where frames fall
at other times than before, differences should be those that two runs in real time have between
themselves, and far below what the pads change, which a run with an idle pad shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import games, play, spaces, watch
from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.session import Session

SMALL = (80, 60)  # width, height of frames as they are compared
NEAR_S = 0.05  # by how much frames of two runs may lie apart in time and still be the same moment
PAUSES = 0.1  # share of the steps before which there is one
PAUSE_S = (0.05, 0.6)  # seconds, the short ones more often
RUNS = ("lockstep", "with pauses", "real time", "real time again", "idle pad")
State = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Run:
    """One way of playing.

    Attributes:
        frames: (steps + 1, h, w, 3) uint8 RGB, small, at equal game times.
        digests: of the whole frames.
        states: what a judge has read at each step; empty without one.
        seconds: of real time that it took.
        paused: of them, in which it was kept waiting on purpose.
        presented: frames that the game drew.
    """

    name: str
    frames: np.ndarray
    digests: tuple[str, ...]
    states: tuple[State, ...]
    seconds: float
    paused: float
    presented: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """A run beside the one in lockstep.

    Attributes:
        equal: share of frames that are the same, bit by bit.
        first: the first one that is not, None if all are.
        difference: (steps + 1,) mean absolute difference of pixels, 0..255, to the most similar
            frame that is near in time.
        state_difference: name of a number -> largest difference.
    """

    name: str
    equal: float
    first: int | None
    difference: np.ndarray
    state_difference: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Physics:
    """All runs of a game, and how they compare with the first one.

    Attributes:
        repeats: whether the game is known to repeat exactly; without that, there is no verdict.
    """

    slug: str
    level: str
    fps: float
    seed: int
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    repeats: bool = True

    @property
    def pauses_change_nothing(self) -> bool | None:
        """The verdict: whether all frames are equal, bit by bit."""
        if not self.repeats:
            return None
        paused = next(one for one in self.comparisons if one.name == "with pauses")
        return paused.first is None

    @property
    def real_share(self) -> float:
        """Mean difference in real time, as a share of what an idle pad changes."""
        means = {one.name: float(one.difference.mean()) for one in self.comparisons}
        return means["real time"] / means["idle pad"] if means["idle pad"] else float("nan")


def measure(
    slug: str,
    seconds: float = 10.0,
    seed: int = 0,
    source: play.Source | None = None,
    options: Mapping[str, Any] | None = None,
    read: Callable[[GamepadEnv], State] | None = None,
    advance: Callable[[float], None] = lambda steps: None,
) -> Physics:
    """Plays a game five times.

    Args:
        seconds: of game time for each.
        seed: of the episode and of the pauses.
        source: of pads; None: the game's script.
        options: of the environment.
        read: what a judge can see of the game's state.
        advance: is told steps that are done, of five times seconds * fps.
    """
    game = games.get(slug)
    with GamepadEnv(game, size=SMALL, **(options or {})) as env:
        if env.frame_skip != 1:
            raise NitrogenError("frame_skip cannot be given here: every frame is compared")
        steps = round(seconds * env.fps)
        if steps < 2:
            raise NitrogenError(f"seconds is {seconds}, where two frames at least are needed")
        pads = play.take(play.pads(source or play.Source("scripted"), game, env.fps, seed), steps)
        rng = np.random.default_rng(seed)
        runs = []
        for name in RUNS:
            env.reset(seed=seed)
            if name.startswith("real"):
                run = _real(env, name, pads, read, advance)
            else:
                moves = (
                    [play.idle()] * pads.shape[0] if name == "idle pad" else list(play.each(pads))
                )
                run = _lockstep(env, name, moves, rng if "pauses" in name else None, read, advance)
            runs.append(run)
    near = round(NEAR_S * env.fps)
    found = tuple(compare(runs[0], run, near) for run in runs[1:])
    return Physics(slug, env.level, env.fps, seed, tuple(runs), found, game.repeats)


def compare(base: Run, run: Run, near: int) -> Comparison:
    """How a run differs from another one.

    Args:
        near: frames by which the most similar one may be earlier or later.
    """
    length = min(len(base.digests), len(run.digests))
    same = [a == b for a, b in zip(base.digests, run.digests, strict=False)]
    gaps = np.stack(
        [_shifted(base.frames[:length], run.frames[:length], by) for by in range(-near, near + 1)]
    )
    states = zip(base.states, run.states, strict=False)
    differences: dict[str, float] = {}
    for a, b in states:
        for name in a.keys() & b.keys():
            differences[name] = max(differences.get(name, 0.0), abs(a[name] - b[name]))
    first = next((index for index, equal in enumerate(same) if not equal), None)
    if first is None and len(base.digests) != len(run.digests):
        first = length
    return Comparison(run.name, float(np.mean(same)), first, gaps.min(0), differences)


def _shifted(base: np.ndarray, other: np.ndarray, by: int) -> np.ndarray:
    """(N,) mean absolute difference of base[i] and other[i + by], infinite where there is none."""
    found = np.full(len(base), np.inf)
    for index in range(max(0, -by), min(len(base), len(base) - by)):
        found[index] = cv2.absdiff(base[index], other[index + by]).mean()
    return found


class _Notes:
    """Gathers what is seen of a session."""

    def __init__(self, env: GamepadEnv, read: Callable[[GamepadEnv], State] | None):
        self._env, self._read = env, read
        self._frames: list[np.ndarray] = []
        self._digests: list[str] = []
        self._states: list[State] = []
        self._begin, self._first = time.monotonic(), self.session.frames
        self._paused = 0.0
        self.note()

    @property
    def session(self) -> Session:
        assert self._env.session is not None
        return self._env.session

    def note(self) -> None:
        frame = self.session.frame()
        self._digests.append(watch.digest(frame))
        self._frames.append(cv2.resize(frame, SMALL, interpolation=cv2.INTER_AREA))
        if self._read:
            self._states.append(dict(self._read(self._env)))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)
        self._paused += seconds

    def run(self, name: str) -> Run:
        return Run(
            name,
            np.stack(self._frames),
            tuple(self._digests),
            tuple(self._states),
            time.monotonic() - self._begin,
            self._paused,
            self.session.frames - self._first,
        )


def _lockstep(env: GamepadEnv, name: str, pads, rng, read, advance) -> Run:
    notes = _Notes(env, read)
    for pad in pads:
        if rng is not None and rng.random() < PAUSES:
            notes.pause(PAUSE_S[0] + (PAUSE_S[1] - PAUSE_S[0]) * float(rng.random()) ** 3)
        *_, truncated, info = env.step(spaces.to_action(pad))
        if truncated:
            raise NitrogenError(
                f"{env.game.title} ended ({info['reason']}) before all was played: fewer seconds "
                "are needed"
            )
        notes.note()
        advance(1)
    return notes.run(name)


def _real(env: GamepadEnv, name: str, pads: Pad, read, advance) -> Run:
    """Time goes on by itself; each pad is held for its frame's time."""
    notes = _Notes(env, read)
    session = notes.session
    begin = session.time
    session.set_mode("real")
    for step, pad in enumerate(play.each(pads)):
        env.hold(pad)
        # The frame that is due then may be a little early or late, and a game may draw more often.
        while session.time < begin + (step + 0.5) / env.fps:
            session.step()
        notes.note()
        advance(1)
    return notes.run(name)
