"""Skins as data: what is refused, what can be seen on them, geometry."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins.skin import MOST_PIXELS, Element, Skin, States

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)
sprite = presets.sprite


def test_what_can_be_seen():
    skin = presets.pad()
    assert set(skin.buttons) == {
        *("SOUTH", "LEFT_THUMB", "LEFT_TRIGGER"),
        *("DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"),
    }
    assert skin.sides == ("left",)
    assert [one.name for one in skin.elements if not one.moves] == ["body"]


def test_a_press_that_changes_nothing_cannot_be_seen():
    same = presets.sprite(), presets.sprite()
    stick = Element("stick", "l", (0, 0), same, "LEFT_THUMB", "left", (3, 3))
    button = Element("button", "a", (0, 0), same, "SOUTH")
    assert (stick.buttons, button.buttons) == ((), ())
    assert (stick.shows, button.shows) == (True, False)
    assert (stick.moves, button.moves) == (True, False)
    other = same[0], presets.sprite(colour=(0, 0, 0))
    assert replace(stick, sprites=other).buttons == ("LEFT_THUMB",)


def test_an_element_covers_all_that_its_stick_reaches():
    stick = Element("stick", "s", (20, 30), (sprite(10, 8),) * 2, None, "left", (4, 2))
    assert stick.extent == (16, 28, 34, 40)


def test_geometry_is_the_same_for_colours_and_another_for_places():
    skin = presets.pad()
    assert presets.pad(colour=(1, 2, 3)).geometry == skin.geometry
    assert presets.pad(moved=2).geometry != skin.geometry
    assert replace(skin, size=(101, 60)).geometry != skin.geometry
    assert replace(skin, elements=skin.elements[:-1]).geometry != skin.geometry
    # A texture says nothing of where the pad's elements are.
    assert replace(skin, elements=skin.elements[1:]).geometry == skin.geometry


def test_geometry_depends_on_the_travel():
    skin = presets.pad()
    farther = tuple(
        replace(one, travel=(6, 6)) if one.kind == "stick" else one for one in skin.elements
    )
    assert replace(skin, elements=farther).geometry != skin.geometry


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sprites": (sprite(),)}, "a button has 2 sprites, and 1 are given"),
        ({"sprites": (sprite()[..., :3],) * 2}, "a sprite is uint8"),
        ({"sprites": (sprite().astype(np.float32),) * 2}, "a sprite is float32"),
        ({"button": "NOPE"}, "there is no button NOPE"),
        ({"kind": "stick"}, "a stick needs a side"),
    ],
)
def test_impossible_elements_are_refused(change, sentence):
    good = {
        **{"kind": "button", "name": "a", "position": (0, 0)},
        **{"sprites": (sprite(),) * 2, "button": "SOUTH"},
    }
    Element(**good)
    with pytest.raises(NitrogenError, match=sentence):
        Element(**good | change)


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (MOST_PIXELS + 1, 10)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(NitrogenError, match="its size is"):
        Skin("s", size, ())


def test_two_elements_of_one_name_are_refused():
    one = Element("texture", "twin", (0, 0), (sprite(),))
    with pytest.raises(NitrogenError, match="two elements are called twin"):
        Skin("s", (10, 10), (one, one))


def test_states_are_taken_by_index():
    states = States.idle(4)
    states.buttons[2, 5] = True
    assert states.number == 4
    taken = states.take([2, 0])
    assert taken.number == 2
    assert taken.buttons[:, 5].tolist() == [True, False]
