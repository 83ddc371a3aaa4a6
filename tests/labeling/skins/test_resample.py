"""Resampling: nothing is lost, nothing is shifted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.labeling.skins.resample import placed, weights

shrinking = st.floats(0.02, 1.0)
places = st.floats(-30, 30)


@given(st.integers(1, 60), shrinking, places)
def test_every_pixel_of_a_sprite_is_spread_in_full(length, scale, start):
    first = int(np.floor(start))
    number = int(np.ceil(start + length * scale)) - first
    taken = weights(length, scale, start, first, number)
    assert (taken >= 0).all()
    np.testing.assert_allclose(taken.sum(axis=0), scale, rtol=1e-6, atol=2e-6)
    # No pixel of the picture takes more than its own area.
    assert taken.sum(axis=1).max() <= 1 + 1e-6


@given(st.integers(0, 2**32 - 1), shrinking, places, places)
def test_mass_is_conserved(seed, scale, x, y):
    rng = np.random.default_rng(seed)
    sprite = rng.integers(0, 256, (*rng.integers(1, 25, 2), 4)).astype(np.uint8)
    patch, _ = placed(sprite, scale, x, y)
    wanted = sprite.sum(axis=(0, 1)) * scale**2
    np.testing.assert_allclose(patch.sum(axis=(0, 1)), wanted, rtol=1e-5, atol=0.01)


@given(st.integers(0, 2**32 - 1), shrinking, places, places)
def test_the_middle_lies_where_it_should(seed, scale, x, y):
    rng = np.random.default_rng(seed)
    sprite = rng.integers(1, 256, (*rng.integers(1, 25, 2), 1)).astype(np.uint8)
    patch, (left, top) = placed(sprite, scale, x, y)

    def middle(picture, corner):
        mass = picture[..., 0].astype(np.float64)
        across = (np.arange(mass.shape[1]) + 0.5) @ mass.sum(axis=0) / mass.sum()
        down = (np.arange(mass.shape[0]) + 0.5) @ mass.sum(axis=1) / mass.sum()
        return np.array([across, down]) + corner

    # Within a pixel of the picture the mass may lie anywhere.
    apart = middle(patch, (left, top)) - (np.array([x, y]) + scale * middle(sprite, (0, 0)))
    assert np.abs(apart).max() < 0.51


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.7])
def test_a_shift_by_whole_pixels_moves_the_picture_by_them(scale):
    sprite = np.random.default_rng(0).integers(0, 256, (9, 12, 4)).astype(np.uint8)
    here, (left, top) = placed(sprite, scale, 3.25, 4.5)
    there, corner = placed(sprite, scale, 4.25, 2.5)
    assert corner == (left + 1, top - 2)
    np.testing.assert_allclose(there, here, atol=1e-3)


def test_at_its_own_size_on_the_grid_a_sprite_is_itself():
    sprite = np.random.default_rng(0).integers(0, 256, (5, 7, 4)).astype(np.uint8)
    patch, corner = placed(sprite, 1.0, 4.0, -2.0)
    assert corner == (4, -2)
    np.testing.assert_array_equal(patch, sprite)


def test_half_a_pixel_is_the_mean_of_neighbours():
    sprite = np.array([[[10.0], [30.0]]], np.float32)
    patch, corner = placed(sprite, 1.0, 0.5, 0.0)
    assert corner == (0, 0)
    np.testing.assert_allclose(patch[0, :, 0], [5, 20, 15])


def test_enlarged_the_inside_of_a_flat_sprite_stays_flat():
    sprite = np.full((6, 6, 1), 100, np.uint8)
    patch, (left, top) = placed(sprite, 3.0, 0.0, 0.0)
    inside = patch[2 - top : 16 - top, 2 - left : 16 - left, 0]
    np.testing.assert_allclose(inside, 100, atol=1e-3)
