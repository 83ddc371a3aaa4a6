"""A video as blocks of crops."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest

from nitrogen_jax.data import video
from nitrogen_jax.labeling import blocks
from nitrogen_jax.labeling.skins.draw import Region

LEFT, RIGHT = Region(16, 16, 48, 48), Region(320, 160, 384, 192)


def decoded(path) -> list[np.ndarray]:
    """Y and U planes of all frames, one after the other."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    height = frames[0].shape[0] * 2 // 3
    return [(frame[:height], frame[height : height * 5 // 4]) for frame in frames]


def test_crops_are_the_planes_of_every_frame(plain):
    found = list(blocks.read(plain, lambda seconds, size: (0, RIGHT)))
    (block,) = found
    assert (block.part, block.first, block.size, block.region) == (0, 0, (360, 640), RIGHT)
    np.testing.assert_allclose(block.times, np.arange(60) / 15, atol=1e-3)
    assert block.apart == pytest.approx(1 / 15, rel=1e-3)
    for y, crop in zip(decoded(plain), block.crops.y, strict=True):
        np.testing.assert_array_equal(crop, y[0][160:192, 320:384])
    chroma = decoded(plain)[7][1].reshape(180, 320)
    np.testing.assert_array_equal(block.crops.uv[7, 0], chroma[80:96, 160:192])


def test_a_block_ends_where_a_part_does(plain):
    def cutter(seconds, size):
        assert size == (360, 640)
        if seconds < 1:
            return 0, LEFT
        return None if seconds < 2 else (1, RIGHT)

    found = list(blocks.read(plain, cutter))
    assert [(one.part, one.first, len(one.times)) for one in found] == [
        (0, 0, 15),
        (None, 15, 15),
        (1, 30, 30),
    ]
    assert [None if one.crops is None else one.crops.y.shape for one in found] == [
        (15, 32, 32),
        None,
        (30, 32, 64),
    ]


@pytest.mark.parametrize("most", [1, 7, 60])
def test_blocks_are_no_longer_than_allowed_and_nothing_is_lost(plain, monkeypatch, most):
    (whole,) = blocks.read(plain, lambda seconds, size: (0, LEFT))
    monkeypatch.setattr(blocks, "FRAMES", most)
    monkeypatch.setattr(blocks, "FEWEST", 1)
    found = list(blocks.read(plain, lambda seconds, size: (0, LEFT)))
    assert max(len(one.times) for one in found) == most
    assert [one.first for one in found] == list(range(0, 60, most))
    assert list(itertools.chain(*(one.times for one in found))) == whole.times
    np.testing.assert_array_equal(np.concatenate([one.crops.y for one in found]), whole.crops.y)
    np.testing.assert_array_equal(np.concatenate([one.crops.uv for one in found]), whole.crops.uv)


def test_large_crops_make_short_blocks(plain, monkeypatch):
    monkeypatch.setattr(blocks, "BYTES", 10 * 360 * 640 * 3 // 2)
    monkeypatch.setattr(blocks, "FEWEST", 4)
    found = list(blocks.read(plain, lambda seconds, size: (0, Region(0, 0, 640, 360))))
    assert {len(one.times) for one in found} == {10}


def test_what_was_read_before_the_damage_is_given(plain, folder):
    content = plain.read_bytes()
    moov = content.rfind(b"moov")
    broken = folder / "broken.mp4"
    start = content.find(b"mdat") + 4 + (moov - content.find(b"mdat")) // 2
    broken.write_bytes(content[:start] + bytes(moov - 8 - start) + content[moov - 8 :])
    seen = []

    def collect():
        for block in blocks.read(broken, lambda seconds, size: (0, LEFT)):
            seen.append(block)

    with pytest.raises(video.Damaged) as caught:
        collect()
    assert sum(len(one.times) for one in seen) == caught.value.frames > 5


def test_another_size_is_refused(made, folder):
    parts = [
        made.write(
            folder / f"size{at}.ts",
            [np.zeros((*size, 3), np.uint8)] * 5,
            kind="mpegts",
        )
        for at, size in enumerate(((48, 64), (64, 96)))
    ]
    both = folder / "sizes.mp4"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(blocks.SizeChanges, match="frame 5 is 96 x 64 and the first 64 x 48"):
        list(blocks.read(both, lambda seconds, size: None))
