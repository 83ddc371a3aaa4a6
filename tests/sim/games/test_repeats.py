"""Every installed game, played twice: what repeats, and that it is the pad which moves it.

The same over 600 steps beside a busy process is in tests/sim/test_games.py.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nitrogen_jax.sim import games, play, spaces
from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.game import Game

STEPS, LET_GO = 90, 60
# Seconds of work before the first frame: 400 MB of pictures, a database of levels, a world.
SLOW = {"openarena", "xmoto", "luanti"}


@pytest.fixture(
    params=[
        pytest.param(slug, marks=pytest.mark.long) if slug in SLOW else slug
        for slug in games.slugs()
    ]
)
def game(request) -> Game:
    found = games.get(request.param)
    if found.missing():
        pytest.skip(found.missing())
    return found


def frames(game: Game, held: int) -> list[np.ndarray]:
    """The first frame and one a step: the game's script for `held` steps, then a pad at rest."""
    script = map(spaces.to_action, itertools.islice(play.script(game, game.fps), held))
    actions = itertools.chain(script, itertools.repeat(spaces.idle()))
    with GamepadEnv(game, window=(256, 256), size=(256, 256)) as env:
        seen = [env.reset(seed=7)[0]]
        for action in itertools.islice(actions, STEPS):
            frame, _, terminated, truncated, info = env.step(action)
            assert not terminated
            assert not truncated, info["reason"]
            seen.append(frame)
    return seen


def same(one: list[np.ndarray], other: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(*pair) for pair in zip(one, other, strict=True)]


def test_what_was_pressed_decides_what_is_seen(game):
    """Bit-equal while the same is pressed, where the game promises it; different afterwards."""
    equal = same(frames(game, STEPS), frames(game, LET_GO))
    assert not all(equal[LET_GO + 1 :])
    if game.repeats:
        assert all(equal[: LET_GO + 1])
