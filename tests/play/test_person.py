"""A person takes over by touching, and hands back by leaving alone."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.play.person import Person
from nitrogen_jax.play.seen import PERSON, POLICY
from nitrogen_jax.sim.human import AXIS, BUTTON, EVENT, Joystick


@pytest.fixture
def device(tmp_path):
    """A pipe that is a gamepad: an open one, and what writes events (value, kind, number)."""
    path = tmp_path / "js0"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    with Joystick(path) as joystick:
        yield joystick, lambda *event: os.write(end, EVENT.pack(0, *event))
    os.close(end)


def test_they_hold_while_they_touch_and_a_little_longer(device, the_wave):
    joystick, send = device
    person, wanted = Person(joystick, 3), gamepad.decode(the_wave(0))
    assert person.choose(wanted) == (wanted, POLICY)
    send(1, BUTTON, 1)
    for _ in range(5):
        pad, by = person.choose(wanted)
        assert by == PERSON
        assert np.flatnonzero(pad.pressed).tolist() == [BUTTON_INDEX["EAST"]]
    send(0, BUTTON, 1)
    held = [person.choose(wanted) for _ in range(4)]
    assert [by for _, by in held] == [PERSON, PERSON, POLICY, POLICY]
    assert gamepad.is_idle(held[0][0])
    assert held[2][0] is wanted


def test_a_stick_counts_beyond_the_dead_zone_alone(device, the_wave):
    joystick, send = device
    person, wanted = Person(joystick, 1), gamepad.decode(the_wave(0))
    send(int(0.09 * 32767), AXIS, 3)
    assert person.choose(wanted)[1] == POLICY
    send(int(0.12 * 32767), AXIS, 3)
    pad, by = person.choose(wanted)
    assert by == PERSON
    np.testing.assert_allclose(pad.right, [0.12, 0], atol=1e-3)
    send(0, AXIS, 3)
    assert person.choose(wanted)[1] == POLICY


def test_without_a_gamepad_the_policy_plays_on(the_wave, caplog):
    class Unplugged:
        asked = 0

        def pad(self):
            self.asked += 1
            raise NitrogenError("gamepad /dev/input/js0 is gone: No such device")

    joystick, wanted = Unplugged(), gamepad.decode(the_wave(0))
    person = Person(joystick, 3)
    with caplog.at_level(logging.WARNING):
        assert [person.choose(wanted)[1] for _ in range(3)] == [POLICY] * 3
    assert joystick.asked == 1
    assert "is gone" in caplog.text
    assert "plays on" in caplog.text
