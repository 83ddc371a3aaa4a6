"""Checks, speed and physics of games, and that they notice what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report import physics_page
from nitrogen_jax.sim import bench, catalogue, check, games, physics, play, watch
from nitrogen_jax.sim.env import GamepadEnv

SMALL = {"window": (320, 240)}


@pytest.fixture
def doom():
    lacking = catalogue.get("freedoom").missing()
    if lacking:
        pytest.skip(lacking)
    return "freedoom"


def kept(found) -> dict[str, bool | None]:
    return {one.promise: one.kept for one in found}


def test_a_good_game_keeps_all_promises(doom):
    found = check.check(doom, steps=40, pause=0.3, load=True, options=SMALL)
    assert set(kept(found).values()) == {True}
    assert len(found) == 7


def test_a_pad_that_nobody_reads_is_noticed(doom, monkeypatch):
    deaf = replace(games.get(doom), home=lambda setup: {})
    monkeypatch.setattr(catalogue, "get", lambda slug: deaf)
    found = kept(check.check(doom, steps=30, pause=0.1, options=SMALL))
    assert found.pop("obeys the pad") is False
    assert all(found.values())


def test_time_that_goes_on_is_noticed(doom, monkeypatch):
    """A game that runs freely does not stand still."""
    begin = GamepadEnv._begin

    def free(self, seed):
        facts = begin(self, seed)
        self.session.set_mode("real")
        return facts

    monkeypatch.setattr(GamepadEnv, "_begin", free)
    found = kept(check.check(doom, steps=10, pause=0.3, options=SMALL))
    assert found["stands still for 0.3 s"] is False
    assert found["boots into play"] is True


def test_emulators_are_checked_too():
    lacking = catalogue.get("airstriker").missing()
    if lacking:
        pytest.skip(lacking)
    assert set(kept(check.check("airstriker", steps=60, pause=0.1)).values()) == {True}


def test_a_game_that_is_not_there_is_told():
    with pytest.raises(NitrogenError, match="there is no game 'fredoom': perhaps freedoom"):
        check.check("fredoom")


def test_the_processor_time_of_another_process_is_known():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        begin = watch.cpu_ns(busy.pid)
        until = time.monotonic() + 20
        while watch.cpu_ns(busy.pid) - begin < 50e6 and time.monotonic() < until:
            time.sleep(0.02)
        assert watch.cpu_ns(busy.pid) - begin >= 50e6
        assert watch.cpu_ns(os.getpid()) > 0
    finally:
        busy.kill()
        busy.wait()


def test_what_is_left_behind_is_seen():
    before = watch.held()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert child.pid in watch.held().children - before.children
    finally:
        child.kill()
        child.wait()
    assert watch.held().children == before.children


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")
def test_memory_of_others_is_not_left_behind():
    """What somebody has mapped is in use; what nobody has mapped was left."""
    before = watch.held().memory
    block = shared_memory.SharedMemory(create=True, size=4096)
    try:
        assert block.name in watch.held().memory - before
        assert block.name not in watch.forsaken({block.name})
        block.close()
        assert watch.forsaken({block.name, "no-such-block"}) == {block.name}
    finally:
        block.unlink()


def test_speed_is_measured(doom):
    found = bench.measure(doom, (320, 240), steps=60)
    assert found.drawn == (320, 240)
    assert found.steps == 60
    assert 0 < found.cpu_ms < 1000 / found.steps_per_s * 1.5
    assert found.step_ms > 0
    assert found.picture_ms > 0
    with pytest.raises(NitrogenError, match="at least 10"):
        bench.measure(doom, (320, 240), steps=3)


def test_a_game_of_pip_has_no_window():
    assert bench.windows("ale") == (None,)
    assert bench.windows("freedoom") == bench.WINDOWS
    lacking = catalogue.get("ale").missing()
    if lacking:
        pytest.skip(lacking)
    found = bench.measure("ale", None, steps=30)
    assert found.drawn == (160, 210)
    assert found.cpu_ms is None


# Physics


@pytest.fixture(scope="module")
def measured():
    lacking = catalogue.get("freedoom").missing()
    if lacking:
        pytest.skip(lacking)
    steps = []
    found = physics.measure(
        "freedoom",
        seconds=1.5,
        options=SMALL,
        read=lambda env: {"time": env.session.time},
        advance=steps.append,
    )
    assert sum(steps) == len(physics.RUNS) * round(1.5 * 35)
    return found


def test_pauses_change_nothing_and_the_pad_does(measured):
    by_name = {one.name: one for one in measured.comparisons}
    assert measured.pauses_change_nothing
    assert by_name["with pauses"].equal == 1
    assert by_name["with pauses"].difference.max() == 0
    assert by_name["with pauses"].state_difference == {"time": 0.0}
    assert by_name["idle pad"].first is not None
    assert by_name["idle pad"].difference.mean() > 1
    # How near real time comes depends on the machine; it is measured and not promised.
    assert np.isfinite(measured.real_share)
    assert by_name["real time"].difference.shape == by_name["idle pad"].difference.shape


def test_pauses_were_made_and_real_time_is_real(measured):
    by_name = {run.name: run for run in measured.runs}
    paused = {name for name, run in by_name.items() if run.paused}
    assert paused == {"with pauses"}
    assert by_name["with pauses"].seconds > by_name["with pauses"].paused > 0.2
    assert by_name["real time"].seconds >= 1.4
    assert {len(run.digests) for run in measured.runs} == {1 + round(1.5 * 35)}


def test_the_page_has_all_of_it(measured, tmp_path):
    pytest.importorskip("matplotlib")
    physics_page.write(measured, tmp_path / "page.html", "nitrogen sim physics freedoom")
    text = (tmp_path / "page.html").read_text()
    for words in ("Pauses change nothing", "real time again", "idle pad", "data:image/svg+xml"):
        assert words in text
    assert text.count("data:image/png") == len(physics.RUNS)
    assert len(physics_page.rows(measured)) == len(physics.RUNS)


def run_of(values, name="run", states=()) -> physics.Run:
    frames = np.stack([np.full((6, 8, 3), value, np.uint8) for value in values])
    digests = tuple(watch.digest(frame) for frame in frames)
    return physics.Run(name, frames, digests, tuple(states), 1.0, 0.0, len(values))


def test_a_comparison_forgives_a_shift_in_time_and_nothing_else():
    base = run_of([0, 10, 20, 30, 40, 50])
    same = physics.compare(base, base, near=1)
    assert (same.equal, same.first) == (1.0, None)
    late = physics.compare(base, run_of([0, 0, 10, 20, 30, 40]), near=1)
    assert late.first == 1
    np.testing.assert_array_equal(late.difference[:5], 0)
    far = physics.compare(base, run_of([0, 0, 0, 0, 10, 20]), near=1)
    assert far.difference[4] == 20
    short = physics.compare(base, run_of([0, 10, 20]), near=1)
    assert (short.first, short.difference.shape) == (3, (3,))


def test_without_repetition_there_is_no_verdict():
    base, paused, idle = run_of([0, 1]), run_of([0, 9], "with pauses"), run_of([5, 5], "idle pad")
    found = tuple(physics.compare(base, run, 0) for run in (paused, idle))
    about = ("it", "level", 60.0, 0, (base, paused, idle), found)
    assert physics.Physics(*about).pauses_change_nothing is False
    assert physics.Physics(*about, repeats=False).pauses_change_nothing is None


def test_states_are_compared():
    base = run_of([0, 0], states=[{"x": 1.0}, {"x": 5.0, "y": 2.0}])
    other = run_of([0, 0], states=[{"x": 1.5}, {"x": 8.0}])
    assert physics.compare(base, other, near=0).state_difference == {"x": 3.0}


def test_what_cannot_be_measured(doom):
    with pytest.raises(NitrogenError, match="two frames"):
        physics.measure(doom, seconds=0.01)
    with pytest.raises(NitrogenError, match="frame_skip"):
        physics.measure(doom, options={"frame_skip": 2})
    with pytest.raises(NitrogenError, match="there is no game 'ale'"):
        physics.measure("ale")


def test_an_episode_that_ends_early_is_told(doom):
    with pytest.raises(NitrogenError, match="fewer seconds are needed"):
        physics.measure(doom, seconds=2.0, options={**SMALL, "seconds": 0.5})


def test_first_differences():
    one, other = watch.Played(("a", "b", "c"), ""), watch.Played(("a", "b"), "exited")
    assert one.first_difference(one) is None
    assert one.first_difference(other) == 2
    assert watch.Played(("x", "b"), "").first_difference(other) == 0
    assert one.distinct == 3


def test_playing_stops_where_the_episode_does(doom):
    with GamepadEnv(doom, seconds=0.2, **SMALL) as env:
        played = watch.play(env, [play.idle()] * 20, 1)
    assert played.reason == "time_limit"
    assert len(played.digests) == 1 + 7
