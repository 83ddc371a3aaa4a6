"""Real time with a real game on a real clock: SuperTux goes on while somebody thinks.

    pytest -m long -s tests/long/test_play_realtime.py

The policy is made up: it chooses one of four plans anew for every chunk, so that chunks only fit
together where they are made to. Takes about 5 minutes. The figures are printed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax.play import loop, smooth
from nitrogen_jax.play.mind import Live
from nitrogen_jax.sim import catalogue, play

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from test_realtime import Undecided

pytestmark = pytest.mark.long

SECONDS, FPS = 20, 60
SHORT = 6  # slots; a state of the plans' buttons lasts 12


def player():
    """With the released weights' action shift; compiled before the game begins."""
    made = Undecided(seed=1, shift=3)
    made.act([np.zeros((32, 32, 3), np.uint8)], 0)
    made.reset()
    return made


@pytest.mark.parametrize(
    ("rate", "delay"), [(60, 50), (60, 100), (60, 150), (30, 100), (30, 200), (30, 300)]
)
def test_chunks_continue_each_other_while_supertux_goes_on(rate, delay, capsys):
    lacking = catalogue.get("supertux").missing()
    if lacking:
        pytest.skip(lacking)
    found = {}
    options = {"size": (32, 32), "window": (256, 256), "render_mode": "rgb_array"}
    with catalogue.make("supertux", frame_skip=FPS // rate, **options) as env:
        for continuous in (True, False):
            mind = Live(player, continuous=continuous, delay=delay / 1e3)
            try:
                played = loop.episode(env, mind, 1, SECONDS * rate, paced=True)
            finally:
                mind.close()
            assert played.reason == loop.TIME
            wanted = play.take(iter(played.wanted), played.steps)
            found[continuous] = told = smooth.figures(wanted, mind.report, SHORT)
            assert told["slots"] == played.steps
            assert told["delay_ms"]["median"] >= delay
            with capsys.disabled():
                about = {"rate": rate, "delay": delay, "continuous": continuous}
                about |= {"wall": round(played.wall, 1), "overruns": played.overruns}
                about |= {"load": os.getloadavg()[0]}
                sys.stdout.write(f"\n{json.dumps({**about, **told})}\n")
    one, other = found[True], found[False]
    assert one["jerk_at_borders"] < other["jerk_at_borders"] / 1.5
    assert one["flicker_per_border"] < other["flicker_per_border"] / 4
