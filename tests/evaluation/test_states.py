"""Numbers of running games: of those that judges can read, of no others."""

from __future__ import annotations

import pytest

from nitrogen_jax.evaluation import states, tasks
from nitrogen_jax.sim import games, spaces
from nitrogen_jax.sim.env import GamepadEnv


def test_only_what_a_judge_reads():
    assert states.reader("xmoto") is None
    assert all(states.TASKS[slug] in tasks.every() for slug in states.TASKS)


@pytest.mark.parametrize("slug", sorted(states.TASKS))
def test_who_walks_is_elsewhere_and_a_new_episode_begins_where_it_did(slug):
    lacking = games.get(slug).missing()
    if lacking:
        pytest.skip(lacking)
    read = states.reader(slug)
    with GamepadEnv(slug, size=(64, 64), frame_skip=30) as env:
        env.reset(seed=1)
        first = read(env)
        held = spaces.idle()
        held["sticks"][:] = (1, -1, 0, 0)
        env.step(held)
        walked = read(env)
        assert max(abs(walked[name] - first[name]) for name in ("x", "y") if name in first) > 5
        env.reset(seed=1)
        assert read(env) == first
