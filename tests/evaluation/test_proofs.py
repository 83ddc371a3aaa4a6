"""Every judge is proved twice: its task's proof makes it say success, a pad at rest failure.

The default run plays the proofs that take seconds and the begin of resting; the long one all of
both, as `nitrogen eval prove` does. Tasks of pip's games are proved in test_judges_adapters.py,
those whose judges are looked at more closely in files of their own as well.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from nitrogen_jax.evaluation import players, proof, rollout, tasks
from nitrogen_jax.sim.adapters import ADAPTERS

TASKS = [task for task in tasks.every().values() if task.game not in ADAPTERS]
QUICK = {
    "chromium-bsu/first-points",
    "etr/herring",
    "freedoom/bonuses",
    "freedoom/soldiers",
    "frozen-bubble/clear-10",
    "luanti/shaft",
    "neverball/hole",
    "openarena/lightning-gun",
    "supertux/pit",
    "xmoto/tutorial",
}
# What happens in these does not depend on the size of the window; drawing is most of the work.
TINY = {
    "supertux": {"window": (64, 48)},
    "neverball": {"fps": 30.0, "window": (64, 48)},
}
RESTS_S = 2.0


def playable(task):
    lacking = task.missing()
    if lacking:
        pytest.skip(lacking)
    return task


def test_each_game_has_a_quick_one():
    assert {name.partition("/")[0] for name in QUICK} == {task.game for task in TASKS}


@pytest.mark.parametrize("name", sorted(QUICK))
def test_the_proof_reaches_the_goal_and_rest_does_not(name):
    task = playable(tasks.get(name))
    tiny = replace(task, options={**task.options, **TINY.get(task.game, {})})
    with tiny.make() as env:
        reached = rollout.play(tiny, proof.player(tiny), task.proof_seed, env)
        assert (reached.outcome, reached.verdict.progress) == (rollout.SUCCESS, 1.0), reached.why
        assert reached.seconds <= task.seconds
    short = replace(tiny, seconds=RESTS_S)
    with short.make() as env:
        rested = rollout.play(short, players.baseline(short, "idle"), task.proof_seed, env)
        assert rested.outcome == rollout.FAILURE
        # Some slide or are hunted by themselves.
        assert rested.verdict.progress < 0.3


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_both_in_full(task):
    with playable(task).make() as env:
        held = proof.prove(task, env)
    assert held.holds, (held.reached.why, held.idle.why)
    assert held.reached.verdict.progress == 1.0
