"""Contact sheets and the rows of the table."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np

from nitrogen_jax.labeling.skins import sheet
from nitrogen_jax.labeling.skins.skin import Skin

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)


def test_a_row_says_what_there_is_to_say():
    (row,) = sheet.rows([replace(presets.pad(), unread=("x: y",))])
    assert (row.name, row.width, row.height, row.controller) == ("pad", 100, 60, "xboxone")
    assert "SOUTH" in row.buttons
    assert row.sticks == ("left",)
    assert row.travel == 4.0
    assert row.siblings == ()
    assert row.unread == ("x: y",)


def test_colours_of_one_geometry_are_siblings():
    skins = [
        presets.pad().renamed("one"),
        presets.pad(moved=5).renamed("moved"),
        presets.pad(colour=(1, 2, 3)).renamed("two"),
    ]
    assert [row.siblings for row in sheet.rows(skins)] == [("two",), (), ("one",)]


def test_a_skin_without_sticks_travels_nothing():
    skin = Skin("s", (50, 40), presets.pad().elements[:2])
    assert sheet.rows([skin])[0].travel == 0


def test_every_skin_has_three_pictures_that_differ():
    picture = sheet.contact_sheet([presets.pad()], columns=1)
    width, height = sheet.CELL
    assert picture.shape == (height + sheet.NAME_HEIGHT, 3 * width, 3)
    assert picture.dtype == np.uint8
    cells = np.split(picture[sheet.NAME_HEIGHT :], 3, axis=1)
    for i in range(3):
        assert (cells[i] != cells[i - 1]).any()


def test_the_checkerboard_shows_through_where_a_skin_is_empty():
    picture = sheet.contact_sheet([Skin("s", (100, 60), ())], columns=1)
    board = sheet.checkerboard(sheet.CELL[1], sheet.CELL[0])
    np.testing.assert_array_equal(picture[sheet.NAME_HEIGHT :, : sheet.CELL[0]], board)
    assert set(np.unique(board)) == set(sheet.GREYS)


def test_skins_fill_the_lines_one_after_another():
    skins = [presets.pad().renamed(f"n{i}") for i in range(5)]
    picture = sheet.contact_sheet(skins, columns=2)
    line = sheet.CELL[1] + sheet.NAME_HEIGHT
    assert picture.shape[:2] == (3 * line, 6 * sheet.CELL[0])
    assert not picture[2 * line :, 3 * sheet.CELL[0] :].any()


def test_everything_pressed_shows_a_dpad_pressed_too():
    states = sheet.moments()
    from nitrogen_jax.labeling.skins.draw import dpad_state

    assert states.number == len(sheet.MOMENTS)
    assert dpad_state(states.buttons[0]) == 0
    assert dpad_state(states.buttons[1]) != 0
