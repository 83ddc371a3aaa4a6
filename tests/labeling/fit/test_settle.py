"""What readings mean: rest, recentring, clicks, d-pads, bars, and how sure they are."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.fit.alone import SURE
from nitrogen_jax.labeling.fit.model import build
from nitrogen_jax.labeling.fit.read import Reading, read
from nitrogen_jax.labeling.fit.settle import Settled, centred, settle
from nitrogen_jax.labeling.planes import Planes
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States
from nitrogen_jax.labeling.synth.traces import shown

_spec = importlib.util.spec_from_file_location("composed", Path(__file__).parent / "composed.py")
composed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(composed)
sprite = composed.presets.sprite


def settled(made, opacity=1.0) -> Settled:
    return settle(made.models, read(made.models, made.crops, made.crop, opacity))


def test_doubtful_is_what_is_about_as_likely_as_rest():
    gap = np.array([0.01, 0.5, 1.0, 2.0, 200.0]) * SURE
    for kind, least in (("button", 0.2), ("stick", 0.4)):
        values = [[1.0, 0.0, 0.0]] * 5 if kind == "stick" else [[1.0]] * 5
        found = settle([model_of(kind)], [reading(values, gap=gap, press=50)]).confidence
        assert found[2] == pytest.approx(least, abs=0.02)
        assert (found[[1, 3]] < 0.65).all()
        assert (found[[0, 4]] > 0.98).all()


def test_a_frame_that_is_coded_badly_is_kept_where_its_states_are_clear():
    energy = np.ones(100)
    energy[3], energy[4] = 20, 300  # of 3 that are usual
    read = reading([[1]] * 100, gap=1e5, energy=energy)
    found = settle([model_of("button")], [read]).confidence
    assert found[3] > 0.7
    assert found[4] < 0.1


@functools.cache
def pad_models() -> list:
    return build(composed.solid(), composed.AT, composed.SIZE, composed.COLOURS)


def model_of(kind: str):
    """A model of the small pad."""
    return next(one for one in pad_models() if one.element.kind == kind)


def reading(value, gap=1000.0, energy=1.0, press=1000.0) -> Reading:
    """A reading of (N, v) values."""
    value = np.asarray(value, np.float32)
    number = len(value)
    full = [np.broadcast_to(np.float64(one), number).copy() for one in (gap, energy)]
    press = np.broadcast_to(np.asarray(press, float), (number, 1)).copy()
    return Reading(value, *full, press, 0.0)


@pytest.mark.parametrize("opacity", [1.0, 0.7])
def test_states_are_those_that_were_drawn(opacity):
    skin, states = composed.solid(), composed.moving(11, 100)
    made = composed.compose(skin, states, 12, opacity)
    found, true = settled(made, opacity), shown(states, skin)
    np.testing.assert_array_equal(found.states.buttons, true.buttons)
    assert np.abs(found.states.left - true.left).max() < 0.12
    assert (found.states.left[~true.left.any(1)] == 0).all()
    assert (found.states.right == 0).all()  # this skin has no right stick
    assert np.abs(found.states.triggers[:, 0] - states.triggers[:, 0]).max() < 0.1
    assert found.each.shape == (100, len(made.models))
    np.testing.assert_array_equal(found.confidence, found.each.min(1))
    assert np.median(found.confidence) > 0.9


def test_clicks_are_read_while_a_stick_moves():
    states = composed.moving(13, 100)
    made = composed.compose(composed.solid(), states, 14, 0.8)
    at = BUTTON_INDEX["LEFT_THUMB"]
    found = settled(made, 0.8)
    np.testing.assert_array_equal(found.states.buttons[:, at], states.buttons[:, at])
    clicked = states.buttons[:, at]
    assert np.median(np.abs(found.states.left - states.left)[clicked]) < 0.05


@pytest.mark.parametrize("way", DPAD_STATES)
def test_d_pads_with_diagonals(way):
    skin = composed.line_art()
    skin = replace(skin, elements=tuple(one for one in skin.elements if one.kind == "dpad"))
    states = States.idle(40)
    pressed = np.arange(40) % 4 < 2
    names = {(-1, 0): "LEFT", (1, 0): "RIGHT", (0, -1): "UP", (0, 1): "DOWN"}
    held = [names[one] for one in ((way[0], 0), (0, way[1])) if one in names]
    for name in held:
        states.buttons[pressed, BUTTON_INDEX[f"DPAD_{name}"]] = True
    made = composed.compose(skin, states, 15, 0.8)
    np.testing.assert_array_equal(settled(made, 0.8).states.buttons, states.buttons)


@pytest.mark.parametrize("direction", ["up", "down", "left", "right"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_bars_in_all_directions(direction, side):
    sprites = sprite(30, 30, (20, 20, 20)), sprite(30, 30, (240, 220, 90))
    bar = Element("trigger", "t", (8, 8), sprites, None, side, (0, 0), True, direction)
    skin = Skin("bar", (60, 50), (Element("texture", "b", (0, 0), (sprite(60, 50),)), bar))
    states, column = States.idle(60), 0 if side == "left" else 1
    states.triggers[:, column] = np.tile([0, 0, 0.25, 0.75, 1], 12)
    made = composed.compose(skin, states, 16)
    found = settled(made)
    assert np.abs(found.states.triggers[:, column] - states.triggers[:, column]).max() < 0.06
    assert (found.states.triggers[:, 1 - column] == 0).all()
    np.testing.assert_array_equal(found.states.buttons, shown(states, skin).buttons)


def test_bars_that_are_half_full_are_unsure():
    model = model_of("trigger")
    levels = np.array([[0.0], [0.45], [0.55], [1.0]])
    press = np.where(levels >= 0.5, 30.0, -30.0)
    found = settle([model], [reading(levels, press=press)])
    assert (found.confidence[[1, 2]] < 0.7 * found.confidence[3]).all()
    assert found.states.buttons[:, BUTTON_INDEX["LEFT_TRIGGER"]].tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_a_state_must_beat_rest_by_far():
    model = model_of("button")
    found = settle([model], [reading([[1]] * 3, gap=[0.5 * SURE, 2 * SURE, 500], press=5)])
    assert found.states.buttons[:, BUTTON_INDEX["SOUTH"]].tolist() == [False, True, True]


def test_what_is_unexplained_makes_a_frame_less_sure():
    """A frame with ten times the usual energy needs ten times the evidence."""
    model = model_of("button")
    energy = np.ones(40)
    energy[7] = 10
    found = settle([model], [reading([[1]] * 40, gap=5 * SURE, energy=energy, press=50)])
    pressed = found.states.buttons[:, BUTTON_INDEX["SOUTH"]]
    assert not pressed[7]
    assert pressed.sum() == 39
    assert found.confidence[7] < 0.7 * found.confidence[0]


def test_confidence_falls_where_frames_are_replaced_by_noise():
    skin, states = composed.solid(), composed.moving(17, 100)
    made = composed.compose(skin, states, 18)
    rng = np.random.default_rng(0)
    bad = np.zeros(100, bool)
    bad[[5, 40, 41, 42, 90]] = True
    crops = Planes(*(plane.copy() for plane in made.crops))
    for plane in crops:
        plane[bad] = rng.integers(0, 256, plane[bad].shape)
    found = settled(composed.Composed(made.models, crops, made.crop))
    assert found.confidence[bad].max() < 0.5
    assert np.percentile(found.confidence[~bad], 5) > 0.5
    # The frames in between are read as if nothing had happened.
    before = settled(made)
    np.testing.assert_array_equal(found.states.buttons[~bad], before.states.buttons[~bad])
    assert np.abs(found.states.left - before.states.left)[~bad].max() < 0.06


@given(st.floats(-0.11, 0.11), st.floats(-0.11, 0.11), st.integers(0, 1000))
def test_sticks_are_recentred_on_where_they_rest(x, y, seed):
    rng = np.random.default_rng(seed)
    true = np.zeros((200, 2))
    moves = rng.random(200) < 0.5
    angle = rng.uniform(0, 2 * np.pi, moves.sum())
    true[moves] = 0.7 * np.stack([np.cos(angle), np.sin(angle)], -1)
    seen = true + np.array([x, y]) + rng.normal(0, 0.01, true.shape)
    found = centred(seen, np.zeros(200, bool))
    assert np.abs(found - true).max() < 0.08
    assert (found[~moves] == 0).mean() > 0.9


@given(st.lists(st.tuples(st.floats(-1.1, 1.1), st.floats(-1.1, 1.1)), min_size=1, max_size=60))
def test_sticks_stay_within_bounds_and_rest_is_rest(points):
    seen = np.array(points)
    rests = np.arange(len(seen)) % 2 == 0
    found = centred(seen, rests)
    assert np.abs(found).max() <= 1
    assert (found[rests] == 0).all()
    assert centred(seen, ~rests).shape == seen.shape


def test_a_little_beside_the_middle_is_no_error_of_all_positions():
    seen = np.repeat([[0.05, -0.03], [0.8, 0.4]], 100, 0).astype(np.float32)
    found = centred(seen, np.zeros(200, bool), 0.1)
    np.testing.assert_array_equal(found[:100], 0)
    np.testing.assert_array_equal(found[100:], seen[100:])
    further = centred(seen + np.float32(0.1), np.zeros(200, bool), 0.1)
    np.testing.assert_allclose(further[100:], [[0.75, 0.43]] * 100, atol=1e-5)
    np.testing.assert_array_equal(further[:100], 0)


def test_a_stick_that_never_rests_is_not_recentred():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    seen = 0.9 * np.stack([np.cos(angle), np.sin(angle)], -1)
    np.testing.assert_allclose(centred(seen, np.zeros(300, bool)), seen)


def test_a_place_off_the_middle_is_set_right():
    """The skin is taken to lie one pixel from where it lies."""
    skin, states = composed.solid(), composed.moving(19, 100)
    drawn = composed.compose(skin, states, 20)
    off = composed.AT._replace(x=composed.AT.x + 0.7, y=composed.AT.y - 0.5)
    wrong = composed.compose(skin, states.take(slice(1)), 20, at=off)
    found = settled(composed.Composed(wrong.models, drawn.crops, drawn.crop))
    assert np.abs(found.states.left - states.left).max() < 0.15
    assert np.abs((found.states.left - states.left).mean(0)).max() < 0.03


@given(st.integers(0, 50), st.integers(1, 60))
@settings(max_examples=15)
def test_any_reading_gives_valid_states(seed, number):
    rng = np.random.default_rng(seed)
    models, readings = pad_models(), []
    for model in models:
        rows = rng.integers(0, len(model.values), number)
        press = rng.normal(0, 50, (number, max(len(model.element.buttons), 1)))
        gap, energy = rng.gamma(1, 30, number), rng.gamma(1, 1, number)
        readings.append(Reading(model.values[rows], gap, energy, press, 0.0))
    found = settle(models, readings)
    assert found.states.number == number
    for part in (found.states.left, found.states.right):
        assert np.abs(part).max() <= 1
    assert ((found.states.triggers >= 0) & (found.states.triggers <= 1)).all()
    assert ((found.each >= 0) & (found.each <= 1)).all()
    assert np.isfinite(found.confidence).all()


def test_nothing_of_an_idle_pad_is_pressed():
    at = Placement(1.1, 30.2, 25.7)
    for skin in (composed.solid(), composed.line_art()):
        found = settled(composed.compose(skin, States.idle(40), 21, 0.7, at=at), 0.7)
        assert not found.states.buttons.any()
        assert (found.states.left == 0).all()
        assert (found.states.triggers == 0).all()
