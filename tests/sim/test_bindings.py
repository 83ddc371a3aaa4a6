"""A pad on keyboard and mouse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim.bindings import Bindings, Hands, arrows


def pad(*buttons: str, left=(0, 0), right=(0, 0)) -> Pad:
    pressed = np.zeros(NUM_BUTTONS, bool)
    pressed[[BUTTON_INDEX[name] for name in buttons]] = True
    return Pad(pressed, left, right)


def test_buttons_and_sticks_hold_keys():
    hands = Hands(Bindings({"SOUTH": "space", **arrows()}, {"RIGHT_TRIGGER": "left"}), 60)
    assert hands.hold(pad()) == (frozenset(), frozenset(), (0, 0))
    assert hands.hold(pad("SOUTH", left=(1, -0.5))).keys == {"space", "Right", "Up"}
    assert hands.hold(pad("DPAD_LEFT", left=(0, 0.39))).keys == {"Left"}
    assert hands.hold(pad("RIGHT_TRIGGER")).buttons == {"left"}


def test_y_points_down():
    hands = Hands(Bindings(arrows("right", dpad=False, names=("w", "s", "a", "d"))), 60)
    assert hands.hold(pad(right=(0, 1))).keys == {"s"}
    assert hands.hold(pad(right=(0, -1))).keys == {"w"}
    assert hands.hold(pad(left=(0, -1))).keys == set()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), st.floats(10, 3000))
def test_no_part_of_a_pixel_is_lost(values, speed):
    hands = Hands(Bindings(mouse_stick="right", mouse_speed=speed), 60)
    moved = sum(hands.hold(pad(right=(value, 0))).motion[0] for value in values)
    exact = float(np.sum(np.float64(np.float32(values))) * speed / 60)
    assert abs(moved - exact) < 1 + 1e-6


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"keys": {"SOUT": "space"}}, "SOUT is not known"),
        ({"mouse": {"SOUTH": "thumb"}}, "thumb is not one of left, middle, right"),
        ({"mouse_stick": "middle"}, "left or right"),
        ({"threshold": 0}, "threshold is 0"),
    ],
)
def test_mistakes_are_told(fields, words):
    with pytest.raises(NitrogenError, match=words):
        Bindings(**fields)
