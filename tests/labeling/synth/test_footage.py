"""Footage: decided by its seed, from folders of videos and images, with files that are neither."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.synth import footage
from nitrogen_jax.labeling.synth.clips import Encoder
from nitrogen_jax.labeling.synth.footage import FromFolder, MadeUp, draw_hud, fitted

SIZE = 160, 90


def some(source, number, seed=0, size=SIZE, rate=10.0) -> np.ndarray:
    return np.stack([f.copy() for f in islice(source.frames(size, rate, seed), number)])


def image(path, value, size=(40, 30)) -> None:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), value, np.uint8))


def movie(path, values, size=(64, 48)) -> None:
    with Encoder(path, size, 10.0, 200_000) as encoder:
        for value in values:
            encoder.write(np.full((size[1], size[0], 3), value, np.uint8))


def test_made_up_frames_are_decided_by_the_seed():
    one = some(MadeUp(), 8)
    assert one.shape == (8, 90, 160, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, some(MadeUp(), 8))
    assert np.abs(one[0].astype(int) - some(MadeUp(), 1, 1)[0]).mean() > 10


def test_made_up_games_move_and_cut():
    frames = some(MadeUp(), 60, rate=6.0).astype(np.float32)
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert steps.min() > 0
    assert steps.max() > 3 * np.median(steps)  # a cut
    assert frames.std((1, 2, 3)).min() > 10  # no picture is plain


def test_a_folder_of_images_and_videos(tmp_path):
    image(tmp_path / "b.png", (0, 0, 200))  # OpenCV writes BGR: this is red
    movie(tmp_path / "a.mp4", [100] * 4)
    (tmp_path / "notes.txt").write_text("no picture")
    source = FromFolder(tmp_path)
    assert [path.name for path in source.files] == ["a.mp4", "b.png"]
    frames = some(source, 34)  # an image is held for 3 s at 10 Hz
    assert frames.shape[1:] == (90, 160, 3)
    red = (frames[:, 45, 80] == (200, 0, 0)).all(1)
    grey = np.abs(frames[:, 45, 80].astype(int) - 100).max(1) < 6
    assert red.sum() == 30
    assert grey.sum() == 4
    # After all files come all files again.
    assert len(some(source, 80)) == 80
    np.testing.assert_array_equal(frames, some(source, 34))


def test_the_order_of_files_is_decided_by_the_seed(tmp_path):
    for value in range(6):
        image(tmp_path / f"{value}.png", 40 * value)

    def order(seed):
        return some(FromFolder(tmp_path), 18, seed, rate=1.0)[::3, 0, 0, 0].tolist()

    assert order(1) == order(1)
    assert sorted(order(1)) == [0, 40, 80, 120, 160, 200]
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_files_that_cannot_be_read_are_passed_over(tmp_path):
    image(tmp_path / "good.png", 77)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "folder.png").mkdir()
    # A size that no decoder allows.
    header = b"P6 1000000 1000000 255\n"
    (tmp_path / "huge.png").write_bytes(header)
    movie(tmp_path / "cut.mkv", [50] * 30)
    whole = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    frames = some(FromFolder(tmp_path), 60)
    assert (frames == 77).all((1, 2, 3)).sum() >= 30


def test_a_folder_of_which_nothing_can_be_read(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no")
    (tmp_path / "bad.mp4").write_bytes(b"no")
    with pytest.raises(NitrogenError, match="none of the 2 files of footage can be read"):
        some(FromFolder(tmp_path), 1)


def test_a_folder_without_footage(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NitrogenError, match="holds no video or image"):
            FromFolder(folder)


@given(*[st.integers(1, 60)] * 2, *[st.integers(2, 60)] * 2)
def test_pictures_are_scaled_to_fill(width, height, wide, high):
    picture = np.full((height, width, 3), 9, np.uint8)
    found = fitted(picture, (wide, high))
    assert found.shape == (high, wide, 3)
    assert (found == 9).all()


def test_the_middle_of_a_picture_is_kept_in_its_proportions():
    picture = np.zeros((60, 160, 3), np.uint8)
    picture[:, 60:100] = 200  # the middle quarter
    found = fitted(picture, (120, 90))  # 1.5 times as large, and cut at the sides
    columns = np.flatnonzero(found[45, :, 0] > 100)
    assert columns[0] == pytest.approx(30, abs=1)
    assert columns[-1] == pytest.approx(89, abs=1)


def test_displays_are_decided_by_the_seed_and_leave_most_of_the_picture_free():
    picture, drawn = draw_hud(np.random.default_rng(5), (320, 180))
    again, _ = draw_hud(np.random.default_rng(5), (320, 180))
    np.testing.assert_array_equal(picture, again)
    assert picture.shape == (180, 320, 3)
    assert drawn.shape == (180, 320)
    assert 0 < drawn.mean() < 0.6
    assert (picture[~drawn] == 0).all()


def test_clouds_have_detail_at_all_sizes():
    clouds = footage.noise(np.random.default_rng(0), 128, 128)
    spectrum = np.abs(np.fft.fft2(clouds - clouds.mean())) ** 2
    low, middle = spectrum[1:5, 1:5].mean(), spectrum[16:24, 16:24].mean()
    assert low > 10 * middle > 0
