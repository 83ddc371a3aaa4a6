"""How many frames make a step, and when a step is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.play.pace import Pace, frame_skip


@given(st.integers(1, 120), st.integers(1, 30))
def test_a_rate_that_divides_is_met_in_silence(rate, skip):
    assert frame_skip("A Game", rate * skip, rate) == (skip, "")


@given(st.floats(10, 120), st.floats(1, 120))
def test_any_other_is_met_as_well_as_whole_frames_can(fps, rate):
    skip, sentence = frame_skip("A Game", fps, rate)
    assert skip >= 1
    apart = abs(fps / skip - rate)
    if skip > 1:
        # Nearest in frames: half a frame away from what the policy means, at most.
        assert abs(fps / rate - skip) <= 0.5
    assert bool(sentence) == (apart / rate > 1e-6)


def test_what_is_told():
    skip, sentence = frame_skip("Doom", 35, 30)
    assert skip == 1
    assert "30 times a second and Doom makes 35 frames" in sentence
    assert "1.17 times as fast" in sentence
    assert frame_skip("Doom", 64, 30)[0] == 2
    skip, sentence = frame_skip("Doom", 35, None)
    assert skip == 1
    assert "does not say at which rate" in sentence
    with pytest.raises(NitrogenError, match="acts at 0 Hz"):
        frame_skip("Doom", 35, 0)


class Clock:
    def __init__(self):
        self.now, self.slept = 100.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


def test_steps_begin_when_they_are_due():
    clock = Clock()
    pace = Pace(50, clock, clock.sleep)
    begun = []
    for work in (0.005, 0.015, 0.0, 0.019):
        pace.wait()
        begun.append(clock.now)
        clock.now += work
    assert begun == pytest.approx([100.0, 100.02, 100.04, 100.06])
    assert pace.overruns == 0


def test_lost_time_is_counted_and_not_made_up_for():
    clock = Clock()
    pace = Pace(50, clock, clock.sleep)
    begun = []
    for work in (0.07, 0.001, 0.001):
        pace.wait()
        begun.append(clock.now)
        clock.now += work
    pace.wait()
    assert begun == pytest.approx([100.0, 100.07, 100.09])
    assert clock.now == pytest.approx(100.11)
    assert pace.overruns == 1
