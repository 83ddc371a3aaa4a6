"""Runs a game of procgen2, whose level the seed makes, in the old Python packages that it needs."""

from __future__ import annotations

import sys

import numpy as np
import procgen_state
import wire
from procgen import ProcgenGym3Env

FACTS = ("prev_level_complete", "level_seed", "prev_level_seed")


class Procgen:
    """One game; an action is the index of one of its 15 combinations of keys."""

    def __init__(self, state=False):
        self._game, self._frame, self._facts = None, None, {}
        self._state = {} if state else None  # the level's, of before the end; None: not asked for

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
        self._look()
        return self._answer()

    def step(self, action, frames):
        total, done = 0.0, False
        for _ in range(frames):
            self._game.act(np.array([action], np.int32))
            reward, _, first = self._game.observe()
            total, done = total + float(reward[0]), bool(first[0])
            self._look(over=done)
            if done:
                break
        return self._answer(total, done)

    def close(self):
        if self._game is not None:
            self._game.close()

    def _look(self, over=False):
        """Sees how it is now; after the end only facts, as the next episode is seen already."""
        facts = self._game.get_info()[0]  # NOTE: draws the picture, so once a frame is enough
        self._facts = {name: facts[name] for name in FACTS if name in facts}
        if over:
            return
        self._frame = np.array(facts["rgb"])
        if self._state is not None:
            self._state = procgen_state.read(self._game.callmethod("get_state")[0])

    def _answer(self, reward=0.0, done=False):
        answer = wire.answer(self._frame, reward, done, self._facts)
        return answer if self._state is None else {**answer, "state": self._state}


if __name__ == "__main__":
    wire.serve(Procgen(state="--state" in sys.argv[1:]))
