"""Videos: frame numbers, times, and what happens to files that are damaged."""

from __future__ import annotations

from collections import namedtuple
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av")

import av

from nitrogen_jax.data import video
from nitrogen_jax.data.colours import ToRGB
from nitrogen_jax.errors import NitrogenError

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


@pytest.mark.parametrize("threads", [0, 1])
def test_damage_in_the_middle_is_reported(tmp_path, threads):
    path = make_video(tmp_path / "a.mkv", 60, g="10")
    with av.open(path) as container:
        sizes = [packet.size for packet in container.demux(video=0)]
        container.seek(0)
        packet = list(container.demux(video=0))[30]
        at = path.read_bytes().index(bytes(packet))
    data = bytearray(path.read_bytes())
    data[at + 5 : at + sizes[30]] = bytes(sizes[30] - 5)
    path.write_bytes(data)
    seen = []
    with pytest.raises(
        video.Damaged, match=r"damaged \(\d+ frames in part, \d+ packets lost"
    ) as raised:
        seen.extend((frame.index, frame.faults) for frame in video.frames(path, threads))
    assert 50 < raised.value.frames <= 60
    assert [index for index, _ in seen] == list(range(raised.value.frames))
    assert [faults for _, faults in seen[:15]] == [0] * 15
    assert seen[-1][1] > 0


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


def test_probe(tmp_path):
    path = make_video(tmp_path / "a.mp4", 40, rate=25, size=(64, 48))
    info = video.probe(path)
    assert (info.width, info.height, info.frames, info.rate) == (64, 48, 40, 25)
    assert info.seconds == pytest.approx(1.6)
    assert info.variable is False


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        *[(".mkv", "libx264", rate) for rate in (30, Fraction(60000, 1001), 144, 240)],
        *[(".mp4", "libx264", rate) for rate in (10, Fraction(30000, 1001), 60)],
        *[(".webm", "libvpx-vp9", 30), (".avi", "mpeg4", 30), (".mov", "libx264", 24)],
    ],
)
def test_a_constant_rate_is_not_called_variable(tmp_path, suffix, codec, rate):
    info = video.probe(make_video(tmp_path / f"a{suffix}", 60, codec=codec, rate=rate))
    assert info.variable is (None if suffix == ".avi" and info.variable is None else False)
    assert info.rate == pytest.approx(float(rate), rel=0.02)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("step", [20, 34, 50, 70])
def test_one_longer_frame_is_a_variable_rate(tmp_path, suffix, step):
    times = [20 * i for i in range(20)]
    times += [times[-1] + step + 20 * i for i in range(20)]
    path = make_video(tmp_path / f"a{suffix}", 40, times)
    assert video.probe(path).variable is (step != 20)


def test_probe_of_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"nothing")
    with pytest.raises(video.Damaged, match="cannot be opened"):
        video.probe(path)
    with pytest.raises(video.Damaged, match="cannot be opened"):
        video.probe(tmp_path / "missing.mp4")


# ---------------------------------------------------------------------------------------------
# Frames


def test_only_pictures_that_are_asked_for_are_converted(tmp_path, monkeypatch):
    path, asked = make_video(tmp_path / "a.mp4", 20), []
    convert = ToRGB.__call__

    def counted(self, frame):
        asked.append(frame)
        return convert(self, frame)

    monkeypatch.setattr(ToRGB, "__call__", counted)
    frames = list(video.frames(path))
    assert (len(frames), len(asked)) == (20, 0)
    # A frame can be converted later, in any order, and again.
    for index in (13, 2, 2):
        assert brightness(frames[index].picture()) == pytest.approx(index, abs=0.45)
    assert len(asked) == 3
    assert [i for i, _, _ in video.decode(path, lambda i: i in (3, 5))] == [3, 5]
    assert len(asked) == 5


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_threads_change_nothing(tmp_path, codec):
    path = make_video(tmp_path / "a.mkv", 30, codec=codec)
    one, many = (list(video.decode(path, threads=threads)) for threads in (1, 0))
    assert [x[:2] for x in one] == [x[:2] for x in many]
    for (_, _, a), (_, _, b) in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_times_are_counted_from_the_first_frame(tmp_path, suffix):
    path = make_video(tmp_path / f"a{suffix}", 25, [5000 + 40 * i for i in range(25)])
    times = [round(1000 * frame.time) for frame in video.frames(path)]
    assert times == list(range(0, 1000, 40))
    assert video.probe(path).seconds == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([0.0, 0.1, None, 0.3], [0.0, 0.1, 0.2, 0.3]),
        ([None, None, None, None], [0.0, 0.04, 0.08, 0.12]),  # at the file's 25 Hz
        ([2.0, None, None, 2.5], [0.0, 0.04, 0.08, 0.5]),
        ([0.0, 0.1, 0.1, 0.0, 0.5], [0.0, 0.1, 0.2, 0.3, 0.5]),  # never backwards
    ],
)
def test_times_that_are_missing_or_wrong_are_estimated(tmp_path, monkeypatch, stored, expected):
    raw = namedtuple("raw", "time")
    path = make_video(tmp_path / "a.mp4", 3, rate=25)
    monkeypatch.setattr(video._Faults, "frames", lambda *_: map(raw, stored))
    monkeypatch.setattr(video._Faults, "reason", lambda *_: None)
    assert [frame.time for frame in video.frames(path)] == pytest.approx(expected)


def test_a_stream_without_times(tmp_path):
    """Raw H.264 has none: they follow from a rate."""
    path = make_video(tmp_path / "a.h264", 12)
    times = [frame.time for frame in video.frames(path)]
    steps = np.diff(times)
    assert len(times) == 12
    assert times[0] == 0
    assert (steps > 0).all()
    assert np.ptp(steps) == pytest.approx(0, abs=1e-6)


def test_pictures_of_two_sizes_in_one_file(tmp_path):
    """As an adaptive stream writes them."""
    parts = [make_video(tmp_path / f"{h}.h264", 4, size=(64, h)) for h in (48, 96)]
    path = tmp_path / "a.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = [picture.shape for _, _, picture in video.decode(path)]
    assert shapes == [(48, 64, 3)] * 4 + [(96, 64, 3)] * 4


def test_rotation_is_ignored(tmp_path):
    path = make_video(tmp_path / "a.mp4", 3)
    rotated = tmp_path / "b.mp4"
    with av.open(path) as old, av.open(rotated, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        stream.set_display_rotation(90)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    with av.open(rotated) as container:
        assert next(container.decode(video=0)).rotation != 0
    assert [picture.shape for _, _, picture in video.decode(rotated)] == [(48, 64, 3)] * 3


MEMORY = """
import resource, sys
from pathlib import Path
from nitrogen_jax.data import video
def peak():
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
for frame in video.frames(Path(sys.argv[1])):
    picture = frame.picture()
    if frame.index == 60:
        early = peak()
print(frame.index, peak() - early)
"""


def test_memory_does_not_grow_with_the_length(tmp_path, run_python):
    pytest.importorskip("resource")
    path = make_video(tmp_path / "a.mp4", 300, size=(960, 540), preset="ultrafast")
    done = run_python("-c", MEMORY, str(path))
    last, grown = map(int, done.stdout.split())
    assert last == 299
    assert grown < 60  # MiB; 240 frames are 180 as they are decoded and 360 as RGB


# ---------------------------------------------------------------------------------------------
# Some frames


def test_read_indices(tmp_path):
    path = make_video(tmp_path / "a.mp4", 20)
    pictures = video.read_indices(path, [7, 0, 19, 7])
    assert [round(brightness(picture)) for picture in pictures] == [7, 0, 19, 7]
    assert video.read_indices(path, []) == []
    with pytest.raises(NitrogenError, match=r"has no frame 20: it holds 20 frames$"):
        video.read_indices(path, [3, 20])
    with pytest.raises(NitrogenError, match=r"frame -1 .* start at 0"):
        video.read_indices(path, [-1])


def test_read_indices_of_a_file_that_is_cut_short(tmp_path):
    path = make_video(tmp_path / "a.mkv", 200, rate=50, g="10")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert round(brightness(video.read_indices(path, [4])[0])) == 4
    with pytest.raises(NitrogenError, match=r"has no frame 190: it holds \d+ frames \(it ends at"):
        video.read_indices(path, [4, 190])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_read_times_is_what_is_on_screen(tmp_path, suffix):
    times = [0, 10, 20, 300, 310, 900, 1000]
    path = make_video(tmp_path / f"a{suffix}", len(times), times)
    asked = [0.0, 0.009, 0.01, 0.019, 0.2, 0.3, 0.309, 0.5, 0.95, 1.0, 1.099]
    shown = [0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 6]
    for order in (1, -1):
        pictures = video.read_times(path, asked[::order])
        assert [round(brightness(picture)) for picture in pictures] == shown[::order]
    with pytest.raises(NitrogenError, match=r"shows nothing at 1\.2 s: it ends at 1\.100 s"):
        video.read_times(path, [0.1, 1.2])
    with pytest.raises(NitrogenError, match="seconds from 0 on"):
        video.read_times(path, [-0.1])
    assert video.read_times(path, []) == []


@pytest.mark.parametrize("rate", [30, 60, Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_time_of_a_frame_gives_that_frame(tmp_path, suffix, rate):
    """Also where the file rounds it to milliseconds."""
    path = make_video(tmp_path / f"a{suffix}", 45, rate=rate)
    pictures = video.read_times(path, [i / float(rate) for i in range(45)])
    assert [round(brightness(picture)) for picture in pictures] == list(range(45))


def test_read_times_of_a_single_frame_and_of_no_video(tmp_path):
    path = make_video(tmp_path / "a.mp4", 1)
    assert round(brightness(video.read_times(path, [0.0])[0])) == 0
    path.write_bytes(b"nothing")
    with pytest.raises(NitrogenError, match=r"ends at 0\.000 s \(it cannot be opened"):
        video.read_times(path, [0.0])


# ---------------------------------------------------------------------------------------------
# Colours


def expected_rgb(yuv, kr, kb, full):
    """The definition of a matrix (its two constants) and a range, as floats."""
    y, u, v = yuv
    if full:
        y, u, v = y / 255, (u - 128) / 255, (v - 128) / 255
    else:
        y, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return 255 * np.array([r, g, b])


YUV = [(100, 90, 180), (120, 170, 90), (60, 128, 128), (130, 76, 172)]
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


def make_yuv(path, yuv, matrix, range_, pixels="yuv420p"):
    """Three frames of one colour, given as it is encoded, with FFmpeg's numbers as tags."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        stream.options = {"crf": "1"}
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = range_
        for _ in range(3):
            frame = av.VideoFrame(64, 48, pixels)
            for plane, value in zip(frame.planes, yuv, strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("yuv", YUV)
@pytest.mark.parametrize("range_", [0, 1, 2])  # not said, limited, full
@pytest.mark.parametrize(
    ("matrix", "constants"),
    [(1, BT709), (5, BT601), (6, BT601), (9, BT2020), (2, BT601)],  # 2: not said
)
def test_colours_by_matrix_and_range(tmp_path, suffix, yuv, range_, matrix, constants):
    path = make_yuv(tmp_path / f"a{suffix}", yuv, matrix, range_)
    expected = expected_rgb(yuv, *constants, full=range_ == 2)
    for _, _, picture in video.decode(path):
        np.testing.assert_allclose(picture[20, 20], expected, atol=2.5)
        assert np.ptp(picture.astype(int), axis=(0, 1)).max() <= 2


def test_the_tags_of_these_tests_matter():
    """Any two variants differ, for one of the colours, by more than the tolerance allows."""
    variants = [
        np.stack([expected_rgb(yuv, *constants, full) for yuv in YUV])
        for constants in (BT601, BT709, BT2020)
        for full in (False, True)
    ]
    for i, one in enumerate(variants):
        for other in variants[:i]:
            assert np.abs(one - other).max() > 2 * 2.5


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuv444p", "yuv422p"])
def test_other_layouts_of_pixels(tmp_path, pixels):
    path = make_yuv(tmp_path / "a.mkv", (100, 90, 180), 6, 0, pixels)
    expected = expected_rgb((100, 90, 180), *BT601, full=pixels == "yuvj420p")
    np.testing.assert_allclose(video.read_indices(path, [1])[0][20, 20], expected, atol=3)


def test_a_video_that_is_stored_as_rgb(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (200, 30, 90), np.uint8), "rgb24")
        container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    picture = video.read_indices(path, [0])[0]
    assert (picture == (200, 30, 90)).all()


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
