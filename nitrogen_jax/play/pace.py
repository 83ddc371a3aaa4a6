"""Steps and time: how many frames make a step, and when a step is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from nitrogen_jax.errors import NitrogenError

_EXACT = 1e-6


def frame_skip(title: str, fps: float, rate: float | None) -> tuple[int, str]:
    """Frames of a game to one action, and a sentence where that is not what the policy means.

    Args:
        title: of the game.
        fps: frames in a second of game time.
        rate: Hz of the policy's actions; None: nobody knows.
    """
    if rate is None:
        return 1, (
            f"the policy does not say at which rate it acts: each of {title}'s {fps:g} frames a "
            "second is a step (--frame-skip N says otherwise)"
        )
    if not rate > 0:
        raise NitrogenError(f"the policy acts at {rate} Hz, where more than 0 is needed")
    skip = max(1, round(fps / rate))
    factor = fps / skip / rate
    if abs(factor - 1) < _EXACT:
        return skip, ""
    frames = "1 frame" if skip == 1 else f"{skip} frames"
    return skip, (
        f"the policy acts {rate:g} times a second and {title} makes {fps:g} frames: with {frames} "
        f"to a step its actions are played {factor:.3g} times as fast as it means them"
    )


class Pace:
    """Lets steps begin no faster than time passes.

    Time that was lost is not made up for: a game must not run ahead.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """
        Args:
            rate: steps a second.
        """
        self._period, self._clock, self._sleep = 1 / rate, clock, sleep
        self._due: float | None = None
        self.overruns = 0  # steps that took longer than their time

    def wait(self) -> None:
        """Returns when the next step is due."""
        now = self._clock()
        if self._due is None:
            self._due = now
        elif now > self._due:
            self.overruns += 1
            self._due = now
        else:
            self._sleep(self._due - now)
        self._due += self._period
