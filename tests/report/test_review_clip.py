"""The pictures of chunks: one for each row, the right one, of the sizes that were asked for."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")
from nitrogen_jax.data import digits
from nitrogen_jax.data.demo import make_demo
from nitrogen_jax.data.labels import Box, ChunkMeta, OriginalVideo
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report import review_clip
from nitrogen_jax.report.review_clip import Clip, ClipOptions, clips, overlay_box


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """40 frames whose rate varies, and metadata of no real chunk."""
    root = tmp_path_factory.mktemp("demo") / "demo"
    return make_demo(root, videos=1, seconds=2, rate=20, chunk_seconds=2, variable=[0]).videos[0]


def part(video, first, rows):
    meta = video.chunks[0]
    inner = dataclasses.replace(meta.video, start_frame=first, end_frame=first + rows)
    return dataclasses.replace(meta, chunk_size=rows, video=inner)


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_row_i_is_the_picture_of_its_frame(video):
    chunks = [part(video, 12, 9), part(video, 0, 5), part(video, 15, 10)]  # two overlap
    found = dict(clips(video.path, chunks, ClipOptions(width=200)))
    assert set(found) == {0, 1, 2}
    for number, meta in enumerate(chunks):
        clip = found[number]
        assert len(clip.frames) == len(clip.overlays) == len(clip.times) == meta.chunk_size
        assert clip.size == (200, 112)
        first = meta.video.start_frame
        for row, data in enumerate(clip.frames):
            picture = decoded(data)
            assert picture.shape == (112, 200, 3)
            assert digits.read_number(picture, video.number_box) == first + row
        times = video.trace.times[first : first + meta.chunk_size]
        assert np.allclose(clip.times, times, atol=1e-3)
        assert clip.num_bytes > sum(map(len, clip.frames))


def test_colours_are_those_of_the_video(video):
    ((_, clip),) = clips(video.path, [part(video, 3, 1)])
    picture = np.array([[[200, 30, 90]]], np.uint8).repeat(16, 0).repeat(16, 1)
    blue_green_red = decoded(review_clip.jpeg(picture, 95)).mean((0, 1))
    assert np.allclose(blue_green_red, (90, 30, 200), atol=6)
    assert clip.size == (320, 180)  # smaller than asked for: as it is


def test_the_overlay_is_the_box_and_a_little_more(video):
    ((_, clip),) = clips(video.path, [part(video, 3, 1)])
    left, top, right, bottom = overlay_box(video.chunks[0], (180, 320))
    x, y, w, h = video.overlay
    assert left <= x
    assert top <= y
    assert right >= min(x + w, 320)
    assert bottom >= min(y + h, 180)
    whole, crop = decoded(clip.frames[0]), decoded(clip.overlays[0])
    assert clip.overlay_size == (right - left, bottom - top) == crop.shape[1::-1]
    part_of_whole = whole[top:bottom, left:right].astype(int)
    assert np.abs(part_of_whole - crop).mean() < 6


def a_chunk(**changes):
    inner = OriginalVideo(video_id="v", resolution=changes.pop("resolution", (100, 200)))
    fields = {"uuid": "", "chunk_id": "0", "chunk_size": 1, "game": "", "controller_type": ""}
    return ChunkMeta(**fields, overlay=changes["overlay"], game_area=None, video=inner)


@pytest.mark.parametrize(
    ("overlay", "resolution", "shape", "box"),
    [
        (None, (100, 200), (100, 200), None),
        (Box(0, 0, 200, 100), (100, 200), (100, 200), (0, 0, 200, 100)),
        (Box(50, 20, 100, 50), (100, 200), (100, 200), (44, 14, 157, 77)),
        (Box(50, 20, 100, 50), (100, 200), (200, 400), (88, 28, 313, 153)),
        (Box(50, 20, 100, 50), None, (100, 200), (44, 14, 157, 77)),
        (Box(300, 20, 100, 50), None, (100, 200), None),
    ],
)
def test_the_box(overlay, resolution, shape, box):
    meta = a_chunk(overlay=overlay, resolution=resolution)
    assert overlay_box(meta, shape) == box


def test_a_chunk_without_an_overlay(video):
    meta = dataclasses.replace(part(video, 0, 2), overlay=None)
    ((_, clip),) = clips(video.path, [meta])
    assert (len(clip.frames), clip.overlays) == (2, [])


def test_chunks_beyond_the_end_say_so(video):
    found = dict(clips(video.path, [part(video, 0, 3), part(video, 30, 1000)]))
    assert isinstance(found[0], Clip)
    frames = len(video.trace.times)
    assert f"after {frames} frames, and the chunk goes from 30 to 1030" in found[1]


def test_not_a_video(tmp_path, video):
    path = tmp_path / "v.mp4"
    path.write_bytes(b"no video")
    ((_, reason),) = clips(path, [part(video, 0, 3)])
    assert "cannot be opened" in reason


def test_too_large_a_page_is_not_made(video):
    found = dict(
        clips(video.path, [part(video, 0, 3), part(video, 3, 30)], ClipOptions(most_bytes=60_000))
    )
    assert isinstance(found[0], Clip)
    assert found[0].num_bytes <= 60_000
    assert "of its 30 rows are more than the 0.06 MB of --max-mb" in found[1]


@pytest.mark.parametrize("change", [{"width": 5}, {"quality": 0}, {"most_bytes": 0}])
def test_options(change):
    with pytest.raises(NitrogenError, match="of a review page is"):
        ClipOptions(**change).check()
