"""Drawing: order, compositing, states of every kind of element, cut-offs."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins.draw import (
    Painter,
    Placement,
    Region,
    blend,
    cropped,
    dpad_state,
    over,
    overlay_region,
    picture,
)
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)
sprite = presets.sprite


def state(*pressed, left=(0, 0), right=(0, 0), triggers=(0, 0)) -> States:
    """One moment."""
    one = States.idle()
    one.buttons[0, [BUTTON_INDEX[name] for name in pressed]] = True
    one.left[0], one.right[0], one.triggers[0] = left, right, triggers
    return one


def drawn(skin, moment, scale=1.0, x=0.0, y=0.0) -> np.ndarray:
    """A skin on a region of its own size."""
    painter = Painter(skin, Placement(scale, x, y), Region(0, 0, *skin.size))
    return next(iter(painter.states(moment)))


def colour_at(rgba, x, y) -> tuple:
    return tuple(np.rint(rgba[y, x, :3]).astype(int))


colours = st.tuples(*[st.integers(0, 255)] * 4)


@given(colours, colours)
def test_premultiplied_compositing_is_that_of_straight_alpha(below, above):
    def premultiplied(r, g, b, a):
        return np.array([[[r * a / 255, g * a / 255, b * a / 255, a]]], np.float32)

    canvas = premultiplied(*below)
    over(canvas, premultiplied(*above), 0, 0)
    a, b = above[3] / 255, below[3] / 255
    alpha = a + b * (1 - a)
    np.testing.assert_allclose(canvas[0, 0, 3], 255 * alpha, atol=1e-3)
    for channel in range(3):
        straight = above[channel] * a + below[channel] * b * (1 - a)
        np.testing.assert_allclose(canvas[0, 0, channel], straight, atol=1e-3)


@given(colours, st.tuples(*[st.integers(0, 255)] * 3), st.floats(0, 1))
def test_blending_onto_a_frame_is_a_mixture(colour, frame, opacity):
    pixels = np.full((1, 1, 3), frame, np.uint8)
    r, g, b, a = colour
    rgba = np.array([[[r * a / 255, g * a / 255, b * a / 255, a]]], np.float32)
    blend(pixels, rgba, Region(0, 0, 1, 1), opacity)
    share = a / 255 * opacity
    wanted = np.array(frame) * (1 - share) + np.array(colour[:3]) * share
    assert np.abs(pixels[0, 0] - wanted).max() <= 0.51


@given(st.integers(-12, 12), st.integers(-12, 12))
def test_what_leaves_the_canvas_is_cut_off(left, top):
    patch = presets.noise(3, 6, 5).astype(np.float32)
    canvas = np.zeros((8, 9, 4), np.float32)
    over(canvas, patch, left, top)
    wide = np.zeros((48, 49, 4), np.float32)
    over(wide, patch, left + 20, top + 20)
    np.testing.assert_array_equal(canvas, wide[20:28, 20:29])


def test_later_elements_are_drawn_on_top():
    red = Element("texture", "red", (0, 0), (sprite(4, 4, (255, 0, 0)),))
    blue = Element("texture", "blue", (2, 2), (sprite(4, 4, (0, 0, 255)),))
    first = drawn(Skin("s", (6, 6), (red, blue)), States.idle())
    second = drawn(Skin("s", (6, 6), (blue, red)), States.idle())
    assert colour_at(first, 3, 3) == (0, 0, 255)
    assert colour_at(second, 3, 3) == (255, 0, 0)


def test_a_texture_above_something_that_moves_stays_above():
    pad = presets.pad()
    lid = Element("texture", "lid", (80, 20), (sprite(6, 6, (1, 2, 3)),))
    skin = replace(pad, elements=(*pad.elements, lid))
    assert colour_at(drawn(skin, state("SOUTH")), 82, 22) == (1, 2, 3)


def test_buttons_and_clicks_show_their_pressed_sprites():
    skin = presets.pad()
    assert colour_at(drawn(skin, state()), 82, 22) == (200, 100, 50)
    assert colour_at(drawn(skin, state("SOUTH")), 82, 22) == (255, 255, 255)
    assert colour_at(drawn(skin, state("LEFT_THUMB")), 25, 35) == (0, 255, 0)


@pytest.mark.parametrize("axis", [(1, 0), (0, -1), (-0.5, 0.75)])
def test_a_stick_moves_by_its_travel_y_down(axis):
    skin = presets.pad()
    body, stick = skin.elements[0], skin.elements[2]
    alone = Skin("s", skin.size, (body, stick))

    def middle(rgba):
        seen = rgba[..., 0] - 30.0
        y, x = np.indices(seen.shape)
        return np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()

    shift = middle(drawn(alone, state(left=axis))) - middle(drawn(alone, state()))
    np.testing.assert_allclose(shift, np.array(axis) * 4, atol=1 / 16 + 1e-3)
    # The other stick moves nothing.
    np.testing.assert_array_equal(drawn(alone, state(right=axis)), drawn(alone, state()))


@pytest.mark.parametrize("direction", ["up", "down", "left", "right"])
@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_a_bar_grows_from_the_opposite_edge(direction, value):
    sprites = sprite(16, 16, (9, 9, 9)), sprite(16, 16, (250, 250, 250))
    bar = Element("trigger", "t", (0, 0), sprites, None, "right", bar=True, direction=direction)
    shown = drawn(Skin("s", (16, 16), (bar,)), state(triggers=(0, value)))[..., 0] > 100
    wanted = np.zeros((16, 16), bool)
    number = round(16 * value)
    if number:
        part = {
            **{"up": np.s_[-number:], "down": np.s_[:number]},
            **{"left": np.s_[:, -number:], "right": np.s_[:, :number]},
        }[direction]
        wanted[part] = True
    np.testing.assert_array_equal(shown, wanted)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_the_parts_of_a_bar_make_up_the_whole(width, height, value):
    whole = presets.noise(1, width, height)
    for one, other in (("up", "down"), ("left", "right")):
        first, _ = cropped(whole, value, one)
        second, _ = cropped(whole, 1.0, other)
        assert second.shape == whole.shape
        axis = 0 if one == "up" else 1
        assert first.shape[axis] == round(whole.shape[axis] * value)


@pytest.mark.parametrize(("value", "shown"), [(0.0, 9), (0.09, 9), (0.1, 250), (1.0, 250)])
def test_a_trigger_that_is_no_bar_is_a_button_from_a_tenth_on(value, shown):
    sprites = sprite(4, 4, (9, 9, 9)), sprite(4, 4, (250, 250, 250))
    skin = Skin("s", (4, 4), (Element("trigger", "t", (0, 0), sprites, None, "left"),))
    assert colour_at(drawn(skin, state(triggers=(value, 0))), 1, 1) == (shown,) * 3


@pytest.mark.parametrize("way", range(9))
def test_a_dpad_has_nine_states(way):
    x, y = DPAD_STATES[way]
    pressed = [{-1: "DPAD_LEFT", 1: "DPAD_RIGHT"}[x]] if x else []
    pressed += [{-1: "DPAD_UP", 1: "DPAD_DOWN"}[y]] if y else []
    moment = state(*pressed)
    assert dpad_state(moment.buttons[0]) == way
    assert colour_at(drawn(presets.pad(), moment), 52, 32) == (20 * way, 0, 99)


def test_opposite_directions_of_a_dpad_cancel():
    assert dpad_state(state("DPAD_LEFT", "DPAD_RIGHT").buttons[0]) == 0
    both = state("DPAD_LEFT", "DPAD_RIGHT", "DPAD_UP").buttons[0]
    assert DPAD_STATES[dpad_state(both)] == (0, -1)


def test_a_painter_gives_the_same_again_and_keeps_its_base_clean():
    painter = Painter(presets.pad(), Placement(0.73, 5.3, -2.1))
    moments = States(*(np.concatenate(parts) for parts in zip(*_moments(), strict=True)))
    first = [frame.copy() for frame in painter.states(moments)]
    again = list(painter.states(moments.take(slice(None, None, -1))))[::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def _moments():
    return [
        state("SOUTH", left=(1, 1)),
        state(triggers=(0.4, 0)),
        state("LEFT_THUMB", "DPAD_UP", left=(-1, 0.2)),
    ]


def test_a_shift_by_one_pixel_moves_the_picture_by_one_pixel():
    skin, moment = presets.pad(), state("SOUTH", left=(0.5, -0.5))
    here = drawn(skin, moment, 0.6, 10.3, 5.7)
    there = drawn(skin, moment, 0.6, 11.3, 4.7)
    np.testing.assert_allclose(there[:-1, 1:], here[1:, :-1], atol=0.01)


def test_the_region_holds_what_sticks_reach():
    stick = Element("stick", "s", (2, 2), (sprite(10, 10),) * 2, None, "left", (8, 8))
    region = overlay_region(Skin("s", (20, 20), (stick,)), Placement(1, 100, 50))
    assert region == Region(94, 44, 120, 70)


def test_a_region_stays_near_the_picture_whatever_an_element_says():
    far = Element("texture", "far", (1e6, -1e6), (sprite(),))
    region = overlay_region(Skin("s", (20, 10), (far,)), Placement(1, 0, 0))
    assert region == Region(0, -5, 30, 10)


def test_a_picture_has_the_width_that_is_asked_for():
    assert picture(presets.pad(), 50).shape == (30, 50, 4)
    assert picture(presets.pad(), 250).shape == (150, 250, 4)
