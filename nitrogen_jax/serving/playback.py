"""Chunks become one pad for every control step, in lockstep with the game; without JAX.

A chunk that was asked for at control step i holds the actions of steps i + shift, i + shift + 1,
...; the action of step n is the one whose execution makes frame n. The frame of step i has been
made already, so what is played next is step i + 1.
"""

from __future__ import annotations

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.serving.facts import Facts, Player


class Timeline:
    """Actions by control step; a newer chunk replaces what an older one said about a step."""

    def __init__(self, facts: Facts):
        self._shift = facts.action_shift
        self.clear()

    def clear(self) -> None:
        """Forgets all actions."""
        self._actions: dict[int, np.ndarray] = {}

    def put(self, asked: int, chunk: np.ndarray, now: int) -> None:
        """Takes the actions of a chunk for the steps after `now`, and forgets those until then.

        Args:
            asked: control step of the newest frame that the chunk was made from.
            chunk: (T, 25).
        """
        actions = self._actions | dict(enumerate(chunk, asked + self._shift))
        self._actions = {step: action for step, action in actions.items() if step > now}

    @property
    def last(self) -> int:
        """The last control step with an action; -1 for none."""
        return max(self._actions, default=-1)

    def get(self, step: int) -> np.ndarray | None:
        """The action (25,) of a control step, None where no chunk reaches it."""
        return self._actions.get(step)


class Playback:
    """Plays the first actions of every chunk before it asks for the next."""

    def __init__(self, player: Player, execute: int | None = None):
        """
        Args:
            execute: actions played of each chunk; None: all.
        """
        facts = player.facts
        execute = facts.usable if execute is None else execute
        if not 1 <= execute <= facts.usable:
            raise NitrogenError(
                f"{execute} actions of each chunk are to be played, where 1 to {facts.usable} can"
            )
        self.player, self.execute = player, execute
        self._timeline = Timeline(facts)
        self._begin()

    def reset(self, seed: int | None = None) -> None:
        """Begins a game; None keeps the player's seed."""
        self.player.reset(seed)
        self._begin()

    def step(self, frame: np.ndarray) -> Pad:
        """The pad to play now, given the frame that is seen now.

        NOTE: with an action shift above 1, nothing is known about the first steps of a game; the
        pad rests until then.
        """
        self._frames.append(frame)
        if self._step % self.execute == 0:
            # Frames in between are of use to a policy that looks back alone.
            seen = self._frames if self.player.facts.frames > 1 else self._frames[-1:]
            self.chunk, self.chunk_step = self.player.act(seen, self._step), self._step
            self._timeline.put(self._step, self.chunk, self._step)
            self._frames = []
        self._step += 1
        action = self._timeline.get(self._step)
        return gamepad.decode(gamepad.neutral() if action is None else action)

    def _begin(self) -> None:
        self._step, self._frames = 0, []
        self.chunk: np.ndarray | None = None  # the latest, (T, 25)
        self.chunk_step = 0  # that it was asked for at
        self._timeline.clear()
