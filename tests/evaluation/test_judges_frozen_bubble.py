"""Frozen-Bubble's judges: what the game tells of its board."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, rollout
from nitrogen_jax.evaluation.experts.frozen_bubble import lands, neighbours, worth
from nitrogen_jax.evaluation.judges import frozen_bubble
from nitrogen_jax.evaluation.judges.frozen_bubble import Board, read
from nitrogen_jax.evaluation.tasks import frozen_bubble as mine
from nitrogen_jax.sim import games, spaces
from nitrogen_jax.sim.game import Press

TASKS = {task.name: task for task in mine.TASKS}
installed = pytest.mark.skipif(
    games.get("frozen-bubble").missing() is not None,
    reason=str(games.get("frozen-bubble").missing()),
)


@installed
@pytest.mark.long
@pytest.mark.parametrize("name", ["frozen-bubble/clear", "frozen-bubble/clear-10"])
def test_the_expert_reaches_the_goal_of_another_seed(name):
    # It loses some of the boards that chance draws.
    task = TASKS[name]
    with task.make() as env:
        played = rollout.play(task, players.baseline(task, "expert"), 3, env)
        assert played.outcome == rollout.SUCCESS


@installed
def test_a_shot_is_told_of_and_hangs_where_the_expert_expects_it():
    with TASKS["frozen-bubble/clear"].make() as env:
        env.reset(seed=0)
        first = read(env.session.log_text())
        assert (first.state, first.shots, first.flying, first.roof) == ("game", 0, False, 0)
        assert first.angle == pytest.approx(math.pi / 2, abs=1e-3)
        assert len(first.bubbles) == 30
        steps = [Press(1.0, left=(-1, 0))] * 10 + [Press(1.0, ("SOUTH",))] + [Press(1.0)] * 60
        for press in steps:
            env.step(spaces.to_action(press.pad))
            now = read(env.session.log_text())
            if now.shots == 1 and not now.flying:
                break
        cell = lands(first, now.angle)
        assert now.angle == pytest.approx(first.angle + 0.3, abs=1e-3)
        assert set(now.bubbles) - set(first.bubbles) == {(*cell, first.colour)}


BOARD = Board(1.5, "game", 3, False, 0, 2, ((0, 0, 2), (1, 0, 2), (0, 1, 5), (5, 0, 1)))
TOLD = "told 1.5000 game 3 0 0 2 0,0,2 1,0,2 0,1,5 5,0,1"


def test_the_last_whole_line_counts():
    assert read(f"hello\ntold 1.0 game 0 0 0 1\n{TOLD}\ntold 1.2 ga") == BOARD
    with pytest.raises(NitrogenError, match="told nothing"):
        read("hello\n")
    for broken in ("told x game 0 0 0 1", "told 1 gone 0 0 0 1", "told 1 game 0", "told 1"):
        with pytest.raises(NitrogenError, match="which is no board"):
            read(f"{broken}\n")
    with pytest.raises(NitrogenError, match="which is no board"):
        read("told 1 game 0 0 0 1 3,4\n")


@given(st.text(max_size=60))
def test_whatever_is_told_is_a_board_or_an_error(text):
    with contextlib.suppress(NitrogenError):
        assert isinstance(read(f"told {text}\n"), Board)


def test_losing_is_failure_and_keeps_what_was_done():
    judge = frozen_bubble.thins(4)
    judge._first = 6
    assert judge.verdict(BOARD).progress == 0.5
    lost = judge.verdict(replace(BOARD, state="lost", bubbles=()))
    assert (lost.success, lost.progress) == (False, 0.5)


def test_a_level_is_cleared_when_the_game_says_so():
    judge = frozen_bubble.clears()
    judge._first = 6
    almost = judge.verdict(replace(BOARD, bubbles=()))
    assert almost.success is None
    assert almost.progress == 0.99
    assert judge.verdict(replace(BOARD, state="won", bubbles=())).success is True


def test_what_falls_is_what_a_shot_is_worth():
    # Three of one colour go, and what hung from them alone; the one at the roof stays.
    assert worth(BOARD, (2, 0)) == 3
    assert worth(BOARD, (6, 0)) < 0
    assert worth(BOARD, (0, 0)) == -100


@given(st.tuples(st.integers(0, 7), st.integers(0, 11)))
def test_neighbours_are_mutual(cell):
    around = neighbours(cell)
    assert len(set(around)) == 6
    assert all(cell in neighbours(one) for one in around)
