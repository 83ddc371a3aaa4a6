"""Agreement of a picture with a skin, and the way back to the place at which it is best."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.locate.align import Drawn, compare, detail, refine, region_of
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import Element, Skin, States

SMALL = 360, 640  # of a picture, (height, width)


@pytest.fixture(scope="module")
def ground():
    """A smooth background, as a median picture has it."""
    y, x = np.mgrid[: SMALL[0], : SMALL[1]]
    shades = [60 + 0.1 * x + 20 * np.sin(y / 70), 90 + 0.1 * y, 80 + 30 * np.cos(x / 90)]
    return np.stack(shades, -1).astype(np.uint8)


@pytest.fixture(scope="module")
def on(made, ground, skin):
    """A function that draws the skin at rest on the background."""

    def draw(at: Placement, opacity: float = 1.0, of: Skin = skin) -> np.ndarray:
        return made.drawn([ground], of, at, States.idle(1), opacity)[0]

    return draw


@pytest.mark.parametrize(("width", "opacity"), [(90, 0.7), (90, 1.0), (160, 0.4), (300, 0.7)])
@pytest.mark.parametrize("colour", [False, True])
def test_score_and_opacity_at_the_true_place(made, on, skin, width, opacity, colour):
    at = made.at_width(skin, width, 30.4, 60.7)
    agreement = compare(on(at, opacity), Drawn(skin, at.scale), at, colour)
    assert 0.97 < agreement.score < 1 + 1e-6
    assert agreement.opacity == pytest.approx(opacity, abs=0.1)
    assert agreement.visible == pytest.approx(1)


def test_the_score_falls_with_distance_and_is_low_elsewhere(made, on, skin, game):
    at = made.at_width(skin, 160, 30.4, 60.7)
    picture, drawn = on(at), Drawn(skin, at.scale)
    scores = [compare(picture, drawn, at._replace(x=at.x + far)).score for far in (0, 1, 2, 4)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1] + 0.02
    assert compare(game[0], drawn, at).score < 0.25


@pytest.mark.parametrize(("width", "opacity"), [(120, 0.5), (200, 1.0)])
@pytest.mark.parametrize("off", [(2.5, -2, 1.02), (-2, 2.5, 0.98), (3, 0, 1.0), (0, 0, 1.02)])
def test_refine_comes_back_from_some_pixels_and_2_percent(made, on, skin, width, opacity, off):
    true = made.at_width(skin, width, 250.3, 80.6)
    near = Placement(true.scale * off[2], true.x + off[0], true.y + off[1])
    found = refine(on(true, opacity), Drawn(skin, near.scale), near)
    assert made.corner_error(found, true, skin) < 0.3
    assert found.scale == pytest.approx(true.scale, rel=0.003)
    assert all(type(number) is float for number in found)


def test_refine_makes_no_score_worse(game, skin, made):
    """Also where the overlay is not there at all."""
    at = made.at_width(skin, 160, 200, 100)
    drawn = Drawn(skin, at.scale)
    for picture in game[::20]:
        before = compare(picture, drawn, at).score
        assert compare(picture, drawn, refine(picture, drawn, at)).score >= before


def test_what_is_outside_of_the_picture_does_not_count(made, on, skin):
    at = made.at_width(skin, 160, -40, 60.2)
    agreement = compare(on(at), Drawn(skin, at.scale), at)
    assert agreement.visible == pytest.approx(0.75, abs=1e-3)
    assert agreement.score > 0.98
    found = refine(on(at), Drawn(skin, at.scale), at._replace(x=at.x + 2, y=at.y - 1))
    assert made.corner_error(found, at, skin) < 0.5


@pytest.mark.parametrize("at", [Placement(0.5, -140, 60), Placement(0.5, 900, 60)])
def test_an_overlay_that_is_hardly_in_the_picture_has_no_score(on, skin, at):
    drawn = Drawn(skin, at.scale)
    assert compare(on(at), drawn, at).score == 0
    assert refine(on(at), drawn, at) == at


def test_a_skin_without_detail_has_no_score_and_stays_where_it_is(ground):
    empty = np.zeros((40, 60, 4), np.uint8)
    blank = Skin("blank", (60, 40), (Element("texture", "body", (0, 0), (empty,)),))
    at = Placement(2.0, 100.0, 100.0)
    drawn = Drawn(blank, 2.0)
    assert compare(ground, drawn, at).score == pytest.approx(0, abs=1e-3)
    assert refine(ground, drawn, at) == at


def test_a_picture_without_detail_has_no_score(skin):
    at = Placement(0.5, 100.0, 100.0)
    flat = np.full((*SMALL, 3), 77, np.uint8)
    assert compare(flat, Drawn(skin, 0.5), at).score == pytest.approx(0, abs=1e-2)


def test_detail_is_blind_to_slopes_and_levels(ground):
    assert np.abs(detail(ground.astype(np.float32))[40:-40, 40:-40]).max() < 3
    np.testing.assert_allclose(detail(np.full((20, 30), 9.0, np.float32)), 0, atol=1e-4)


def test_the_region_lies_in_the_picture(skin):
    region, visible = region_of(skin, Placement(0.5, -20.0, 300.0), SMALL)
    wide, high = 0.5 * skin.size[0], 0.5 * skin.size[1]
    assert region.left == 0
    assert region.bottom == SMALL[0]
    assert visible == pytest.approx((wide - 20) * 60 / wide / high)


def test_sticks_count_less_than_what_rests(made, on, skin):
    """A moved stick costs little: its place is told by all that rests."""
    at = made.at_width(skin, 160, 30.4, 60.7)
    drawn = Drawn(skin, at.scale)
    states = States.idle(1)
    states.left[0] = 1, 0
    moved = made.drawn([on(at)], skin, at, states)[0]
    assert compare(moved, drawn, at).score > 0.8
    found = refine(moved, drawn, at._replace(x=at.x + 1.5))
    assert made.corner_error(found, at, skin) < 0.7
