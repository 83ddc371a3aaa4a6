"""Masked frames: nothing of the overlay is left, and everything else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.data import mask
from nitrogen_jax.data.images import to_frame
from nitrogen_jax.errors import NitrogenError

HIDING = ("black", "mean", "blur")


def noise(height=30, width=40, seed=0, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def inside(box, shape):
    """(H, W) bool: pixels of which the box covers any part, found by comparing each one."""
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    x, y, w, h = box
    covered = (xs + 1 > x) & (xs < x + w) & (ys + 1 > y) & (ys < y + h)
    return covered & (w > 0) & (h > 0)


coordinates = st.one_of(st.floats(-60, 60), st.integers(-60, 60))
lengths = st.one_of(st.just(0.0), st.floats(1e-3, 120), st.integers(1, 120))
boxes = st.tuples(coordinates, coordinates, lengths, lengths)


@given(boxes, st.integers(1, 40), st.integers(1, 50), st.integers(0, 99), st.sampled_from(HIDING))
def test_nothing_inside_the_box_has_an_effect(box, height, width, seed, how):
    covered = inside(box, (height, width))
    one, other = noise(height, width, seed), noise(height, width, seed + 1)
    other[~covered] = one[~covered]
    before = one.copy()
    filled = mask.fill(one, box, how)
    np.testing.assert_array_equal(one, before)  # a copy
    np.testing.assert_array_equal(filled, mask.fill(other, box, how))
    np.testing.assert_array_equal(filled[~covered], one[~covered])
    assert (filled.shape, filled.dtype) == (one.shape, np.uint8)


@given(boxes, st.integers(0, 99))
def test_none_leaves_everything(box, seed):
    np.testing.assert_array_equal(mask.fill(noise(seed=seed), box, "none"), noise(seed=seed))


@pytest.mark.parametrize("how", HIDING)
@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((3, 4, 10, 5), slice(4, 9), slice(3, 13)),
        ((3.2, 4.9, 10, 5), slice(4, 10), slice(3, 14)),  # outward
        ((-5, -5, 8, 9), slice(0, 4), slice(0, 3)),  # clipped
        ((35.5, 25, 100, 100), slice(25, 30), slice(35, 40)),
        ((7.4, 7.4, 0.1, 0.1), slice(7, 8), slice(7, 8)),
        ((0, 0, 40, 30), slice(0, 30), slice(0, 40)),
    ],
)
def test_which_pixels_are_filled(how, box, rows, columns):
    picture = np.full((30, 40, 3), 7, np.uint8)
    picture[rows, columns] = 201  # what the box hides
    filled = mask.fill(picture, box, how)
    outside = np.ones((30, 40), bool)
    outside[rows, columns] = False
    expected = 0 if how == "black" or not outside.any() else 7
    assert (filled[rows, columns] == expected).all()
    assert (filled[outside] == 7).all()


@pytest.mark.parametrize("how", mask.FILLS)
@pytest.mark.parametrize(
    "box", [(3, 4, 0, 5), (3, 4, 5, 0), (40, 0, 9, 9), (0, 30, 9, 9), (-9, 0, 9, 9), (5, 99, 1, 1)]
)
def test_boxes_that_cover_nothing(how, box):
    np.testing.assert_array_equal(mask.fill(noise(), box, how), noise())


def test_mean_is_of_what_lies_outside():
    picture, box = noise(), (3, 4, 20, 17)
    outside = ~inside(box, (30, 40))
    filled = mask.fill(picture, box, "mean")
    expected = np.rint(picture[outside].mean(0))
    assert (filled[4:21, 3:23] == expected).all()


def test_blur_goes_on_from_what_is_around():
    """A gradient to the right goes on; a box at the picture's edge takes its other sides."""
    picture = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], 60, 0)
    picture = np.repeat(picture, 3, 2)
    filled = mask.fill(picture, (40, 20, 20, 20), "blur").astype(int)
    assert np.abs(filled - picture)[20:40, 40:60].max() < 20
    jumps = np.abs(np.diff(filled[20:40, 40:60].astype(int), axis=1))
    assert jumps.max() < 12  # smooth
    corner = mask.fill(picture, (70, 30, 99, 99), "blur")[30:, 70:]
    assert 110 < corner.min() <= corner.max() < 200
    whole_row = mask.fill(picture, (0, 50, 100, 10), "blur")[50:]
    assert whole_row[:, -1].mean() - whole_row[:, 0].mean() > 100


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("how", mask.FILLS)
def test_other_numbers_of_channels(channels, how):
    picture = noise(channels=channels)
    assert mask.fill(picture, (3, 4, 20, 17), how).shape == picture.shape


@pytest.mark.parametrize(
    "box", [(0, 0, -1, 5), (0, 0, 5, -1), (np.nan, 0, 1, 1), (0, 0, np.inf, 1)]
)
def test_impossible_boxes_are_refused(box):
    with pytest.raises(NitrogenError, match="x, y, width, height"):
        mask.fill(noise(), box, "black")


def test_unknown_fill_is_refused():
    with pytest.raises(NitrogenError, match="'white' is not one of none, black, mean, blur"):
        mask.fill(noise(), (0, 0, 1, 1), "white")
    with pytest.raises(NitrogenError, match="'white'"):  # even where nothing is filled
        mask.training_frame(noise(), how="white")


# ---------------------------------------------------------------------------------------------
# Geometry


def test_scale_box():
    assert mask.scale_box((10, 20, 30, 40), (360, 640), (720, 1280)) == (20, 40, 60, 80)
    assert mask.scale_box((10, 20, 30, 40), (100, 100), (50, 200)) == (20, 10, 60, 20)
    with pytest.raises(NitrogenError, match="labelled resolution"):
        mask.scale_box((1, 1, 1, 1), (0, 100), (50, 200))
    with pytest.raises(NitrogenError, match="actual resolution"):
        mask.scale_box((1, 1, 1, 1), (100, 100), (50, -1))


@pytest.mark.parametrize(
    ("area", "rows", "columns"),
    [
        ((0, 0, 1, 1), slice(0, 30), slice(0, 40)),
        ((0.25, 0.5, 0.75, 1), slice(15, 30), slice(10, 30)),
        ((0.999, 0, 1, 1), slice(0, 30), slice(39, 40)),  # never empty
        ((0, 0.5, 1e-9, 0.5 + 1e-9), slice(15, 16), slice(0, 1)),
    ],
)
def test_crop(area, rows, columns):
    np.testing.assert_array_equal(mask.crop(noise(), area), noise()[rows, columns])


@pytest.mark.parametrize(
    "area", [(0.5, 0, 0.5, 1), (0, 0.6, 1, 0.5), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (0, 0, np.nan, 1)]
)
def test_impossible_areas_are_refused(area):
    with pytest.raises(NitrogenError, match="game area"):
        mask.crop(noise(), area)


def test_a_training_frame_is_masked_before_it_is_stretched():
    picture, box, area = noise(90, 160), (20.5, 30, 40, 21), (0.1, 0.2, 0.9, 1)
    frame = mask.training_frame(picture, 64, box, "black", area)
    expected = picture.copy()
    expected[30:51, 20:61] = 0
    np.testing.assert_array_equal(frame, to_frame(expected[18:90, 16:144], 64))
    other = picture.copy()
    other[30:51, 20:61] = 255
    np.testing.assert_array_equal(frame, mask.training_frame(other, 64, box, "black", area))


def test_a_training_frame_without_anything_is_the_stretched_picture():
    picture = noise(90, 160)
    np.testing.assert_array_equal(mask.training_frame(picture), to_frame(picture, 256))


@given(
    st.tuples(st.floats(-20, 180), st.floats(-20, 110), st.floats(0.01, 90), st.floats(0.01, 60)),
    st.one_of(st.none(), st.sampled_from([(0.1, 0.2, 0.9, 1), (0, 0, 0.5, 0.5), (0.5, 0, 1, 1)])),
)
def test_box_in_frame_is_where_the_mask_is(box, area):
    """Against the frame itself: white, and black where masked."""
    size, frame_size = (90, 160), 320
    white = np.full((*size, 3), 255, np.uint8)
    frame = mask.training_frame(white, frame_size, box, "black", area)
    x, y, w, h = mask.box_in_frame(box, size, area)
    assert 0 <= x <= x + w <= 1 + 1e-9
    assert 0 <= y <= y + h <= 1 + 1e-9
    expected = np.full_like(frame, 255)
    left, right = x * frame_size, (x + w) * frame_size
    top, bottom = y * frame_size, (y + h) * frame_size
    expected[int(np.ceil(top)) : int(bottom), int(np.ceil(left)) : int(right)] = 0
    # Pixels on the edge of the box are mixed.
    edge = np.zeros(frame.shape[:2], bool)
    if w and h:
        edge[max(int(top) - 3, 0) : int(bottom) + 4, max(int(left) - 3, 0) : int(right) + 4] = True
        edge[int(top) + 3 : int(bottom) - 2, int(left) + 3 : int(right) - 2] = False
    np.testing.assert_array_equal(frame[~edge], expected[~edge])


def test_box_in_frame_where_there_is_none():
    assert mask.box_in_frame(None, (90, 160)) == (0, 0, 0, 0)
    assert mask.box_in_frame((10, 10, 20, 20), (90, 160), (0.5, 0.5, 1, 1)) == (0, 0, 0, 0)
    assert mask.box_in_frame((10, 10, 0, 20), (90, 160)) == (0, 0, 0, 0)
    assert mask.box_in_frame((0, 0, 160, 90), (90, 160), (0.5, 0.5, 1, 1)) == (0, 0, 1, 1)
