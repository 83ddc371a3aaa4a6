"""Pictures of every kind become uint8 RGB of the tower's size, or one clear sentence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nitrogen_jax.data import images
from nitrogen_jax.errors import NitrogenError


def write(path, array, *options):
    path.write_bytes(cv2.imencode(path.suffix, array, list(options))[1].tobytes())
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_halving_is_the_mean_of_areas():
    picture = noise(8, 12, 3)
    frame = images.to_frame(picture, 4)
    areas = picture.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3))  # stretched: 8x12 to 4x4
    assert frame.dtype == np.uint8
    np.testing.assert_allclose(frame, areas, atol=0.51)


def test_a_picture_of_the_right_size_is_untouched():
    picture = noise(5, 5, 3)
    np.testing.assert_array_equal(images.to_frame(picture, 5), picture)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_gray_and_alpha(size):
    gray = noise(5, 5)
    expected = images.to_frame(np.stack([gray] * 3, axis=-1), size)
    np.testing.assert_array_equal(images.to_frame(gray, size), expected)
    np.testing.assert_array_equal(images.to_frame(gray[..., None], size), expected)
    with_alpha = np.dstack([noise(5, 5, 3), noise(5, 5, seed=1)])
    expected = images.to_frame(np.ascontiguousarray(with_alpha[..., :3]), size)
    np.testing.assert_array_equal(images.to_frame(with_alpha, size), expected)


def test_views_that_are_not_contiguous():
    picture = noise(6, 7, 3)
    flipped = picture[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(
        images.to_frame(flipped, 4), images.to_frame(np.ascontiguousarray(flipped), 4)
    )


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        ([[1, 2]], "is a list"),
        (np.zeros((4, 4, 3), np.float32), "float32: pictures are uint8 from 0 to 255; scale"),
        (np.full((4, 4, 3), np.nan), "float64 and holds NaN or inf: pictures are uint8"),
        (np.zeros((4, 4, 3), np.uint16), "uint16: pictures are uint8"),
        (np.zeros((4, 4, 3), bool), "bool: pictures are uint8"),
        (np.zeros(4, np.uint8), r"shape \(4,\), where"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"shape \(1, 4, 4, 3\), where"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\), where"),
        (np.zeros((3, 4, 4), np.uint8), None),  # could be 3 rows of 4 channels
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ],
)
def test_arrays_that_are_not_pictures(picture, complaint):
    if complaint is None:
        assert images.to_frame(picture, 8).shape == (8, 8, 3)
        return
    with pytest.raises(NitrogenError, match=complaint) as raised:
        images.to_frame(picture, 8, "the screen")
    assert str(raised.value).startswith("the screen ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".jpg"])
def test_files_are_read_as_rgb(tmp_path, suffix):
    blue, green, red = 200, 100, 20
    bgr = np.full((16, 24, 3), (blue, green, red), np.uint8)
    picture = images.read(write(tmp_path / f"a{suffix}", bgr))
    assert (picture.shape, picture.dtype) == ((16, 24, 3), np.uint8)
    np.testing.assert_allclose(picture, np.broadcast_to((red, green, blue), bgr.shape), atol=6)


def test_gray_alpha_and_sixteen_bit_files(tmp_path):
    gray = noise(4, 6)
    np.testing.assert_array_equal(
        images.read(write(tmp_path / "gray.png", gray)), np.stack([gray] * 3, axis=-1)
    )
    alpha = noise(4, 6, 4)
    np.testing.assert_array_equal(
        images.read(write(tmp_path / "alpha.png", alpha)), alpha[..., 2::-1]
    )
    deep = gray.astype(np.uint16) * 257
    np.testing.assert_array_equal(
        images.read(write(tmp_path / "deep.png", deep)), np.stack([gray] * 3, axis=-1)
    )


@pytest.mark.parametrize("content", [b"", b"no picture at all", None])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is None:  # cut off in the middle
        content = write(path, noise(64, 64, 3)).read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(NitrogenError, match=r"broken\.png cannot be decoded"):
        images.read(path)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(NitrogenError, match=r"cannot read picture .*none\.png: No such file"):
        images.read(tmp_path / "none.png")


def test_find_keeps_the_order_of_arguments_and_sorts_folders(tmp_path):
    folder = tmp_path / "shots"
    folder.mkdir()
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (folder / name).write_bytes(b"")
    single = tmp_path / "z.png"
    single.write_bytes(b"")
    found = images.find([single, str(folder)])
    assert [path.name for path in found] == ["z.png", "a.jpg", "b.PNG"]


def test_find_complains(tmp_path):
    with pytest.raises(NitrogenError, match="holds no picture"):
        images.find([tmp_path])
    with pytest.raises(NitrogenError, match=r"nowhere\.png does not exist"):
        images.find([tmp_path / "nowhere.png"])
    with pytest.raises(NitrogenError, match="no picture is given"):
        images.find([])
