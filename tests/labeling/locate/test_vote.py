"""Placements out of matches: the fit, one match and two, what is counted and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nitrogen_jax.labeling.locate.features import Features, Matches
from nitrogen_jax.labeling.locate.templates import Template, Templates
from nitrogen_jax.labeling.locate.vote import candidates, fit, place
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Skin

SKIN = Skin("one", (400, 200), ())
PICTURE = 720, 1280
SCALE, X, Y = 0.5, 900.0, 500.0  # where the skin is in these pictures

points = st.lists(
    st.tuples(st.floats(0, 400), st.floats(0, 200)), min_size=2, max_size=30, unique=True
)


@given(points, st.floats(0.03, 4), st.floats(-500, 2000), st.floats(-500, 2000))
def test_a_fit_to_exact_points_is_exact(here, scale, x, y):
    here = np.array(here)
    assume(np.ptp(here, axis=0).max() > 1)
    found = fit(here, scale * here + (x, y))
    np.testing.assert_allclose(found, (scale, x, y), rtol=1e-6, atol=1e-6)


@given(points, st.integers(0, 2**32 - 1))
def test_no_other_placement_is_nearer_than_the_fit(here, seed):
    rng = np.random.default_rng(seed)
    here = np.array(here)
    assume(np.ptp(here, axis=0).max() > 1)
    there = 0.5 * here + (30, 40) + rng.normal(0, 2, here.shape)
    found = fit(here, there)
    assume(found is not None)

    def far(at):
        return ((there - at[0] * here - at[1:]) ** 2).sum()

    for step in np.eye(3) * (0.001, 0.1, 0.1):
        assert far(found) <= min(far(found + step), far(found - step))


def test_points_in_one_place_or_mirrored_have_no_fit():
    assert fit(np.ones((5, 2)), np.arange(10.0).reshape(5, 2)) is None
    here = np.array([[0.0, 0.0], [10, 0], [0, 10]])
    assert fit(here, -here) is None


def matched(here, there, scales=None) -> tuple[Template, Features, Matches]:
    """Key points of a template and of a picture, in pairs."""
    here, there = np.array(here, float), np.array(there, float)
    number, sizes = len(here), None
    if scales is not None:
        sizes = np.full(number, 8.0)
    template = Template(SKIN, 0.35, Features(here, np.zeros((number, 2)), sizes, sizes))
    seen = None if scales is None else sizes * np.array(scales)
    rows = np.arange(number)
    return (
        template,
        Features(there, np.zeros((number, 2)), seen, seen),
        Matches(rows, rows, np.ones(number)),
    )


def spread(number, seed=0) -> np.ndarray:
    """Points all over the skin."""
    return np.random.default_rng(seed).uniform((0, 0), SKIN.size, (number, 2))


def among_wrong(right: int, wrong: int, sized: bool):
    """Some right matches among wrong ones; their sizes are known to 10 % only."""
    rng = np.random.default_rng(right)
    here = spread(right + wrong)
    there = SCALE * here + (X, Y) + rng.normal(0, 0.2, here.shape)
    there[right:] = rng.uniform((0, 0), PICTURE[::-1], (wrong, 2))
    order = rng.permutation(len(here))
    scales = SCALE * np.exp(rng.normal(0, 0.1, len(here)))
    scales[right:] = rng.uniform(0.2, 2, wrong)
    return matched(here[order], there[order], scales[order] if sized else None)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(("right", "wrong"), [(4, 0), (8, 12), (20, 60)])
def test_right_matches_are_found_among_wrong_ones(right, wrong, sized):
    found = place(*among_wrong(right, wrong, sized), PICTURE)
    assert found.skin is SKIN
    assert abs(found.inliers - right) <= 2
    assert found.at.scale == pytest.approx(SCALE, rel=0.01)
    assert (found.at.x, found.at.y) == pytest.approx((X, Y), abs=1)


def test_two_matches_without_sizes_tell_a_placement():
    here = np.array([[50.0, 40.0], [300.0, 150.0]])
    found = place(*matched(here, SCALE * here + (X, Y)), PICTURE)
    assert found.inliers == 2
    assert found.at == pytest.approx((SCALE, X, Y))


def test_a_single_match_is_not_enough():
    template, seen, found = matched([[50, 40]], [[900, 500]], [SCALE])
    assert place(template, seen, found, PICTURE) is None
    assert place(*matched([[50, 40]], [[900, 500]]), PICTURE) is None


def test_matches_of_one_spot_count_once():
    here = np.array([[101.0, 101.0]]) + np.random.default_rng(0).uniform(0, 2, (20, 2))
    assert place(*matched(here, SCALE * here + (X, Y), np.full(20, SCALE)), PICTURE) is None
    more = np.concatenate([here, [[300.0, 50.0], [20.0, 180.0]]])
    found = place(*matched(more, SCALE * more + (X, Y), np.full(22, SCALE)), PICTURE)
    assert 3 <= found.inliers <= 4  # the spot may lie on the border of two cells


@pytest.mark.parametrize(
    ("scale", "x", "y"),
    [
        (0.1, 900, 500),  # 40 pixels wide
        (2.9, 10, 10),  # wider than four fifths of the picture
        (0.5, 1200, 500),  # its centre is right of the picture
        (0.5, -150, 500),
        (0.5, 900, 700),
        (0.5, 900, -80),
    ],
)
@pytest.mark.parametrize("sized", [True, False])
def test_placements_that_no_overlay_has_are_refused(scale, x, y, sized):
    here = spread(20)
    scales = np.full(20, scale) if sized else None
    assert place(*matched(here, scale * here + (x, y), scales), PICTURE) is None


def test_candidates_name_the_skin_whose_descriptors_match():
    rng = np.random.default_rng(0)

    def unit(number):
        vectors = rng.normal(0, 1, (number, 32))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    skins = [Skin(name, (400, 200), ()) for name in "abc"]
    made = [
        Template(skin, 0.35, Features(spread(40, at), unit(40), np.full(40, 8.0), np.zeros(40)))
        for at, skin in enumerate(skins)
    ]
    owner = np.repeat(np.arange(3), 40).astype(np.int32)
    vectors = np.concatenate([one.features.descriptors for one in made])
    templates = Templates(Library(tuple(skins)), tuple(made), vectors, owner)
    there = SCALE * made[1].features.points + (X, Y)
    seen = Features(
        np.concatenate([there, rng.uniform(0, 700, (300, 2))]),
        np.concatenate([made[1].features.descriptors, unit(300)]),
        np.full(340, 4.0),
        np.zeros(340),
    )
    found = candidates(templates, seen, PICTURE)
    assert found[0].skin is skins[1]
    assert found[0].inliers > 25
    assert found[0].at == pytest.approx((SCALE, X, Y), abs=0.1)
    # Turned by a right angle, none of them is an overlay.
    aside = Features(seen.points, seen.descriptors, seen.sizes, np.full(340, 90.0))
    assert not any(one.inliers > 5 for one in candidates(templates, aside, PICTURE))


def test_a_picture_with_hardly_a_key_point_has_no_candidates():
    one = Features(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1), np.zeros(1))
    assert candidates(Templates(Library(()), (), np.zeros((0, 2)), np.zeros(0)), one, PICTURE) == []
