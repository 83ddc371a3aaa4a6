"""A pad's state in the numbers of the virtual controller."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, NUM_BUTTONS, Pad, decode, neutral
from nitrogen_jax.sim.pad import BUTTON_ORDER, TRIGGERS, sdl_state


def pressed(*names):
    buttons = np.zeros(NUM_BUTTONS, bool)
    buttons[[BUTTON_INDEX[name] for name in names]] = True
    return buttons


def test_at_rest():
    axes, buttons = sdl_state(decode(neutral()))
    assert axes.tolist() == [0, 0, -32768, 0, 0, -32768]
    assert not buttons.any()


def test_sticks_reach_both_rims_and_y_is_down():
    axes, _ = sdl_state(Pad(pressed("RIGHT_TRIGGER"), (-1, 1), (0.5, -1)))
    assert axes.tolist() == [-32767, 32767, -32768, 16384, -32767, 32767]


@pytest.mark.parametrize("name", BUTTONS)
def test_each_button_is_one_of_the_controller(name):
    axes, buttons = sdl_state(Pad(pressed(name), (0, 0), (0, 0)))
    assert [BUTTON_ORDER[i] for i in np.flatnonzero(buttons)] == [name] * (name in BUTTON_ORDER)
    assert (axes == 32767).sum() == (name in TRIGGERS)


def test_all_buttons_but_the_four_directions_have_a_place():
    directions = {"RIGHT_BOTTOM", "RIGHT_LEFT", "RIGHT_RIGHT", "RIGHT_UP"}
    assert {*BUTTON_ORDER, *TRIGGERS} == set(BUTTONS) - directions


def test_many_steps_at_once_are_refused():
    with pytest.raises(NitrogenError, match=r"shape \(3,\)"):
        sdl_state(decode(neutral(3)))
