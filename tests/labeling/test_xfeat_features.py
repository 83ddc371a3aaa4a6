"""Points and descriptors of uint8 pictures of any size, and what matching them recovers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("safetensors")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import xfeat_features
from nitrogen_jax.labeling.xfeat_features import detect, match


def pad(height, width, seed=0):
    """A picture of rings, squares and letters, as overlays have them."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 90, np.uint8)
    for index in range(height * width // 1000):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(8, 26))
        if index % 2:
            cv2.circle(image, (x, y), size // 2, colour, 2, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x, y), (x + size, y + size // 2 + 4), colour, -1)
    return image


@pytest.fixture(scope="module")
def picture():
    return pad(150, 210)


def test_what_comes_out(picture):
    points, descriptors = detect(picture, top_k=64)
    assert points.dtype == descriptors.dtype == np.float32
    assert points.shape == (64, 2)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-5)
    assert np.all(points >= 0)
    assert np.all(points < [210, 150])
    fewer, same = detect(picture, top_k=8)
    np.testing.assert_array_equal(fewer, points[:8])
    np.testing.assert_allclose(same, descriptors[:8], atol=1e-5)


def test_grey_and_colour_agree(picture):
    grey = picture.mean(2).round().astype(np.uint8)
    points, descriptors = detect(np.repeat(grey[..., None], 3, 2), top_k=64)
    alone, same = detect(grey, top_k=64)
    np.testing.assert_array_equal(points, alone)
    np.testing.assert_allclose(descriptors, same, atol=1e-4)
    reversed_channels, _ = detect(picture[..., ::-1], top_k=64)
    np.testing.assert_array_equal(reversed_channels, detect(picture, top_k=64)[0])


def test_padding_is_no_picture():
    """Every size of a bucket: points lie inside, and a plain picture has none."""
    for height, width in [(129, 193), (160, 224), (141, 224)]:
        points, _ = detect(pad(height, width), top_k=64)
        assert len(points) > 10
        assert np.all(points < [width, height])
        plain, descriptors = detect(np.full((height, width), 200, np.uint8), top_k=64)
        assert plain.shape == (0, 2)
        assert descriptors.shape == (0, 64)


# NOTE: the network looks at cells of 8 pixels. A shift by whole cells moves points exactly; after
# any other the original, too, puts 40 % of these points more than 2 pixels away, and the median
# stays right within a pixel.
@pytest.mark.parametrize(
    ("shift", "error", "share"), [((40, 24), 0, 0.9), ((43, 29), 1, 0.5), ((37, 18), 1, 0.5)]
)
def test_a_shift_is_recovered(shift, error, share):
    pattern = pad(90, 130, seed=3)
    pictures = [np.full((150, 210, 3), 90, np.uint8) for _ in range(2)]
    pictures[0][10:100, 15:145] = pattern
    pictures[1][10 + shift[1] :, 15 + shift[0] :][:90, :130] = pattern
    (first, a), (second, b) = (detect(each, top_k=64) for each in pictures)
    pairs = match(a, b)
    moved = second[pairs[:, 1]] - first[pairs[:, 0]]
    assert len(pairs) >= 15
    np.testing.assert_allclose(np.median(moved, axis=0), shift, atol=error)
    assert np.mean(np.abs(moved - shift).max(1) <= 2) > share


@pytest.mark.parametrize("scale", [0.9, 1.2])
def test_a_scale_is_recovered(scale):
    pattern = pad(110, 150, seed=4)
    size = (round(150 * scale), round(110 * scale))
    pictures = [np.full((150, 210, 3), 90, np.uint8) for _ in range(2)]
    pictures[0][10:120, 12:162] = pattern
    pictures[1][8 : 8 + size[1], 20 : 20 + size[0]] = cv2.resize(
        pattern, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    (first, a), (second, b) = (detect(each, top_k=64) for each in pictures)
    pairs = match(a, b)
    expected = (first[pairs[:, 0]] - [12, 10]) * scale + [20, 8]
    assert len(pairs) >= 15
    assert np.mean(np.abs(second[pairs[:, 1]] - expected).max(1) <= 2.5) > 0.6


def test_matches_are_mutual_and_near():
    a = np.eye(4, 64, dtype=np.float32)
    b = a[[2, 0, 1]]
    assert match(a, b).tolist() == [[0, 1], [1, 2], [2, 0]]
    assert match(a, -b).shape == (0, 2)
    assert match(a, b[:0]).shape == (0, 2)
    # Two want the same one: the nearer gets it.
    near = np.asarray([[1, 0.0], [0.8, 0.6]], np.float32)
    assert match(near, near[:1], least=0.5).tolist() == [[0, 0]]


def test_one_program_for_a_bucket():
    program = xfeat_features._program(160, 224, 64)
    compiled = program._cache_size()
    detect(pad(133, 200), top_k=64)
    detect(pad(160, 201), top_k=64)
    assert program._cache_size() <= max(compiled, 1)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 4), np.float32), "where uint8"),
        (np.zeros((4, 4, 4), np.uint8), "where uint8"),
        (np.zeros(4, np.uint8), "where uint8"),
        (np.zeros((0, 4), np.uint8), "has no pixels"),
    ],
)
def test_wrong_pictures(picture, message):
    with pytest.raises(NitrogenError, match=message):
        detect(picture)
