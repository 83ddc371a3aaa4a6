"""What all environments that are played with a pad have in common, whatever runs the game.

A subclass says how an episode begins, how a game goes on under a pad, and what is seen.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import gymnasium
import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import spaces
from nitrogen_jax.sim.game import check_seed

MOST_SKIP = 1000

# Why an episode was cut off: `info["reason"]`.
TIME_LIMIT = "time_limit"  # `seconds` of game time are over
TIMEOUT = "timeout"  # a frame took longer than its time in the real world
EXITED = "exited"  # the game ended by itself
CRASHED = "crashed"  # the game died
NATIVE_LIMIT = "native_limit"  # the game's own limit of time


@dataclass(frozen=True)
class Outcome:
    """What came of one step.

    Attributes:
        terminated: the game is over by its own rules.
        reason: why it was cut off, "" if it goes on.
        reward: the game's own, 0 where it has none.
        facts: more for `info`: what depends on seed and actions alone, so no times, no numbers of
            processes.
    """

    terminated: bool = False
    reason: str = ""
    reward: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


class PadEnv(gymnasium.Env):
    """An environment whose observation is a frame and whose action is a pad.

    `info` of reset and step:
        frames: of the game since the episode began.
        time: seconds of game time since then.
        seed: of the episode.
        level: that is played.
        reason: why the episode was truncated, "" otherwise; see the constants above.
        reward: the game's own for this step.
        variables: name -> number, what the game tells about itself; empty for most.
    and more that a subclass adds.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 60}

    def __init__(
        self,
        *,
        size: tuple[int, int] = (256, 256),
        fps: float = 60.0,
        frame_skip: int = 1,
        seconds: float | None = None,
        forbidden: Collection[str] = gamepad.NO_MENUS,
        render_mode: str | None = None,
    ):
        """
        Args:
            size: (width, height) of observations.
            fps: frames of the game in a second of its time.
            frame_skip: frames to a step; the pad is held.
            seconds: of game time after which an episode is truncated; None: never.
            forbidden: buttons that are never pressed, whatever the action says.
            render_mode: "rgb_array" or None.
        """
        skips = isinstance(frame_skip, int) and not isinstance(frame_skip, bool)
        if not skips or not 1 <= frame_skip <= MOST_SKIP:
            raise NitrogenError(
                f"frame_skip is {frame_skip}, where a whole number of 1 to {MOST_SKIP} is needed"
            )
        if not 1 <= fps <= 1000:
            raise NitrogenError(f"fps is {fps}, where 1 to 1000 is possible")
        if seconds is not None and not seconds > 0:
            raise NitrogenError(f"seconds is {seconds}, where more than 0 is needed")
        if render_mode not in (None, "rgb_array"):
            raise NitrogenError(f"render_mode is {render_mode!r}, where rgb_array or None can be")
        self.size = spaces.check_size(size, "size")
        self.fps, self.frame_skip, self.seconds = float(fps), frame_skip, seconds
        self.forbidden = gamepad.button_set(forbidden)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self.fps / frame_skip}
        self.observation_space = spaces.observation_space(self.size)
        self.action_space = spaces.action_space()
        self.episode_seed = 0
        # Seconds of the latest step by part; a game in a process of its own is told apart further.
        self.spent: dict[str, float] = {}
        self._frames, self._over = 0, "reset() comes first"
        self._picture: np.ndarray | None = None
        self._busy = threading.Lock()

    # What a subclass says -------------------------------------------------------------------

    def _begin(self, seed: int) -> Mapping[str, Any]:
        """Begins an episode; more facts for `info`."""
        raise NotImplementedError

    def _play(self, pad: Pad, frames: int) -> Outcome:
        """Goes on by some frames, fewer where the game ends before."""
        raise NotImplementedError

    def _see(self) -> np.ndarray:
        """The latest frame in the game's own size, (h, w, 3) uint8 RGB; not to be written to."""
        raise NotImplementedError

    def _end(self) -> None:
        """Releases everything; may be called again and again."""

    @property
    def level(self) -> str:
        """What is played."""
        return ""

    @property
    def picture(self) -> np.ndarray:
        """The latest frame in the game's own size, (h, w, 3) uint8 RGB; not to be written to."""
        return self._see()

    # Gymnasium ------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode.

        Args:
            seed: 0 to 2**31 - 1, decides everything about the episode; None: the next one of a
                sequence that the seed of an earlier reset decides.
            options: none are known.
        """
        if options:
            raise NitrogenError(f"reset has no option {', '.join(map(str, options))}")
        given = None if seed is None else check_seed(seed)
        super().reset(seed=given)
        self.episode_seed = int(self.np_random.integers(2**31)) if given is None else given
        with self._alone():
            self._over = "the latest reset failed"
            facts = self._begin(self.episode_seed)
            self._frames, self._over = 0, ""
            return self._observe(), self._info(Outcome(facts=facts))

    def step(
        self, action: Mapping[str, Any]
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Holds a pad for `frame_skip` frames; the frame that comes back shows it already."""
        pad = gamepad.apply_mask(spaces.to_pad(action), self.forbidden)
        with self._alone():
            if self._over:
                raise NitrogenError(f"step() is not possible: {self._over}")
            self.spent = {}
            begun = time.perf_counter()
            outcome = self._play(pad, self.frame_skip)
            self.spent = self.spent or {"game": time.perf_counter() - begun}
            self._frames += self.frame_skip
            if not (outcome.terminated or outcome.reason) and self._late():
                outcome = Outcome(False, TIME_LIMIT, outcome.reward, outcome.facts)
            if outcome.terminated or outcome.reason:
                self._over = f"the episode is over ({outcome.reason or 'terminated'}), reset() it"
            info = self._info(outcome)
            truncated = bool(outcome.reason)
            return self._observe(), float(outcome.reward), outcome.terminated, truncated, info

    def render(self) -> np.ndarray | None:
        """The latest frame in the game's own size, (h, w, 3) uint8 RGB."""
        if self.render_mode != "rgb_array":
            return None
        if self._frames == 0 and self._over:
            raise NitrogenError(f"render() is not possible: {self._over}")
        return np.array(self._see())

    def close(self) -> None:
        """Ends the game; reset() would start it again."""
        self._over = "it was closed, reset() it"
        self._end()

    # Parts ----------------------------------------------------------------------------------

    def _late(self) -> bool:
        return self.seconds is not None and self._frames >= round(self.seconds * self.fps)

    def _observe(self) -> np.ndarray:
        """The frame in the size of observations; always a new array."""
        return fitted(self._see(), self.size)

    def _info(self, outcome: Outcome) -> dict[str, Any]:
        info = {
            "frames": self._frames,
            "time": self._frames / self.fps,
            "seed": self.episode_seed,
            "level": self.level,
            "reason": outcome.reason,
            "reward": float(outcome.reward),
            "variables": {},
        }
        return info | dict(outcome.facts)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise NitrogenError("two calls at once: an environment is played by one thread")
        try:
            yield
        finally:
            self._busy.release()


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of a picture (h, w, 3) uint8 as (height, width, 3); the aspect ratio may change."""
    if picture.shape[1::-1] == tuple(size):
        return np.array(picture)
    smaller = size[0] <= picture.shape[1] and size[1] <= picture.shape[0]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=way)
