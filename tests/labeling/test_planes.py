"""Planes: colours as swscale converts them, cutting out, means of blocks, even regions."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nitrogen_jax.data.colours import BT601, BT709, FULL, LIMITED
from nitrogen_jax.labeling.planes import Planes, aligned, colours_of, cut, painted, pooled
from nitrogen_jax.labeling.skins.draw import Region

HEIGHT, WIDTH = 64, 96
WHOLE = Region(0, 0, WIDTH, HEIGHT)
STREAMS = [(matrix, side) for matrix in (BT601, BT709) for side in (LIMITED, FULL)]


def smooth(seed: int, channels: int = 3) -> np.ndarray:
    """(HEIGHT, WIDTH, channels) float32 in 0..255 without fine detail."""
    small = np.random.default_rng(seed).uniform(0, 255, (4, 6, channels)).astype(np.float32)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def stored(picture: np.ndarray, matrix: int, side: int, form: str = "yuv420p") -> av.VideoFrame:
    """An RGB picture as swscale stores it."""
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(picture, format="rgb24"),
        format=form,
        src_colorspace=BT601 if matrix != BT601 else BT709,
        src_color_range=FULL,
        dst_colorspace=matrix,
        dst_color_range=side,
    )
    frame.colorspace, frame.color_range = matrix, side
    return frame


def opaque(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture, np.full((*picture.shape[:2], 1), 255)], -1).astype(np.float32)


def composed(rgba, background, colours, opacity=1.0) -> Planes:
    """An overlay over an RGB background, put together plane by plane."""
    over, under = painted(rgba, colours), painted(opaque(background), colours).colour
    return Planes(
        *(
            opacity * colour + (1 - opacity * alpha) * below
            for colour, alpha, below in zip(over.colour, over.alpha, under, strict=True)
        )
    )


@pytest.mark.parametrize(("matrix", "side"), STREAMS)
@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_planes_put_together_are_the_composited_picture_converted(matrix, side, opacity):
    rgba, background = smooth(1, 4), smooth(2)
    rgba[..., :3] *= rgba[..., 3:] / 255
    mixed = opacity * rgba[..., :3] + (1 - opacity * rgba[..., 3:] / 255) * background
    frame = stored(np.rint(mixed).astype(np.uint8), matrix, side)
    mine, theirs = composed(rgba, background, colours_of(frame), opacity), cut(frame, WHOLE)
    assert np.abs(mine.y - theirs.y).max() < 1.5
    # Where colour and alpha both change, the mean of products is not the product of means.
    assert np.abs(mine.uv - theirs.uv).max() < 2


@pytest.mark.parametrize(
    ("rgb", "matrix", "side", "yuv"),
    [
        ((255, 255, 255), BT709, LIMITED, (235, 128, 128)),
        ((0, 0, 0), BT709, LIMITED, (16, 128, 128)),
        ((255, 255, 255), BT601, FULL, (255, 128, 128)),
        ((255, 0, 0), BT601, LIMITED, (81.5, 90.2, 240)),
        ((0, 0, 255), BT709, FULL, (18.4, 255.5, 116.3)),
    ],
)
def test_colours_by_the_books(rgb, matrix, side, yuv):
    picture = np.full((4, 4, 3), rgb, np.uint8)
    look = painted(opaque(picture), colours_of(stored(picture, matrix, side))).colour
    np.testing.assert_allclose(look.y, yuv[0], atol=0.1)
    np.testing.assert_allclose(look.uv[0], yuv[1], atol=0.1)
    np.testing.assert_allclose(look.uv[1], yuv[2], atol=0.1)


@pytest.mark.parametrize(("matrix", "side"), STREAMS)
@pytest.mark.parametrize("form", ["yuv420p", "yuv444p", "yuv422p", "yuv420p10le", "nv12"])
def test_other_formats_give_the_same_pixels(matrix, side, form):
    picture = smooth(3).astype(np.uint8)
    frame = stored(picture, matrix, side, form)
    planes, look = cut(frame, WHOLE), painted(opaque(picture), colours_of(frame)).colour
    assert np.abs(planes.y - look.y).max() < 1.5
    assert np.abs(planes.uv - look.uv).mean() < 1


@pytest.mark.parametrize("form", ["yuvj420p", "yuvj444p"])
def test_formats_that_are_full_by_their_name_need_no_tag(form):
    picture = smooth(3).astype(np.uint8)
    frame = stored(picture, BT709, FULL, form)
    frame.color_range = 0
    assert colours_of(frame).full
    look = painted(opaque(picture), colours_of(frame)).colour
    assert np.abs(cut(frame, WHOLE).y - look.y).max() < 1.5


@pytest.mark.parametrize("side", [0, LIMITED, FULL])
def test_frames_that_are_stored_as_rgb(side):
    picture = smooth(3).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="gbrp")
    frame.color_range = side
    look = painted(opaque(picture), colours_of(frame)).colour
    assert np.abs(cut(frame, WHOLE).y - look.y).max() < 1.5


regions = st.tuples(*[st.integers(-30, 200)] * 4).map(
    lambda four: Region(
        min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3])
    )
)


@given(st.integers(0, HEIGHT // 2), st.integers(0, WIDTH // 2), st.data())
@settings(max_examples=40)
def test_cutting_out_is_slicing(top, left, data):
    bottom = data.draw(st.integers(top, HEIGHT // 2))
    right = data.draw(st.integers(left, WIDTH // 2))
    frame = stored(smooth(4).astype(np.uint8), BT709, LIMITED)
    whole = cut(frame, WHOLE)
    part = cut(frame, Region(2 * left, 2 * top, 2 * right, 2 * bottom))
    np.testing.assert_array_equal(part.y, whole.y[2 * top : 2 * bottom, 2 * left : 2 * right])
    np.testing.assert_array_equal(part.uv, whole.uv[:, top:bottom, left:right])


def test_cut_out_pixels_are_those_of_the_frame_even_where_its_rows_are_padded():
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    frame = stored(picture, BT601, LIMITED)
    array = frame.to_ndarray()  # Y, then U and V below it
    planes = cut(frame, Region(0, 0, 70, 50))
    np.testing.assert_array_equal(planes.y, array[:50])
    np.testing.assert_array_equal(planes.uv.ravel(), array[50:].ravel())


@given(regions, st.tuples(st.integers(2, 150), st.integers(2, 150)), st.sampled_from([2, 4, 8, 16]))
def test_aligned_regions_are_even_inside_and_cover_what_they_were(region, size, to):
    found = aligned(region, size, to)
    height, width = (side // 2 * 2 for side in size)
    assert all(edge % 2 == 0 for edge in found)
    assert 0 <= found.left <= found.right <= width
    assert 0 <= found.top <= found.bottom <= height
    inside = (
        *(max(region.left, 0), max(region.top, 0)),
        *(min(region.right, width), min(region.bottom, height)),
    )
    if inside[0] < inside[2] and inside[1] < inside[3]:
        assert found.left <= inside[0]
        assert found.top <= inside[1]
        assert found.right >= inside[2]
        assert found.bottom >= inside[3]
        # No edge is moved further than it must be.
        assert inside[0] - found.left < to
        assert found.bottom - inside[3] < to


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=40)
def test_pooled_vectors_are_means_of_blocks(block, rows, columns, data):
    side = max(block, 2)
    height, width = rows * side, columns * side
    y = data.draw(arrays.arrays(np.uint8, (2, height, width)))
    uv = data.draw(arrays.arrays(np.uint8, (2, 2, height // 2, width // 2)))
    found = pooled(Planes(y, uv), block)
    small = max(block // 2, 1)
    expected = []
    for n in range(2):
        planes = [(y[n], block), (uv[n, 0], small), (uv[n, 1], small)]
        expected.append(
            [
                plane[i : i + step, j : j + step].mean()
                for plane, step in planes
                for i in range(0, plane.shape[0], step)
                for j in range(0, plane.shape[1], step)
            ]
        )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
