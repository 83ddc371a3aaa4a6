"""Videos: frame numbers, times, and what happens to files that are damaged."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nitrogen_jax.data import video
from nitrogen_jax.errors import NitrogenError

av = pytest.importorskip("av")

STEP = 4  # of brightness from one frame to the next


def make_video(path, frames=40, times=None, codec="libx264", size=(64, 48), rate=30, **options):
    """A video whose frame i has brightness 20 + STEP * i; times in 1/1000 s."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options, stream.bit_rate = options, 2_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(frames):
            pixels = np.full((size[1], size[0], 3), 20 + STEP * (index % 50), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def brightness(picture):
    return (float(picture.mean()) - 20) / STEP


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *((suffix, "libx264") for suffix in (".mp4", ".mkv", ".mov")),
        (".avi", "mpeg4"),
        (".webm", "libvpx-vp9"),
    ],
)
def test_frames_are_counted_in_the_order_in_which_they_are_shown(tmp_path, suffix, codec):
    path = make_video(tmp_path / f"a{suffix}", 20, codec=codec)
    seen = list(video.decode(path))
    assert [index for index, _, _ in seen] == list(range(20))
    for index, time, picture in seen:
        assert (picture.shape, picture.dtype) == ((48, 64, 3), np.uint8)
        assert brightness(picture) == pytest.approx(index, abs=0.45)
        assert time == pytest.approx(index / 30, abs=2e-3)
    assert video.count(path) == 20


def test_only_wanted_frames_come(tmp_path):
    path = make_video(tmp_path / "a.mp4", 20)
    assert [i for i, _, _ in video.decode(path, lambda i: i % 7 == 3)] == [3, 10, 17]


def test_variable_frame_rate(tmp_path):
    times = [0, 10, 20, 300, 310, 900, 1000]
    path = make_video(tmp_path / "a.mkv", len(times), times)
    seen = list(video.decode(path))
    assert [i for i, _, _ in seen] == list(range(len(times)))
    assert [round(1000 * time) for _, time, _ in seen] == times


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_file_that_is_cut_short_gives_its_beginning(tmp_path, suffix):
    path = make_video(tmp_path / f"a{suffix}", 200, rate=50, g="10")
    if suffix == ".mp4":  # an index at the front, as for streaming
        path = remux(path, tmp_path / "b.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    seen = []
    with pytest.raises(video.Damaged, match=r"ends at \d\.\d s and says that it lasts 4\.0 s") as e:
        seen.extend(index for index, _, _ in video.decode(path))
    assert 20 < e.value.frames < 190
    # NOTE: list.extend keeps what came before the error.
    assert seen == list(range(e.value.frames))


def test_damage_in_the_middle_is_reported(tmp_path):
    path = make_video(tmp_path / "a.mkv", 60, g="10")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(video.Damaged) as raised:
        list(video.decode(path))
    assert 0 < raised.value.frames <= 60


@pytest.mark.parametrize("content", [b"", b"not a video" * 50])
def test_a_file_that_is_no_video(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(video.Damaged, match="cannot be opened") as raised:
        list(video.decode(path))
    assert raised.value.frames == 0
    assert video.count(path) == 0


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(video.Damaged, match="no video stream"):
        list(video.decode(path))
    assert video.count(path) == 0


def test_find(tmp_path):
    for name in ("b.mp4", "a.MKV", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in video.find(tmp_path)] == ["a.MKV", "b.mp4"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NitrogenError, match="holds no video"):
        video.find(tmp_path / "empty")
    with pytest.raises(NitrogenError, match="does not exist"):
        video.find(tmp_path / "nowhere")


def remux(source, target):
    """The same packets with the index in front."""
    with (
        av.open(source) as old,
        av.open(target, "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target
