"""Writing videos: what is read back, and what happens when something is wrong."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av")

import av

from nitrogen_jax import terminal
from nitrogen_jax.data import video, video_write
from nitrogen_jax.data.video_write import VideoWriter
from nitrogen_jax.errors import NitrogenError

COLOURS = [
    *[(180, 120, 60), (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 0, 255)],
    *[(255, 255, 0), (0, 0, 0), (255, 255, 255), (128, 128, 128), (20, 200, 90)],
]


def plain(colour, size=(64, 48)):
    return np.full((size[1], size[0], 3), colour, np.uint8)


def write(path, frames, size=(64, 48), rate=30, **options):
    with VideoWriter(path, size, rate, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize("suffix", video_write.SUFFIXES)
def test_colours_come_back(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", map(plain, COLOURS))
    seen = [picture for _, _, picture in video.decode(path)]
    assert len(seen) == len(COLOURS)
    for picture, colour in zip(seen, COLOURS, strict=True):
        assert np.abs(picture.astype(int) - colour).max() <= 5
    with av.open(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (stream.codec_context.name, context.pix_fmt) == ("h264", "yuv420p")
        # BT.709, limited: matrix, primaries, transfer, range
        tags = (context.colorspace, context.color_primaries, context.color_trc)
        assert [*map(int, tags), int(context.color_range)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("size", "stored"), [((65, 47), (66, 48)), ((64, 47), (64, 48)), ((1, 1), (2, 2))]
)
def test_odd_sizes_get_one_more_column_or_row(tmp_path, size, stored):
    path = write(tmp_path / "a.mp4", [plain((200, 60, 60), size)] * 3, size)
    picture = video.read_indices(path, [2])[0]
    assert picture.shape == (stored[1], stored[0], 3)
    assert np.abs(picture.astype(int) - (200, 60, 60)).max() <= 6


@pytest.mark.parametrize("rate", [30, 59.94, Fraction(60000, 1001), np.float32(12.5), 0.5])
def test_times_at_a_constant_rate(tmp_path, rate):
    path = write(tmp_path / "a.mp4", [plain(c) for c in COLOURS], rate=rate)
    times = [time for _, time, _ in video.decode(path)]
    np.testing.assert_allclose(times, np.arange(len(COLOURS)) / float(rate), atol=2e-4)
    assert video.probe(path).rate == pytest.approx(float(rate), rel=1e-4)
    assert video.probe(path).variable is False


@pytest.mark.parametrize(("suffix", "rounding"), [(".mp4", 1e-5), (".mkv", 6e-4)])
def test_explicit_times(tmp_path, suffix, rounding):
    steps = np.random.default_rng(0).uniform(0.004, 0.3, len(COLOURS) - 1)
    times = np.concatenate([[0], np.cumsum(steps)])
    path = write(tmp_path / f"a{suffix}", map(plain, COLOURS), times=times)
    found = [time for _, time, _ in video.decode(path)]
    np.testing.assert_allclose(found, times, atol=rounding)
    assert video.probe(path).variable is True


def test_the_same_frames_give_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(20)]
    written = set()
    for _ in range(10):
        path = write(tmp_path / "a.mp4", frames)
        written.add(path.read_bytes())
        list(video.decode(path, threads=1))  # what another use of FFmpeg leaves behind
    assert len(written) == 1
    frames[7] = 255 - frames[7]
    assert write(tmp_path / "c.mp4", frames).read_bytes() not in written


def test_quality(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 1), np.uint8).repeat(3, 2) for _ in range(8)]
    paths = [write(tmp_path / f"{crf}.mp4", frames, crf=crf) for crf in (10, 40)]
    errors = [
        np.mean([np.abs(picture.astype(int) - frames[i]).mean() for i, _, picture in seen])
        for seen in map(video.decode, paths)
    ]
    assert errors[0] < errors[1] / 2
    assert paths[0].stat().st_size > 2 * paths[1].stat().st_size


@pytest.mark.parametrize(("gop", "expected"), [(None, [0]), (6, [0, 6, 12, 18])])
def test_gop(tmp_path, gop, expected):
    path = write(tmp_path / "a.mp4", [plain((90, 90, 90))] * 24, gop=gop)
    with av.open(path) as container:
        keys = [index for index, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert keys == expected


def test_progress_is_drawn_where_the_total_is_known(tmp_path, monkeypatch):
    bars = []

    @contextlib.contextmanager
    def progress(description, total, unit=""):
        bars.append([description, total, unit, 0])

        def advance(amount=1):
            bars[-1][3] += amount

        yield advance

    monkeypatch.setattr(terminal, "progress", progress)
    write(tmp_path / "a.mp4", map(plain, COLOURS))
    assert bars == []
    write(tmp_path / "a.mp4", map(plain, COLOURS), total=len(COLOURS))
    assert bars == [["writing a.mp4", len(COLOURS), "frames", len(COLOURS)]]


# ---------------------------------------------------------------------------------------------
# What goes wrong


def test_nothing_is_seen_of_a_file_before_it_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def frames():
        yield plain((9, 9, 9))
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, frames())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    write(path, [plain((9, 9, 9))])
    assert video.count(path) == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            plain((0, 0, 0), (64, 50)),
            r"frame 1: it is uint8 \(50, 64, 3\), where uint8 \(48, 64, 3",
        ),
        (plain((0, 0, 0))[..., :1], r"\(48, 64, 1\)"),
        (plain((0, 0, 0)).astype(np.float32), "it is float32"),
        (None, "where uint8"),
    ],
)
def test_a_frame_of_another_kind(tmp_path, frame, message):
    with pytest.raises(NitrogenError, match=message):
        write(tmp_path / "a.mp4", [plain((0, 0, 0)), frame])
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_frames(tmp_path):
    with pytest.raises(NitrogenError, match="no frame was given"):
        write(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_a_pyav_without_the_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(video_write, "ENCODER", "libnothing")
    with pytest.raises(NitrogenError, match="no encoder libnothing"):
        write(tmp_path / "a.mp4", [plain((0, 0, 0))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [0.0]}, "frame 1 has no time"),
        ({"times": [0.0, 0.1, 0.2]}, "has 2 frames and 3 times"),
        ({"times": [0.0, 0.0]}, r"time 0\.0 of frame 1 is not after 0\.0"),
        ({"times": [0.1, 0.0]}, "of frame 1 is not after"),
        ({"times": [-1.0, 0.0]}, "finite seconds"),
        ({"times": [0.0, np.nan]}, "finite seconds"),
        ({"crf": 52}, "crf is 52"),
        ({"rate": 0}, "rate is 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"size": (0, 48)}, "size is"),
        ({"preset": "hasty"}, "preset=hasty"),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(NitrogenError, match=message):
        write(tmp_path / "a.mp4", [plain((0, 0, 0))] * 2, **options)
    assert list(tmp_path.iterdir()) == []


def test_bad_paths(tmp_path):
    with pytest.raises(NitrogenError, match=r"end in \.mp4"):
        VideoWriter(tmp_path / "a.txt", (64, 48), 30)
    with pytest.raises(NitrogenError, match="does not exist"):
        write(tmp_path / "nowhere" / "a.mp4", [plain((0, 0, 0))])
