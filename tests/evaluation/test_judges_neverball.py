"""Neverball's judges: ball, coins and endings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, proof, rollout
from nitrogen_jax.evaluation.judges import neverball
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.tasks import neverball as mine
from nitrogen_jax.sim import games, spaces
from nitrogen_jax.sim.game import Press

# How the ball rolls does not depend on the size of the window; drawing is most of the work.
TINY = {"fps": 30.0, "window": (64, 48)}
TASKS = {task.name: task for task in mine.TASKS}
installed = pytest.mark.skipif(
    games.get("neverball").missing() is not None, reason=str(games.get("neverball").missing())
)


@pytest.fixture(params=[pytest.param(one, id=one.name) for one in mine.TASKS])
def task(request):
    return request.param


@installed
@pytest.mark.long
def test_the_replay_says_the_same_as_the_memory():
    task = TASKS["neverball/goal"]
    with task.make() as env:
        played = rollout.play(task, proof.player(task), 0, env)
        header = (Path(env.session.home) / neverball.REPLAY).read_bytes()[: neverball.HEADER.size]
    _, _, time, coins, status, _ = neverball.HEADER.unpack(header)
    assert (coins, status) == (played.verdict.facts["coins"], neverball.GOAL)
    assert time / 100 == pytest.approx(played.seconds, abs=1.0)


@installed
@pytest.mark.long
def test_the_expert_reaches_the_goal(task):
    with task.make() as env:
        played = rollout.play(task, players.baseline(task, "expert"), 3, env)
        assert played.outcome == rollout.SUCCESS


@installed
def test_the_first_coins_of_a_proof_are_counted():
    """The short sibling of the long tests."""
    short = replace(TASKS["neverball/coins"], seconds=3.0, options=TINY)
    with short.make() as env:
        played = rollout.play(short, proof.player(short), 0, env)
    assert played.outcome == rollout.FAILURE
    assert 0 < played.verdict.progress < 0.2
    assert played.verdict.facts["coins"] == round(40 * played.verdict.progress)


@installed
def test_who_rolls_straight_on_falls_into_the_hole():
    hole = replace(TASKS["neverball/hole"], options=TINY)
    with hole.make() as env:
        fallen = rollout.play(hole, players.baseline(hole, "hold"), 0, env)
    assert fallen.outcome == rollout.FAILURE
    assert fallen.verdict.facts["ended"] == "fall"
    assert fallen.seconds < 10


@installed
def test_the_level_is_read_as_its_map_says_and_follows_the_ball():
    task = replace(TASKS["neverball/goal"], options=TINY)
    with task.make() as env:
        env.reset(seed=0)
        level = neverball.Level(env)
        first = level.read()
        with Memory(env.session.game_pid) as memory:
            lying = neverball.items(memory, level.place)
            *_, radius = neverball.ball(memory, memory.pointer(level.place))
        assert (first.x, first.z) == pytest.approx((1.0, -1.0))
        assert (first.coins, first.ended) == (0, neverball.GOING_ON)
        assert radius == pytest.approx(0.25)
        assert len(lying) == 18
        for _ in range(20):
            env.step(spaces.to_action(Press(1.0, left=(0, -1)).pad))
        assert level.read().z < first.z - 0.1
        assert level.read().velocity[2] < -0.3


HEADERS = st.tuples(
    st.binary(min_size=4, max_size=4), *[st.integers(-(2**31), 2**31 - 1) for _ in range(5)]
)


@given(HEADERS, st.binary(max_size=8))
def test_only_a_replay_with_time_and_a_known_status_has_ended(tmp_path_factory, header, more):
    path = tmp_path_factory.mktemp("replays") / "Last.nbr"
    path.write_bytes(neverball.HEADER.pack(*header) + more)
    _, version, time, _, status, _ = header
    if version != neverball.VERSION:
        with pytest.raises(NitrogenError, match="the replay is of version"):
            neverball.ending(path)
        return
    assert neverball.ending(path) == (status if time > 0 and 0 < status < 4 else 0)


@pytest.mark.parametrize(
    ("time", "status", "ended"),
    [(0, 3, neverball.GOING_ON), (676, 3, neverball.FALL), (1840, 2, neverball.GOAL)],
)
def test_endings(tmp_path, time, status, ended):
    path = tmp_path / "Last.nbr"
    assert neverball.ending(path) == neverball.GOING_ON
    path.write_bytes(b"\xafNBR")
    assert neverball.ending(path) == neverball.GOING_ON
    path.write_bytes(neverball.HEADER.pack(b"\xafNBR", 9, time, 7, status, 0))
    assert neverball.ending(path) == ended


def test_a_fall_is_failure_and_keeps_what_was_done(monkeypatch):
    states = [
        neverball.State(0.0, 0.0, 0.0, (0.0, 0.0, 0.0), coins, ended)
        for coins, ended in ((5, neverball.GOING_ON), (5, neverball.FALL))
    ]
    judge = neverball.coins(10)
    judge._level = type("Level", (), {"read": lambda self: states.pop(0)})()
    assert judge.look(None, {}).success is None
    verdict = judge.look(None, {})
    assert (verdict.success, verdict.progress) == (False, 0.5)


def test_what_is_no_ball_is_none():
    axes = np.eye(3).ravel()
    good = (*axes, 1, 0, 2, 0, 0, 0, 0, 0, 0, *axes, 0, 0, 0, 0.25)
    assert neverball._is_ball(good)
    assert not neverball._is_ball((*good[:-1], 0.0))
    assert not neverball._is_ball((*(2 * axes), *good[9:]))
    assert not neverball._is_ball((float("nan"), *good[1:]))
