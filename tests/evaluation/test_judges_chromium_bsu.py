"""Chromium B.S.U.'s judges: memory tells what is shown; proofs pass, idle fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nitrogen_jax.evaluation import players, proof, rollout
from nitrogen_jax.evaluation.judges.chromium_bsu import Reader
from nitrogen_jax.evaluation.tasks import chromium_bsu
from nitrogen_jax.sim import games
from nitrogen_jax.sim.game import Press

TASKS = {task.name: task for task in chromium_bsu.TASKS}
QUICK = {"chromium-bsu/first-points"}

pytestmark = pytest.mark.skipif(
    games.get("chromium-bsu").missing() is not None,
    reason=str(games.get("chromium-bsu").missing()),
)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else [pytest.mark.long])
        for one in chromium_bsu.TASKS
    ],
)
def test_the_proof_reaches_the_goal_and_idle_does_not(task):
    with task.make() as env:
        reached = rollout.play(task, proof.player(task), 0, env)
        assert (reached.outcome, reached.verdict.progress) == (rollout.SUCCESS, 1.0), reached.why
        idle = rollout.play(task, players.baseline(task, "idle"), 0, env)
        # An enemy got past, long before the time was over.
        assert idle.outcome == rollout.FAILURE
        assert idle.verdict.facts["ships"] == reached.verdict.facts["ships"] - 1
        assert idle.seconds < task.seconds - 2


@pytest.mark.long
def test_memory_tells_the_ships_that_are_shown():
    """Each ship that is left is a picture in the right margin, from the top on."""
    task = replace(TASKS["chromium-bsu/first-points"], seconds=60.0)
    with task.make() as env:
        env.reset(seed=0)
        reader, shown = Reader(env), {}
        while (ships := reader.hero().ships) >= 1:
            # What flies through the margin is there for a moment only.
            column = [env.session.frame()[:200, 292:312].astype(int)]
            for _ in range(4):
                env.press(Press(0.1))
                column.append(env.session.frame()[:200, 292:312].astype(int))
            bright = np.median(column, 0).max(-1).max(1) > 150
            shown.setdefault(ships, []).append(int(bright.sum()))
    rows = {ships: np.median(found) for ships, found in shown.items()}
    assert set(rows) == {1, 2, 3, 4}
    assert rows[1] < rows[2] < rows[3] < rows[4]
