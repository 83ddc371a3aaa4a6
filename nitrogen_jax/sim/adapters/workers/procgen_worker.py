"""Runs a game of procgen2, whose level the seed makes, in the old Python packages that it needs."""

from __future__ import annotations

import numpy as np
import wire
from procgen import ProcgenGym3Env

FACTS = ("prev_level_complete", "level_seed", "prev_level_seed")


class Procgen:
    """One game; an action is the index of one of its 15 combinations of keys."""

    def __init__(self):
        self._game, self._frame = None, None

    def reset(self, seed, level):
        self.close()
        self._game = ProcgenGym3Env(
            num=1,
            env_name=level,
            num_levels=1,
            start_level=seed,
            rand_seed=seed,
            distribution_mode="easy",
            render_mode="rgb_array",
        )
        self._frame = self._picture()
        return wire.answer(self._frame, variables=self._facts())

    def step(self, action, frames):
        total, done = 0.0, False
        for _ in range(frames):
            self._game.act(np.array([action], np.int32))
            reward, _, first = self._game.observe()
            total, done = total + float(reward[0]), bool(first[0])
            if done:  # what is seen now is the next episode
                break
            self._frame = self._picture()
        return wire.answer(self._frame, total, done, self._facts())

    def close(self):
        if self._game is not None:
            self._game.close()

    def _picture(self):
        return np.array(self._game.get_info()[0]["rgb"])

    def _facts(self):
        facts = self._game.get_info()[0]
        return {name: facts[name] for name in FACTS if name in facts}


if __name__ == "__main__":
    wire.serve(Procgen())
