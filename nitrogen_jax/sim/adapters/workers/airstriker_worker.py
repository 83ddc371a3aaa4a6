"""Runs stable-retro's Airstriker: a process can hold only one of its emulators."""

from __future__ import annotations

import numpy as np
import stable_retro
import wire

GAME = "Airstriker-Genesis-v0"
AT_REST = {"score": 0.0, "lives": 3.0, "gameover": 9.0}  # the emulator says nothing at a reset


class Airstriker:
    """The emulator; an action is a list of the buttons that are held."""

    def __init__(self):
        self._emulator = stable_retro.make(GAME, render_mode="rgb_array")

    def reset(self, seed, level):
        frame, _ = self._emulator.reset(seed=seed)
        return wire.answer(frame, variables=AT_REST)

    def step(self, action, frames):
        held = np.array([name in action for name in self._emulator.buttons], np.int8)
        reward, done = 0.0, False
        for _ in range(frames):
            frame, one, terminated, truncated, facts = self._emulator.step(held)
            reward, done = reward + one, terminated or truncated
            if done:
                break
        return wire.answer(frame, reward, done, facts)

    def close(self):
        self._emulator.close()


if __name__ == "__main__":
    wire.serve(Airstriker())
