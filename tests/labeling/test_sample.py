"""A few frames of a video, spread over it."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.data import video
from nitrogen_jax.labeling.sample import key_frames, sample

TINY = 64, 48


def levels(number: int, size=TINY) -> list[np.ndarray]:
    """Frames whose level tells their number."""
    return [np.full((size[1], size[0], 3), 20 + at, np.uint8) for at in range(number)]


def number_of(picture: np.ndarray) -> float:
    return float(picture.mean()) - 20


@pytest.fixture(scope="module")
def tiny(made, folder):
    """20 s with a key frame each second."""
    return made.write(folder / "tiny.mp4", levels(200), rate=10, gop=10)


def test_key_frames_come_with_their_times(tiny):
    found = [(time, frame.key_frame) for time, frame in key_frames(tiny)]
    np.testing.assert_allclose([time for time, _ in found], np.arange(20), atol=1e-6)
    assert all(key for _, key in found)


def test_frames_are_spread_over_the_video(tiny):
    sampled = sample(tiny, 10)
    np.testing.assert_allclose(sampled.times, np.arange(0, 20, 2), atol=1e-6)
    for time, picture in zip(sampled.times, sampled.pictures, strict=True):
        assert picture.shape == (48, 64, 3)
        assert abs(number_of(picture) - 10 * time) < 3
    assert not sampled.other_sizes


def test_with_few_key_frames_all_frames_are_read(made, folder):
    path = made.write(folder / "long-gop.mp4", levels(200), rate=10, gop=250)
    sampled = sample(path, 10)
    assert len(sampled.times) == 10
    np.testing.assert_allclose(np.diff(sampled.times), 2, atol=0.2)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_short_video_gives_what_it_has(made, folder, number):
    path = made.write(folder / f"short{number}.mp4", levels(200)[: 20 * number : 20], rate=10)
    sampled = sample(path, 25)
    assert [round(number_of(one) / 20) for one in sampled.pictures] == list(range(number))


@pytest.mark.parametrize("gop", [1, 250])
def test_a_file_that_does_not_say_how_long_it_is_does_not_fill_the_memory(
    made, folder, gop, monkeypatch
):
    """Converted are about as many pictures as are kept, not all of a stream of hours."""
    path = made.write(folder / f"raw{gop}.mp4", levels(200), rate=10, gop=gop, kind="h264")
    assert video.probe(path).seconds == 0
    held, picture = [], video.Frame.picture

    monkeypatch.setattr(video.Frame, "picture", lambda self: held.append(1) or picture(self))
    sampled = sample(path, 10)
    assert len(sampled.times) == 10
    assert len(held) < 60
    assert np.ptp([number_of(one) for one in sampled.pictures]) > 120


def test_what_comes_before_the_end_of_a_cut_file_is_sampled(tiny, folder):
    content = tiny.read_bytes()
    cut = folder / "cut.mkv"
    cut.write_bytes(content)  # the name does not decide
    assert len(sample(cut, 10).times) == 10
    for share in (0.3, 0.6):
        cut.write_bytes(content[: int(share * len(content))])
        try:
            found = sample(cut, 10)
        except video.Damaged:
            continue  # its index, which lies at the end, is gone
        assert len(found.times) < 10


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 100])
def test_what_is_not_a_video_is_told(folder, content):
    path = folder / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(video.Damaged):
        sample(path, 5)
    with pytest.raises(video.Damaged):
        next(key_frames(path))


def test_frames_of_another_size_are_left_out_and_told(made, folder):
    parts = [
        made.write(folder / f"part{at}.ts", levels(number, size), rate=10, gop=2, kind="mpegts")
        for at, (number, size) in enumerate(((60, TINY), (20, (96, 64))))
    ]
    both = folder / "both.mp4"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    sampled = sample(both, 20)
    assert {one.shape for one in sampled.pictures} == {(48, 64, 3)}
