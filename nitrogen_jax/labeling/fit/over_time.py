"""What frames say of one another: the states of a row of frames, by what each shows and by habits.

A hidden Markov model's forward and backward passes. The likelihoods of frames are tempered: what a
background does to one frame it does to the next one, too, so that ten frames are not ten witnesses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nitrogen_jax.labeling.fit.habits import Habit

LEAST = 1e-30  # of a probability
FIRMEST = 200.0  # log-likelihood by which a state falls behind the best one, at most


class Told(NamedTuple):
    """What all frames together say of each.

    Attributes:
        others: (N, C, K) logarithm of what the other frames make of a frame's states.
        sure: (N, C, K) probabilities of them.
    """

    others: np.ndarray
    sure: np.ndarray


def told(scores: np.ndarray, habit: Habit, temper: float) -> Told:
    """The states of C independent chains of N frames.

    Args:
        scores: (N, C, K) log-likelihoods, up to a constant of each frame and chain.
        temper: that they are divided by.
    """
    behind = (scores - scores.max(-1, keepdims=True)) / temper
    seen = np.exp(np.maximum(behind, -FIRMEST)).astype(np.float64) + LEAST
    before = _pass(seen, habit.first, habit.next)
    backward = np.ascontiguousarray(habit.next.T)
    after = _pass(seen[::-1], np.full(len(habit.first), 1 / len(habit.first)), backward)[::-1]
    others = before * after
    sure = others * seen
    sure /= sure.sum(-1, keepdims=True)
    return Told(np.log(others + LEAST), sure)


def _pass(seen: np.ndarray, first: np.ndarray, step: np.ndarray) -> np.ndarray:
    """(N, C, K) what the frames before each one, in this order, make of its states."""
    messages = np.empty(seen.shape)
    now = np.broadcast_to(first, seen.shape[1:])
    for at, frame in enumerate(seen):
        messages[at] = now
        now = (now * frame) @ step
        now /= now.sum(-1, keepdims=True)
    return messages
