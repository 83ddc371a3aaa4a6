"""Overlays in a few pictures: where, which, how opaque, how many, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.labeling.locate.locate import ACCEPTED, iou, locate, median_picture
from nitrogen_jax.labeling.locate.templates import prepare
from nitrogen_jax.labeling.skins.library import Library


@pytest.fixture(scope="module")
def templates(library):
    return prepare(library)


@pytest.fixture(scope="module")
def pictures(game):
    return game[::7]  # 9 of them


@pytest.mark.parametrize(
    ("which", "width", "opacity"), [(1, 90, 1.0), (1, 140, 0.7), (2, 140, 0.6), (2, 200, 1.0)]
)
def test_skin_place_and_opacity_are_found(made, pictures, templates, which, width, opacity):
    skin = templates.library.skins[which]
    at = made.at_width(skin, width, 384.3, 175.6)
    shown = made.drawn(pictures, skin, at, made.played(9), opacity)
    (found,) = locate(shown, templates)
    assert found.skin is skin
    assert iou(found.at.box(skin), at.box(skin)) > 0.95
    assert made.corner_error(found.at, at, skin) < 1
    assert found.opacity == pytest.approx(opacity, abs=0.15)
    assert found.visible == pytest.approx(1)
    assert found.frames > 0.8
    assert found.score > ACCEPTED


def test_nothing_is_found_where_there_is_nothing(pictures, templates):
    assert locate(pictures, templates) == []


def test_a_skin_that_is_not_in_the_library_is_not_found(made, pictures, templates):
    other = made.few(11)
    shown = made.drawn(pictures, other, made.at_width(other, 160, 30, 200), made.played(9))
    assert locate(shown, templates) == []


def test_two_overlays_are_both_found_and_a_box_chooses(made, pictures, templates, skin):
    other = templates.library.skins[2]
    places = {
        skin.name: made.at_width(skin, 150, 20.4, 210.3),
        other.name: made.at_width(other, 160, 440.2, 40.8),
    }
    shown = made.drawn(pictures, skin, places[skin.name], made.played(9))
    shown = made.drawn(shown, other, places[other.name], made.played(9))
    assert {one.skin.name for one in locate(shown, templates)} == set(places)
    for name, at in places.items():
        (found,) = locate(shown, templates, at.box(templates.library[name]))
        assert found.skin.name == name
        assert made.corner_error(found.at, at, found.skin) < 1


@pytest.mark.parametrize("box", [(2000, 2000, 100, 100), (0, 0, 1, 1), (300, 10, 100, 60)])
def test_in_a_box_without_an_overlay_there_is_none(shown, templates, box):
    assert locate(shown[::7], templates, box) == []


def test_a_still_display_below_the_overlay_does_no_harm(made, pictures, templates, skin):
    """The median picture holds both; the details of the overlay decide."""
    rng = np.random.default_rng(0)
    bars = np.kron(rng.integers(80, 180, (9, 16, 3)), np.ones((40, 40, 1))).astype(np.uint8)
    still = [frame.copy() for frame in pictures]
    for frame in still:
        frame[180:, :320] = bars[180:, :320]
    at = made.at_width(skin, 170, 30.6, 205.3)
    (found,) = locate(made.drawn(still, skin, at, made.played(9)), templates)
    assert found.skin is skin
    assert made.corner_error(found.at, at, skin) < 1


def test_a_part_of_a_skin_is_no_second_overlay(made, pictures, templates, skin):
    """A library may hold the skin without its stick or triggers too."""
    part = made.few(1, buttons=("SOUTH",), kinds=("texture", "button")).renamed("part")
    both = prepare(Library((*templates.library.skins, part)))
    at = made.at_width(skin, 170, 30.6, 205.3)
    found = locate(made.drawn(pictures, skin, at, made.played(9)), both)
    assert [one.skin.name for one in found] == [skin.name]


def test_siblings_are_compared_at_the_same_place(made, pictures, skin):
    green = made.tinted(skin, "green", (0, 1, 0))
    templates = prepare(Library((skin, green)))
    at = made.at_width(skin, 170, 30.6, 205.3)
    for shown in (skin, green):
        (found,) = locate(made.drawn(pictures, shown, at, made.played(9)), templates)
        scores = {one.name: score for one, score, _ in found.siblings}
        assert set(scores) == {skin.name, "green"}
        assert max(scores, key=scores.get) == shown.name


@pytest.mark.parametrize("number", [3, 5, 9, 25])
def test_the_median_of_pictures_is_that_of_numpy(number):
    rng = np.random.default_rng(number)
    pictures = list(rng.integers(0, 256, (number, 40, 30, 3), dtype=np.uint8))
    found = median_picture(pictures)
    np.testing.assert_array_equal(found, np.median(pictures, axis=0))


def test_of_an_even_number_it_is_the_upper_one_and_pictures_are_not_changed():
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (4, 40, 30, 3), dtype=np.uint8))
    before = [picture.copy() for picture in pictures]
    np.testing.assert_array_equal(median_picture(pictures), np.sort(pictures, axis=0)[2])
    np.testing.assert_array_equal(pictures, before)


def test_large_pictures_are_done_in_strips():
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (9, 700, 900, 3), dtype=np.uint8))
    np.testing.assert_array_equal(median_picture(pictures), np.median(pictures, axis=0))


def test_of_one_or_two_pictures_the_first_is_taken():
    pictures = [np.full((4, 4, 3), level, np.uint8) for level in (3, 9)]
    assert median_picture(pictures).max() == 3
    assert median_picture(pictures[:1]).max() == 3


boxes = st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0.5, 50)] * 2)


@given(boxes, boxes, st.floats(-90, 90), st.floats(0.1, 9))
def test_iou_is_symmetric_in_0_to_1_and_the_same_at_any_place_and_scale(one, other, shift, scale):
    def moved(box):
        return tuple(scale * edge + (shift if at < 2 else 0) for at, edge in enumerate(box))

    found = iou(one, other)
    assert 0 <= found <= 1 + 1e-9
    assert found == pytest.approx(iou(other, one))
    assert found == pytest.approx(iou(moved(one), moved(other)), abs=1e-6)
    assert iou(one, one) == pytest.approx(1)
