"""Freedoom's judges: what the engine counts is what is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, rollout
from nitrogen_jax.evaluation.judges import doom
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.tasks import freedoom
from nitrogen_jax.sim import games

TASKS = {task.name: task for task in freedoom.TASKS}

pytestmark = pytest.mark.skipif(
    games.get("freedoom").missing() is not None, reason=str(games.get("freedoom").missing())
)


@pytest.mark.long
@pytest.mark.parametrize("task", freedoom.TASKS, ids=lambda task: task.name)
def test_the_expert_reaches_the_goal(task):
    with task.make() as env:
        played = rollout.play(task, players.baseline(task, "expert"), 3, env)
        assert played.outcome == rollout.SUCCESS


def test_what_is_read_is_what_the_level_begins_with():
    task = TASKS["freedoom/bonuses"]
    with task.make() as env:
        env.reset(seed=0)
        with Memory(env.session.game_pid) as memory:
            place = doom.find_player(memory)
            person = doom.read_player(memory, place)
    assert (person.health, person.armor) == (100, 0)
    assert (person.kills, person.items, person.secrets) == (0, 0, 0)
    # The level's own record of where the player starts.
    assert (person.x, person.y) == (-160.0, 304.0)
    assert person.angle == pytest.approx(0.0)


def test_death_is_failure_even_with_enough_kills():
    dead = doom.Person(0, 0, 9, 0, 0, 0.0, 0.0, 0.0)
    judge = doom.counts("kills", 3)
    judge._first = replace(dead, health=100, kills=0)
    assert judge.verdict(dead).success is False
    assert judge.verdict(replace(dead, health=1)).success is True


def test_a_program_without_a_player_cannot_be_judged():
    import os

    with Memory(os.getpid()) as memory, pytest.raises(NitrogenError, match="0 records"):
        doom.find_player(memory)
