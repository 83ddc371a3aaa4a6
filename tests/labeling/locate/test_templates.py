"""Templates: their key points are in pixels of the skin, and every one has its owner."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.locate.templates import GREYS, WIDTHS, prepare
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Element, Skin


@pytest.fixture(scope="module")
def templates(library):
    return prepare(library)


def test_every_skin_is_drawn_at_each_width_on_each_grey(templates, library):
    drawn = [(one.skin.name, round(one.scale * one.skin.size[0])) for one in templates.templates]
    wanted = [(skin.name, width) for skin in library.skins for width in WIDTHS for _ in GREYS]
    assert drawn == wanted


def test_descriptors_belong_to_their_owners(templates):
    assert len(templates.owner) == len(templates.descriptors)
    assert (np.diff(templates.owner) >= 0).all()
    for at, one in enumerate(templates.templates):
        rows = templates.descriptors[templates.owner == at]
        np.testing.assert_array_equal(rows, one.features.descriptors)


def test_key_points_lie_on_the_skin_and_where_they_lie_at_another_width(templates, skin):
    mine = [one for one in templates.templates if one.skin is skin]
    for one in mine:
        assert len(one.features.points) > 10
        assert (one.features.points > -15).all()
        assert (one.features.points < np.array(skin.size) + 15).all()
    small, large = mine[0].features, mine[len(GREYS)].features
    apart = np.hypot(*(small.points[:, None] - large.points[None]).T).T
    # Most of what is found at the small width is found within 1 % of the width at the large one.
    assert np.mean(apart.min(1) < 0.01 * skin.size[0]) > 0.5


def test_advance_is_told_of_each_skin(library):
    told = []
    prepare(Library(library.skins[:2]), told.append)
    assert told == [1, 1]


def test_a_skin_that_shows_nothing_has_no_key_points():
    empty = np.zeros((40, 60, 4), np.uint8)
    blank = Skin("blank", (60, 40), (Element("texture", "body", (0, 0), (empty,)),))
    templates = prepare(Library((blank,)))
    assert templates.descriptors.shape == (0, 128)
    assert len(templates.owner) == 0


def test_a_library_without_skins_has_no_templates():
    templates = prepare(Library(()))
    assert templates.templates == ()
    assert templates.descriptors.shape == (0, 128)
