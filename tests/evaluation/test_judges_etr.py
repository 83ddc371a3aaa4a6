"""Extreme Tux Racer's judges: memory tells what the game itself writes down."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from nitrogen_jax.evaluation import proof, rollout
from nitrogen_jax.evaluation.judges.etr import LENGTH, Reader
from nitrogen_jax.evaluation.tasks import etr
from nitrogen_jax.sim import games
from nitrogen_jax.sim.errors import GameExited
from nitrogen_jax.sim.game import Press, keys_in_turn

TASKS = {task.name: task for task in etr.TASKS}

pytestmark = pytest.mark.skipif(
    games.get("etr").missing() is not None, reason=str(games.get("etr").missing())
)


def test_what_is_read_is_where_the_course_begins():
    with TASKS["etr/finish"].make() as env:
        env.reset(seed=0)
        race = Reader(env).race()
        # The course's own file: startx 45, starty 3.5.
        assert race.x == pytest.approx(45.0, abs=0.5)
        assert race.way == pytest.approx(3.5, abs=3.0)
        assert (race.herring, race.finished) == (0, False)
        assert 0.0 < race.time < 2.0


@pytest.mark.long
def test_memory_tells_what_the_game_writes_into_its_high_scores():
    task = TASKS["etr/finish"]
    with task.make() as env:
        played = rollout.play(task, proof.player(task), 0, env)
        assert played.outcome == rollout.SUCCESS
        facts = played.verdict.facts
        assert facts["metres"] >= LENGTH
        # It slides out; then the result, the list of courses, the main menu and its last line.
        env.press(Press(12.0))
        home = Path(env.session.home)
        keys = ("Return", "Escape", *["Down"] * 6)
        for press in keys_in_turn(*keys, pause=0.5):
            env.press(press)
        with contextlib.suppress(GameExited):
            env.press(Press(3.0, keys=("Return",)))
        text = (home / ".etr/highscore").read_text()
    found = re.search(r"\[herr\] (\d+) \[time\] ([\d.]+)", text)
    assert found, text
    assert float(found[1]) == facts["herring"]
    # The game writes tenths of a second.
    assert float(found[2]) == pytest.approx(facts["race_seconds"], abs=0.051)
