"""Elements land in their slots, wherever and however large the overlay is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("jax")
pytest.importorskip("av")

from nitrogen_jax.gamepad import BUTTON_INDEX, COLUMNS
from nitrogen_jax.labeling.parser import mosaic
from nitrogen_jax.labeling.parser import slots as canonical_slots
from nitrogen_jax.labeling.parser.slots import CELL, PRESS, PRESS_CORNERS, PRESSES, READ, SIDE
from nitrogen_jax.labeling.planes import Colours, Painted, Planes, painted
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.skin import States

sys.path.insert(0, str(Path(__file__).parent))
from small import GREEN, RED, WHITE, skin

COLOURS = Colours(1, False)
REGION = Region(0, 0, 400, 240)
PLACES = st.builds(
    Placement, st.floats(0.5, 1.2), st.floats(10, 100), st.floats(10, 60)
)  # of a skin of 240 x 140 in the region


def stored(colour) -> np.ndarray:
    """Y, U, V of an RGB colour."""
    matrix, offset = COLOURS.weights()
    return matrix @ np.array(colour) + offset


def crops(states: States, at: Placement) -> Planes:
    """One frame of the skin on black."""
    rgba = next(iter(Painter(skin(), at, REGION).states(states)))
    look: Painted = painted(rgba, COLOURS)
    y = look.colour.y + 16 * (1 - look.alpha.y)
    uv = look.colour.uv + 128 * (1 - look.alpha.uv)
    return Planes(np.rint(y).astype(np.uint8)[None], np.rint(uv).astype(np.uint8)[None])


def slot(picture: np.ndarray, button: str, inset: int = 6) -> np.ndarray:
    """The inside of a button's slot, where chroma of a neighbour is not seen."""
    x, y = PRESS_CORNERS[PRESSES.index(button)]
    return picture[..., y + inset : y + PRESS - inset, x + inset : x + PRESS - inset, :]


def cut(states: States, at: Placement) -> np.ndarray:
    found = canonical_slots.slots(skin())
    return mosaic.cutter(found.windows, at, REGION).planes(crops(states, at))[0]


def test_slots_cover_every_label_column_once_and_none_twice():
    assert tuple(COLUMNS.values()) == READ
    assert len(PRESSES) == 15
    taken = np.zeros((SIDE, SIDE), int)
    for x, y in canonical_slots.STICK_CORNERS:
        taken[y : y + 44, x : x + 44] += 1
    for x, y in PRESS_CORNERS:
        taken[y : y + PRESS, x : x + PRESS] += 1
        assert x % CELL == y % CELL == 0
    assert taken.max() == 1


@settings(max_examples=12, deadline=None)
@given(PLACES)
def test_buttons_fill_their_slots_at_any_placement(at):
    states = States.idle()
    found = cut(states, at)
    np.testing.assert_allclose(slot(found, "SOUTH"), np.tile(stored(RED), (4, 4, 1)), atol=2)
    states.buttons[0, [BUTTON_INDEX["SOUTH"], BUTTON_INDEX["DPAD_UP"]]] = True
    states.triggers[0, 0] = 1
    found = cut(states, at)
    for name in ("SOUTH", "DPAD_UP", "LEFT_TRIGGER"):
        np.testing.assert_allclose(slot(found, name)[..., 0], stored(WHITE)[0], atol=2)
    for name in ("DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"):
        assert (slot(found, name)[..., 0] < 60).all()


@settings(max_examples=12, deadline=None)
@given(PLACES, st.floats(-1, 1), st.floats(-1, 1))
def test_knobs_lie_where_the_position_says_at_any_placement(at, x, y):
    states = States.idle()
    states.left[0] = x, y
    found = canonical_slots.slots(skin())
    part = cut(states, at)[:44, :44, 0].astype(float)
    background = float(stored((30, 30, 30))[0])
    weight = np.abs(part - background) * (np.abs(part - background) > 4)
    axis = (np.arange(44) + 0.5) / CELL - 5.5
    middle = [(weight.sum(0) * axis).sum(), (weight.sum(1) * axis).sum()] / weight.sum()
    # Painters place sticks on a grid of 1/8 pixel.
    step = 44 / CELL / (found.windows[1].width * at.scale) / 16
    np.testing.assert_allclose(middle, np.array([x, y]) * found.travel[0], atol=step + 0.05)


def test_slots_of_what_a_skin_lacks_are_empty():
    found = cut(States.idle(), Placement(1.0, 30.0, 30.0))
    x, y = canonical_slots.STICK_CORNERS[1]
    assert not found[y : y + 44, x : x + 44].any()
    assert not slot(found, "NORTH", 0).any()
    seen = canonical_slots.slots(skin())
    assert seen.sticks.tolist() == [True, False]
    named = {READ[at] for at in np.flatnonzero(seen.presses)}
    ways = {"DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"}
    assert named == {"SOUTH", "LEFT_TRIGGER", "LEFT_THUMB", *ways}


def test_templates_show_rest_and_everything_pressed():
    at = Placement(0.8, 33.3, 41.7)
    template = mosaic.canonical(skin(), at, REGION, COLOURS).template
    rest, pressed = template[..., :4], template[..., 4:]
    assert (slot(rest, "SOUTH")[..., 3] == 255).all()
    np.testing.assert_allclose(
        slot(rest, "SOUTH")[..., :3], stored(RED) * np.ones((4, 4, 1)), atol=2
    )
    for name in ("SOUTH", "LEFT_TRIGGER", "DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"):
        np.testing.assert_allclose(slot(pressed, name)[..., 0], stored(WHITE)[0], atol=2)
    np.testing.assert_allclose(pressed[22, 22, :3], stored(GREEN), atol=2)
    assert (mosaic.faded(template, 0.5)[rest[..., 3] == 255][:, 3] == 128).all()


def test_an_overlay_beyond_the_picture_leaves_its_slots_dark():
    found = cut(States.idle(), Placement(1.0, 260.0, 30.0))
    assert not slot(found, "SOUTH", 0).any()
    assert found[22, 22].any()


@pytest.mark.parametrize("seed", [3, 5, 8])
def test_made_up_skins_change_in_every_slot_that_they_are_said_to_have(seed):
    drawn = generate(seed)
    at = Placement(220 / drawn.size[0], 10.0, 12.0)
    template = mosaic.canonical(drawn, at, REGION, COLOURS).template.astype(int)
    changed = np.abs(template[..., :4] - template[..., 4:]).max(-1)
    for where in np.flatnonzero(canonical_slots.slots(drawn).presses):
        if READ[where] in PRESSES:
            x, y = PRESS_CORNERS[PRESSES.index(READ[where])]
            assert changed[y : y + PRESS, x : x + PRESS].max() > 20, READ[where]
