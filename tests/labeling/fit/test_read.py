"""Reading elements out of crops that are put together as the models say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.fit.model import GRID, REACH
from nitrogen_jax.labeling.fit.read import Reading, peak, read, read_element, vectors
from nitrogen_jax.labeling.planes import Planes, pooled
from nitrogen_jax.labeling.skins.skin import States
from nitrogen_jax.labeling.synth.traces import shown

_spec = importlib.util.spec_from_file_location("composed", Path(__file__).parent / "composed.py")
composed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(composed)

SKINS = {"solid": composed.solid, "lines": composed.line_art}
# Of a stick's position, nineteen frames in twenty, and clicks of a hundred. Outlines are read so
# that edges of the background do little harm, which costs some of the evidence.
CLOSE = {"solid": 0.05, "lines": 0.07}
CLICKS = {"solid": 0, "lines": 5}


def readings(made, opacity: float) -> dict[str, Reading]:
    found = read(made.models, made.crops, made.crop, opacity)
    return {model.element.name: one for model, one in zip(made.models, found, strict=True)}


def wrong_buttons(skin, made, found, states) -> dict[str, int]:
    """Button -> frames in which it is read wrongly."""
    true = shown(states, skin)
    return {
        button: int(((one.press[:, column] > 0) != true.buttons[:, BUTTON_INDEX[button]]).sum())
        for model in made.models
        for one in [found[model.element.name]]
        for column, button in enumerate(model.element.buttons)
    }


def stick_error(made, found, states) -> np.ndarray:
    """(N,) of the left stick, x or y, whichever is worse."""
    (name,) = [one.element.name for one in made.models if one.element.kind == "stick"]
    return np.abs(found[name].value[:, :2] - states.left).max(1)


@pytest.mark.parametrize("opacity", [1.0, 0.6])
@pytest.mark.parametrize("name", SKINS)
def test_everything_is_read_from_changing_backgrounds(name, opacity):
    skin, states = SKINS[name](), composed.moving(1, 100)
    made = composed.compose(skin, states, 5, opacity)
    found = readings(made, opacity)
    wrong = wrong_buttons(skin, made, found, states)
    assert wrong.pop("LEFT_THUMB") <= CLICKS[name]
    assert not any(wrong.values()), wrong
    error = stick_error(made, found, states)
    assert np.percentile(error, 95) < CLOSE[name]
    assert np.median(error) < 0.03
    for one in found.values():
        assert one.energy.shape == one.gap.shape == (100,)
        assert (one.gap >= 0).all()


@pytest.mark.parametrize("name", SKINS)
def test_a_stick_that_is_mostly_held_is_not_taken_for_background(name):
    skin, states = SKINS[name](), composed.moving(2, 100)
    held = np.random.default_rng(0).random(100) < 0.85
    states.left[held] = 1, 0
    made = composed.compose(skin, states, 6, 0.8)
    found = readings(made, 0.8)
    error = stick_error(made, found, states)
    assert error[held].max() < 0.2
    assert np.median(error[held]) < 0.1
    assert np.median(error[~held]) < 0.04
    wrong = wrong_buttons(skin, made, found, states)
    assert wrong.pop("LEFT_THUMB") <= 10
    assert not any(wrong.values()), wrong


@pytest.mark.parametrize("name", SKINS)
def test_a_button_that_is_mostly_held_is_not_taken_for_background(name):
    skin, states = SKINS[name](), composed.moving(3, 100)
    states.buttons[:, BUTTON_INDEX["SOUTH"]] = np.random.default_rng(0).random(100) < 0.9
    made = composed.compose(skin, states, 7, 0.8)
    found = readings(made, 0.8)
    wrong = wrong_buttons(skin, made, found, states)
    assert wrong.pop("LEFT_THUMB") <= CLICKS[name]
    assert not any(wrong.values()), wrong


def test_a_static_display_below_is_told_from_the_overlay():
    skin, states = composed.line_art(), composed.moving(4, 100)
    height, width = composed.compose(skin, states.take(slice(1))).crop.shape
    rng = np.random.default_rng(1)
    still = rng.choice([-45.0, 0.0, 0.0, 45.0], (height // 8 + 1, width // 8 + 1))
    still = cv2.resize(still, (width, height), interpolation=cv2.INTER_NEAREST)
    made = composed.compose(skin, states, 8, 1.0, still=still)
    found = readings(made, 1.0)
    wrong = wrong_buttons(skin, made, found, states)
    assert wrong.pop("LEFT_THUMB") <= CLICKS["lines"]
    assert not any(wrong.values()), wrong
    error = stick_error(made, found, states)
    assert np.percentile(error, 95) < 0.1
    # What is learned of the display in a first reading is what does it.
    model = made.model("l")
    from nitrogen_jax.labeling.fit import read as reading

    scene = reading.unknown(model)
    scores, _ = reading._scores(model, vectors(model, made.crops, made.crop), 1.0, scene)
    first = scores.argmax(1)
    blind = np.abs(model.values[first][:, :2] - states.left).max(1)
    assert np.median(error) < np.median(blind)


def test_a_display_does_not_follow_the_level_of_the_game():
    """Its contrast changes with the game's, and must not be taken for a stick that moves."""
    skin, states = composed.line_art(), States.idle(100)
    states.left[60:] = composed.moving(9, 40).left
    crop = composed.compose(skin, states.take(slice(1))).crop
    display = np.full(crop.shape, -1.0)
    element = skin.elements[0]
    x, y = np.round(np.add(element.position, 12 - 6) * composed.AT.scale + composed.AT[1:])
    middle = int(x) - crop.left, int(y) - crop.top
    cv2.circle(display, middle, round(9 * composed.AT.scale), 140, 2)  # a ring of its own
    made = composed.compose(skin, states, 8, 1.0, display=display)
    model = made.model("l")
    frames = vectors(model, made.crops, made.crop)

    def off(without: tuple[str, ...]) -> np.ndarray:
        read = read_element(model, frames, 1.0, without)
        return np.hypot(*(read.value[:, :2] - states.left).T)

    assert np.percentile(off(()), 95) < 0.15
    assert np.percentile(off(("display",)), 95) > 2 * np.percentile(off(()), 95)


def test_another_skin_of_the_same_layout_leaves_more_unexplained():
    skin, states = composed.solid(), composed.moving(5, 50)
    # A sibling whose button and stick are of another colour.
    other = composed.presets.pad((60, 160, 220))
    other = replace(other, elements=(*other.elements[:-1], skin.elements[-1]))
    made = composed.compose(skin, states, 9)
    wrong = composed.compose(other, states, 9)
    right = readings(made, 1.0)
    mixed = readings(composed.Composed(wrong.models, made.crops, made.crop), 1.0)
    for name in ("a", "left"):
        assert mixed[name].amiss > 3 * right[name].amiss


def test_a_click_that_cannot_be_seen_is_never_read():
    pad = composed.solid()
    sprites = (pad.elements[2].sprites[0],) * 2
    skin = replace(pad, elements=(pad.elements[0], replace(pad.elements[2], sprites=sprites)))
    states = composed.moving(6, 40)
    made = composed.compose(skin, states, 3)
    found = readings(made, 1.0)["left"]
    assert np.isneginf(found.press).all()
    assert np.abs(found.value[:, :2] - states.left).max() < 0.05


def test_vectors_are_the_pixels_of_the_element():
    states = composed.moving(7, 3)
    made = composed.compose(composed.solid(), states, 4)
    model = made.model("a")
    (left, top), (height, width) = model.region[:2], model.region.shape
    x, y = left - made.crop.left, top - made.crop.top
    part = Planes(
        made.crops.y[:, y : y + height, x : x + width],
        made.crops.uv[:, :, y // 2 : (y + height) // 2, x // 2 : (x + width) // 2],
    )
    expected = pooled(part, model.block)
    np.testing.assert_array_equal(vectors(model, made.crops, made.crop), expected)


def test_one_frame_can_be_read():
    states = States.idle(1)
    states.buttons[0, BUTTON_INDEX["SOUTH"]] = True
    made = composed.compose(composed.solid(), states, 1)
    model = made.model("a")
    one = read_element(model, vectors(model, made.crops, made.crop), 1.0)
    assert one.press[0, 0] > 0
    assert one.value.tolist() == [[1.0]]


places = st.floats(-1, 1)


@given(places, places, st.floats(0.5, 50), st.floats(0.5, 50), st.floats(-0.9, 0.9))
def test_the_top_of_a_paraboloid_is_found_exactly(x, y, bend_x, bend_y, turn):
    axis = np.linspace(-REACH, REACH, GRID)
    dx, dy = axis[None, :] - x, axis[:, None] - y
    mixed = turn * 0.5 * min(bend_x, bend_y)
    scores = 7 - bend_x * dx**2 - bend_y * dy**2 - 2 * mixed * dx * dy
    found = peak(scores[None])[0]
    # The best of the grid's points is a neighbour of the top, unless the paraboloid is a ridge.
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    step = axis[1] - axis[0]
    if max(abs(axis[column] - x), abs(axis[row] - y)) <= step:
        np.testing.assert_allclose(found, (x, y), atol=1e-4)
    assert np.abs(found).max() <= REACH + 1e-6


def test_a_plateau_has_its_top_on_the_grid():
    scores = np.zeros((2, GRID, GRID))
    scores[1, 4, 9] = 5
    found = peak(scores)
    axis = np.linspace(-REACH, REACH, GRID)
    np.testing.assert_allclose(found[1], (axis[9], axis[4]), atol=1e-6)
    assert np.isfinite(found).all()
