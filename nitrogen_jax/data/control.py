"""From the rows of a recording to the steps of a controller: other rates, other starts.

Row i of a recording at time t_i is the state of the pad whose step made frame i. Seen from a
frame at time t, control step k of a chunk takes place at t + (shift + k) / rate. Its state is
that of the row whose frame is the first at that time or after; times are rounded in files, so
that a row counts up to a quarter of a frame early. A button is pressed if any row since the step
before has it pressed, so that no press is lost at a lower rate; sticks are those of the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

# Of a frame. Not a quarter: common pairs of rates would then meet it exactly, and rounding decide.
EARLY = 0.2345


@dataclass(frozen=True)
class Steps:
    """The control steps that belong to a frame.

    Attributes:
        horizon: steps in a chunk.
        shift: control steps from the frame to the first step.
        rate: control steps per second; None: one for each frame of the recording.
    """

    horizon: int = 18
    shift: int = 1
    rate: float | None = None

    def check(self) -> Steps:
        """Returns itself; raises one sentence where a number makes no sense."""
        if self.horizon < 1 or self.shift < 0:
            raise NitrogenError(
                f"steps: horizon is {self.horizon} and shift {self.shift}, where at least 1 and "
                "0 are needed"
            )
        if self.rate is not None and not 0 < self.rate < 1000:
            raise NitrogenError(f"steps: the control rate is {self.rate}, where Hz are needed")
        return self


def step_rows(
    steps: Steps, times: np.ndarray, rate: float, frames: np.ndarray, lag: int = 0
) -> np.ndarray:
    """(n, T + 1) int64: the last row of the step before the chunk, and of each of its steps.

    Rows may lie beyond the recording: the numbers below 0 and from R on are not there. Frames are
    taken to go on evenly there, so that a lag counts from where they would be.

    Args:
        times: (R,) seconds of the rows, ascending; R is not 0.
        rate: rows per second, on average.
        frames: (n,) int, rows of the frames that the chunks belong to.
        lag: rows by which the labels come late.
    """
    k = np.arange(-1, steps.horizon) + steps.shift
    frames = np.asarray(frames, np.int64)[:, None]
    if steps.rate is None:
        return frames + k + lag
    times = np.asarray(times, np.float64)
    at = times[frames] + k / steps.rate - EARLY / rate
    rows = np.searchsorted(times, at, side="left")
    before, after = (at - times[0]) * rate, (at - times[-1]) * rate
    rows = np.where(before < 0, np.ceil(before), rows)
    rows = np.where(after > 0, len(times) - 1 + np.ceil(after), rows)
    return rows.astype(np.int64) + lag


def exists(rows: np.ndarray, count: int) -> np.ndarray:
    """(..., T) bool for rows (..., T + 1): which steps lie within a recording of `count` rows."""
    return (rows[..., 1:] >= 0) & (rows[..., 1:] < count)


def pool(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, T, ...) the largest value among the rows of each step; what is not there counts as 0.

    Args:
        values: (R, ...) not negative.
        rows: (n, T + 1) as from `step_rows`.
    """
    before, last = rows[..., :-1], rows[..., 1:]
    there = exists(rows, len(values))
    found = _at(values, last, there)
    for back in range(1, int((last - before).max(initial=1))):
        found = np.maximum(found, _at(values, last - back, there & (last - back > before)))
    return found


def resample(actions: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chunks (n, T, 25) float32 and (n, T) bool, which of their steps exist.

    Args:
        actions: (R, 25) float32, buttons_first.
        rows: (n, T + 1) as from `step_rows`.
    """
    at = gamepad.layout_slices()
    there = exists(rows, len(actions))
    chunks = gamepad.neutral(there.shape)
    chunks[there] = actions[rows[..., 1:][there]]
    if (np.diff(rows) > 1).any():
        chunks[..., at.buttons] = pool(actions[:, at.buttons], rows)
    return chunks, there


def _at(values: np.ndarray, rows: np.ndarray, there: np.ndarray) -> np.ndarray:
    there = there & (rows >= 0) & (rows < len(values))
    found = values[np.where(there, rows, 0)] if len(values) else np.zeros(())
    return np.where(there.reshape(*there.shape, *(1,) * (values.ndim - 1)), found, 0)
