"""A policy as the loop asks it: which chunk a pad is of, and where its time went."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.play.latency import Latency, Timed
from nitrogen_jax.play.mind import Live, Lockstep

FRAME = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("shift", [1, 3])
def test_the_game_waits_for_every_chunk(waving, the_wave, shift):
    player = waving(shift=shift)
    mind = Lockstep(player, execute=5)
    for step in range(1, 23):
        decision = mind.decide(FRAME)
        asked = (step - 1) // 5 * 5
        assert decision.asked == asked
        assert bool(decision.parts) == (step - 1 == asked)
        wanted = the_wave(step) if step >= shift else gamepad.neutral()
        np.testing.assert_array_equal(
            gamepad.pack(decision.pad), gamepad.pack(gamepad.decode(wanted))
        )
        np.testing.assert_array_equal(decision.chunk[0], the_wave(asked + shift))
    # Pictures come in the policy's size.
    assert player.asked == [(step, [(32, 32, 3)]) for step in (0, 5, 10, 15, 20)]
    mind.close()
    assert player.closed


def test_a_choice_that_cannot_be_closes_the_player(waving):
    player = waving()
    with pytest.raises(NitrogenError, match="19 actions of each chunk"):
        Lockstep(player, execute=19)
    assert player.closed


def test_the_game_waits_for_nobody(waving, the_wave):
    gate, made = threading.Event(), []

    class Slow(waving):
        def act(self, *asked):
            gate.wait(60)
            return super().act(*asked)

    def make():
        made.append((Slow(), threading.current_thread()))
        return made[0][0]

    mind = Live(make, delay=0.02)
    try:
        for _ in range(4):  # does not wait
            decision = mind.decide(FRAME)
            assert decision.chunk is None
            assert gamepad.is_idle(decision.pad)
        gate.set()
        while not decision.parts:
            time.sleep(0.005)
            decision = mind.decide(FRAME)
        assert decision.asked == 0
        assert set(decision.parts) == {"preprocess", "infer", "queue", "injected", "slot"}
        assert sum(decision.parts[part] for part in ("preprocess", "infer", "injected")) >= 20
        assert all(value >= 0 for value in decision.parts.values())
        # The parts are all there is between question and answer.
        assert sum(decision.parts.values()) == pytest.approx(
            1e3 * mind.report.seconds[0], rel=0.02, abs=1.0
        )
        assert mind.report.before_first == mind.report.slots - 1
    finally:
        gate.set()
        mind.close()
    player, thread = made[0]
    assert thread is not threading.current_thread()
    assert player.closed


def test_a_policy_that_cannot_be_made_is_told(waving):
    def make():
        raise NitrogenError("there is no such server")

    with pytest.raises(NitrogenError, match="no such server"):
        Live(make)
    closed = []

    class Plain(waving):
        def __init__(self):
            super().__init__()
            self.facts = self.facts.__class__(18, 1, 1, 1, 32, inpaint=False)

        def close(self):
            closed.append(self)

    with pytest.raises(NitrogenError, match="--realtime"):
        Live(Plain)
    assert len(closed) == 1


class Clock:
    """Everything takes a second longer than what came before."""

    def __init__(self):
        self.now, self.step = 0.0, 0.0

    def __call__(self):
        self.step += 1
        self.now += self.step
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("timing", "wanted"),
    [
        ({}, {"preprocess": 2000, "infer": 3000}),
        (
            {"preprocess_ms": 5.0, "infer_ms": 7.0},
            {"preprocess": 2005, "infer": 7},
        ),
        (
            {"total_ms": 100.0, "queue_ms": 40.0, "infer_ms": 60.0, "batch": 4},
            {"preprocess": 2000, "queue": 40, "infer": 60, "network": 2900},
        ),
    ],
)
def test_what_a_player_says_of_itself_is_believed(waving, timing, wanted):
    clock, player = Clock(), waving()
    player.timing = timing
    timed = Timed(player, clock=clock, sleep=clock.sleep)
    timed.act([FRAME], 0)
    assert timed.parts == pytest.approx(wanted)


def test_percentiles_are_of_all_steps():
    latency, rng = Latency(), np.random.default_rng(0)
    values = rng.exponential(5.0, 500)
    for number, value in enumerate(values):
        latency.add({"game": value, **({"infer": 2 * value} if number % 5 == 0 else {})})
    found = latency.summary()
    assert list(found) == ["infer", "game"]  # as PARTS has them
    assert found["infer"]["count"] == 100
    for quantile in (50, 95, 99):
        assert found["game"][f"p{quantile}"] == pytest.approx(
            np.percentile(values, quantile), abs=1e-3
        )
