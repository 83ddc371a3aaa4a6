"""What a policy is shown and what was really pressed, whatever the pictures came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax import gamepad


@dataclass(frozen=True, eq=False)
class Example:
    """One observation, and the actions that followed it where they are known.

    F context frames, T steps of a chunk, S pixels a side.
    """

    source: str  # the picture's or video's name
    frame: int  # of the newest context frame, counted in its source from 0
    time: float  # of that frame, in seconds; 0 for a picture
    frames: np.ndarray  # (F, S, S, 3) uint8 RGB, the newest last
    dropped: np.ndarray  # (F,) bool, context frames that are missing
    true: np.ndarray | None = None  # (T, 25) float32 buttons_first; None: nobody knows
    valid: np.ndarray | None = None  # (T,) bool, the steps of `true` that exist


class Problem(NamedTuple):
    """A file or record that could not be read to its end."""

    source: str
    read: int  # frames that could be read
    reason: str


class PartlyRead(Exception):
    """Raised by a reader after it has yielded all that could be read."""

    def __init__(self, problem: Problem):
        super().__init__(f"{problem.source}: {problem.reason}; {problem.read} frames were read")
        self.problem = problem


@dataclass(frozen=True)
class Source:
    """Examples in a fixed order: those of item 0, those of item 1, ..."""

    names: tuple[str, ...]  # of the items: pictures, videos or records
    read: Callable[[int, int], Iterator[Example]]  # (item, its examples to leave out first)
    identity: Mapping[str, Any]  # plain data; changes when the examples may have changed
    total: int | None = None  # examples, estimated; None: nobody knows


def following(
    actions: np.ndarray, frame: int, shift: int, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """The chunk that follows a frame: (T, 25) float32 and (T,) bool, which of its steps exist.

    Args:
        actions: (N, 25) float32 buttons_first; row i is what was pressed when frame i was made.
        frame: of the observation; the chunk begins `shift` rows later.
    """
    rows = frame + shift + np.arange(horizon)
    valid = (rows >= 0) & (rows < len(actions))
    true = gamepad.neutral(horizon)
    true[valid] = actions[rows[valid]]
    return true, valid
