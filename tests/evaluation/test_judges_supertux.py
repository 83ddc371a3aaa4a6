"""SuperTux's judges: where Tux is, how the program ends."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges import supertux
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.tasks import supertux as mine
from nitrogen_jax.sim import games, spaces
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import EXITED

TASKS = {task.name: task for task in mine.TASKS}
# What happens in a level does not depend on the size of the window; drawing is most of the work.
TINY = {"window": (64, 48)}
installed = pytest.mark.skipif(
    games.get("supertux").missing() is not None, reason=str(games.get("supertux").missing())
)


@installed
def test_tux_is_found_where_the_level_puts_him_and_followed():
    task = replace(TASKS["supertux/pit"], options=TINY)
    with task.make() as env:
        _, info = env.reset(seed=0)
        with Memory(env.session.game_pid) as memory:
            tux, box = supertux.find_tux(memory, supertux.class_of(memory))
            x, y, width, height = memory.unpack(box, "<4f")
            assert tux < box
        assert x == 96.0  # the level's spawn point
        assert 500 < y < 600
        assert 30 < width < 36
        assert 28 < height < 66
        judge = task.judge()
        judge.begin(env, info)
        seen = []
        for stick, steps in (((1, 0), 20), ((-1, 0), 50)):
            for _ in range(steps):
                *_, info = env.step(spaces.to_action(Press(1.0, left=stick).pad))
                verdict = judge.look(env, info)
            seen.append((verdict.facts["x"], verdict.progress))
        (far, done), (back, kept) = seen
        assert far > 120
        assert back < far
        assert 0 < done <= kept < 0.1


def test_what_an_exit_code_means():
    for code, success in ((0, True), (1, False)):
        judge = supertux.Finish(far=9000.0)
        verdict = judge.look(None, {"reason": EXITED, "exit_code": code, "time": 9.0})
        assert (verdict.success, verdict.progress) == (success, float(success))


def test_a_program_without_tux_cannot_be_judged():
    with Memory(os.getpid()) as memory, pytest.raises(NitrogenError, match="0 classes"):
        supertux.class_of(memory)
