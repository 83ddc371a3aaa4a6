"""Luanti's judges: its log is read right; the expert reaches the goal, idle does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.evaluation import players, proof, rollout
from nitrogen_jax.evaluation.judges import luanti as judges
from nitrogen_jax.evaluation.tasks import luanti
from nitrogen_jax.sim import games

QUICK = {"luanti/shaft"}

installed = pytest.mark.skipif(
    games.get("luanti").missing() is not None, reason=str(games.get("luanti").missing())
)

START = np.array((0.0, 14.5, 64.0))
TEXT = """\
2023-11-14 22:30:03: ACTION[Server]: nitrogen [127.0.0.1] joins game. List of players: nitrogen
2023-11-14 22:30:04: ACTION[Server]: nitrogen is at (0.00,14.50,64.00) turned 0.000 0.250
2023-11-14 22:30:13: ACTION[Server]: nitrogen digs default:dry_dirt at (0,14,64)
2023-11-14 22:30:13: ACTION[Server]: nitrogen places node default:dry_dirt at (-1,15,66)
2023-11-14 22:30:14: CHAT: <nitrogen> nitrogen digs default:stone at (0,1,64)
2023-11-14 22:30:15: ACTION[Server]: nitrogen digs default:stone at (0,12,64)
2023-11-14 22:30:15: ACTION[Server]: other digs default:stone at (0,2,64)
2023-11-14 22:30:16: ACTION[Server]: nitrogen is at (3.00,-12.50,68.00) turned 0.500 -0.100
"""


def test_a_log_tells_deeds_and_places():
    told = judges.read(TEXT)
    assert (judges.dug(told, START), judges.placed(told, START)) == (2, 1)
    assert told.placed[0][2] == (-1, 15, 66)
    # The ground is at 14: the first block of it, and the third.
    assert judges.depth(told, START) == 3
    assert judges.walked(told, START) == 5.0
    assert told.turned == (0.5, -0.1)


@given(st.integers(0, len(TEXT)))
def test_half_a_log_tells_no_more_than_the_whole(cut):
    whole, half = judges.read(TEXT), judges.read(TEXT[:cut])
    assert whole.dug[: len(half.dug)] == half.dug
    assert whole.placed[: len(half.placed)] == half.placed


@installed
@pytest.mark.parametrize(
    "task",
    [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else [pytest.mark.long])
        for one in luanti.TASKS
    ],
)
def test_the_expert_reaches_the_goal_and_idle_does_not(task):
    with task.make() as env:
        reached = rollout.play(task, proof.player(task), 0, env)
        assert (reached.outcome, reached.verdict.progress) == (rollout.SUCCESS, 1.0), reached.why
    short = replace(task, seconds=1.0)
    with short.make() as env:
        idle = rollout.play(short, players.baseline(short, "idle"), 0, env)
        assert (idle.outcome, idle.verdict.progress) == (rollout.FAILURE, 0.0)


@installed
@pytest.mark.long
@pytest.mark.parametrize("task", luanti.TASKS, ids=lambda task: task.name)
def test_idle_fails_in_all_the_time_there_is(task):
    with task.make() as env:
        assert rollout.play(task, players.baseline(task, "idle"), 0, env).outcome == rollout.FAILURE
