"""Rates and shares by a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nitrogen_jax.training.throughput import Meter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def tick(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    return Meter(samples=32, flops_per_sample=1e9, peak=1e12, clock=clock)


def steps(meter, clock, count, wait=0.1, work=0.3):
    for _ in range(count):
        with meter.waiting():
            clock.tick(wait)
        clock.tick(work)
        meter.step_done()


def test_rates(meter, clock):
    steps(meter, clock, 10)
    found = meter.window()
    assert found["samples_per_s"] == pytest.approx(80)
    assert found["step_ms"] == pytest.approx(400)
    assert found["data_wait"] == pytest.approx(0.25)
    assert found["mfu"] == pytest.approx(80 * 1e9 / 1e12)
    assert found["seconds_apart"] == {}


def test_a_window_knows_nothing_of_the_one_before(meter, clock):
    steps(meter, clock, 10)
    meter.window()
    steps(meter, clock, 5, wait=0.0, work=0.1)
    found = meter.window()
    assert found["samples_per_s"] == pytest.approx(320)
    assert found["data_wait"] == 0
    whole = meter.total()
    assert whole["steps"] == 15
    assert whole["samples_per_s"] == pytest.approx(15 * 32 / 4.5)


def test_what_is_no_training_is_told_apart(meter, clock):
    clock.tick(1000)  # before training
    with meter.outside("compiling"):
        clock.tick(60)
    clock.tick(7)
    steps(meter, clock, 2)
    for _ in range(2):
        with meter.outside("validation"), meter.outside("saving"), meter.waiting():
            clock.tick(10)  # waits for data of its own
    steps(meter, clock, 2)
    found = meter.window()
    assert found["seconds_apart"] == pytest.approx({"compiling": 60, "validation": 20})
    assert found["samples_per_s"] == pytest.approx(80)
    assert found["data_wait"] == pytest.approx(0.25)
    steps(meter, clock, 1)
    assert meter.window()["seconds_apart"] == {}
    assert meter.total()["samples_per_s"] == pytest.approx(80)


def test_an_exception_ends_what_it_leaves(meter, clock):
    def fail(span):
        with span:
            clock.tick(1)
            raise OSError("no")

    for span in (meter.outside("saving"), meter.waiting()):
        with pytest.raises(OSError, match="no"):
            fail(span)
    steps(meter, clock, 1)
    assert meter.window()["seconds_apart"] == pytest.approx({"saving": 1})


def test_waiting_while_the_devices_work_costs_nothing(meter, clock):
    busy, ready = SimpleNamespace(is_ready=lambda: False), SimpleNamespace(is_ready=lambda: True)
    for in_flight in ({"loss": busy, "norm": ready}, None, {"loss": ready}, {"step": 3}):
        with meter.waiting(in_flight):
            clock.tick(1)
    meter.step_done()
    assert meter.window()["data_wait"] == pytest.approx(3 / 4)


def test_what_cannot_be_known(clock):
    meter = Meter(32, clock=clock)
    nothing = {"samples_per_s": None, "step_ms": None, "data_wait": None, "mfu": None}
    assert meter.window() == nothing | {"seconds_apart": {}}
    steps(meter, clock, 1)
    found = meter.window()
    assert found["mfu"] is None
    assert found["samples_per_s"] == pytest.approx(80)
    meter.step_done()  # no time has passed
    assert meter.window()["samples_per_s"] is None
