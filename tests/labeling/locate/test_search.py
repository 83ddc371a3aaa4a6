"""The search that compares everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.locate.locate import iou
from nitrogen_jax.labeling.locate.search import KEPT, everywhere
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import States


@pytest.fixture(scope="module")
def median(game):
    return np.median(np.stack(game[::6]), axis=0).astype(np.uint8)


@pytest.fixture(scope="module")
def one(skin):
    return Library((skin,))


@pytest.mark.parametrize(("width", "opacity"), [(60, 1.0), (110, 0.6), (190, 1.0)])
def test_the_best_place_is_the_true_one(made, median, skin, one, width, opacity):
    at = made.at_width(skin, width, 401.3, 55.6)
    picture = made.drawn([median], skin, at, States.idle(1), opacity)[0]
    best = everywhere(picture, one)[0]
    assert best.skin is skin
    assert iou(best.at.box(skin), at.box(skin)) > 0.85


def test_in_large_pictures_places_are_in_their_own_pixels(made, skin, one):
    ground = made.game(1, size=(1280, 720))[0]
    at = made.at_width(skin, 260, 911.4, 402.7)
    picture = made.drawn([ground], skin, at, States.idle(1))[0]
    best = everywhere(picture, one)[0]
    assert iou(best.at.box(skin), at.box(skin)) > 0.85


def test_a_mask_chooses_between_two(made, median, skin, one):
    places = [made.at_width(skin, 120, x, 200.4) for x in (40.3, 460.8)]
    picture = median
    for at in places:
        picture = made.drawn([picture], skin, at, States.idle(1))[0]
    for at in places:
        mask = np.zeros(picture.shape[:2], np.uint8)
        x, y, wide, high = (int(edge) for edge in at.box(skin))
        mask[y - 15 : y + high + 15, x - 15 : x + wide + 15] = 255
        found = everywhere(picture, one, mask)
        assert iou(found[0].at.box(skin), at.box(skin)) > 0.85
        for other in found:
            assert x - 16 <= other.at.x
            assert other.at.box(skin)[0] <= x + wide + 15


def test_nothing_is_searched_where_the_mask_is_empty(median, one):
    assert everywhere(median, one, np.zeros(median.shape[:2], np.uint8)) == []


def test_layouts_count_once_and_candidates_are_few(median, skin):
    library = Library((skin, skin.renamed("sibling")))
    found = everywhere(median, library)
    assert len(found) <= KEPT
    assert {candidate.skin.name for candidate in found} == {skin.name}


def test_a_picture_that_is_smaller_than_any_overlay_has_none(one):
    assert everywhere(np.zeros((12, 16, 3), np.uint8), one) == []
