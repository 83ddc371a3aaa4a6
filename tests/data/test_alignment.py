"""Row i of a label table is the pad state whose step produced frame i: from a recording to a batch.

The clip's picture is bright in exactly the frames whose row has SOUTH pressed. Whatever a loader
delivers, the presses that it predicts must be where the pictures are bright.
"""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data import build, labels, window_index
from nitrogen_jax.data.build_plan import BuildOptions
from nitrogen_jax.data.build_video import RecordOptions
from nitrogen_jax.data.control import EARLY, Steps
from nitrogen_jax.data.label_tree import write_chunk
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig
from nitrogen_jax.data.splits import Splits
from nitrogen_jax.data.video_write import VideoWriter

SOUTH = gamepad.BUTTON_INDEX["SOUTH"]
RATE, SECONDS, CHUNK = 60, 6, 120
EVERYTHING = window_index.Filters(min_active=0.0)


def presses(count: int) -> np.ndarray:
    """(count,) bool, changing at irregular times."""
    lengths = np.random.default_rng(3).integers(1, 9, count)
    return np.repeat(np.arange(count) % 2 == 1, lengths)[:count]


def record(root, times: np.ndarray | None = None, lag: int = 0) -> np.ndarray:
    """Writes videos/clip.mp4 and its label tree; returns which frames are bright.

    Args:
        times: of the frames; None: even.
        lag: frames by which the labels come late, as metadata says.
    """
    (root / "videos").mkdir(parents=True)
    bright = presses(RATE * SECONDS)
    with VideoWriter(root / "videos/clip.mp4", (64, 64), RATE, times=times) as writer:
        for light in bright:
            writer.write(np.full((64, 64, 3), 220 if light else 30, np.uint8))
    actions = gamepad.neutral(len(bright))
    actions[:, SOUTH] = bright
    actions = np.concatenate([gamepad.neutral(lag), actions])[: len(bright)]
    at = np.arange(len(bright)) / RATE if times is None else times
    for chunk, first in enumerate(range(0, len(bright), CHUNK)):
        last = min(first + CHUNK, len(bright))
        end = float(at[last]) if last < len(at) else float(at[-1]) + 1 / RATE
        meta = labels.ChunkMeta(
            uuid=f"clip-{chunk}",
            chunk_id=str(chunk),
            chunk_size=last - first,
            game="flash",
            controller_type="xboxone",
            overlay=None,
            game_area=None,
            label_lag=lag,
            video=labels.OriginalVideo(
                video_id="clip",
                resolution=(64, 64),
                start_time=float(at[first]),
                end_time=end,
                start_frame=first,
                end_frame=last,
            ),
        )
        write_chunk(root / "labels", meta, actions[first:last])
    return bright


def load(root, steps: Steps, codec: str, stride: int = 1, seconds: float | None = 0.75):
    """Builds and loads all samples: (n,) frame, (n,) bright in the picture, (n, T) SOUTH."""
    options = BuildOptions(RecordOptions(codec, stride, seconds), Splits({}))
    out = root / f"records-{codec}-{stride}"
    if not out.exists():
        build.build(root / "labels", root / "videos", out, options)
    window_index.write_index(out, "train", "all", window_index.IndexOptions(steps, EVERYTHING))
    frames, shown, pressed = [], [], []
    config = LoaderConfig((Dataset(str(out), index="all"),), batch=16, epochs=1)
    with Loader(config) as loader:
        for batch in loader:
            for at in np.flatnonzero(batch["valid"]):
                assert batch["mask"][at].all()
                frames.append(loader.provenance(batch, at)["frame"])
                shown.append(batch["frames"][at].mean() > 128)
                pressed.append(batch["actions"][at, :, SOUTH] > 0.5)
    return np.array(frames), np.array(shown), np.array(pressed)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    root = tmp_path_factory.mktemp("clip")
    return root, record(root)


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_presses_are_where_pictures_are_bright(clip, codec, stride, shift):
    root, bright = clip
    frames, shown, pressed = load(root, Steps(12, shift), codec, stride)
    chunks, rest = np.divmod(np.arange(len(bright)), CHUNK)
    size = np.bincount(chunks)[chunks]
    wanted = np.flatnonzero((rest % stride == 0) & (rest + shift + 12 <= size))
    assert sorted(frames) == wanted.tolist()
    np.testing.assert_array_equal(shown, bright[frames])
    np.testing.assert_array_equal(pressed, bright[frames[:, None] + shift + np.arange(12)])


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_the_measured_lag_is_zero(clip, codec):
    """By correlation, as for a recording of which nobody knows how late its labels are."""
    root, _ = clip
    frames, shown, pressed = load(root, Steps(12, 0), codec)
    light = np.full(frames.max() + 40, np.nan)
    light[frames] = shown
    agreement = {}
    for lag in range(-8, 9):
        at = frames + lag
        known = (at >= 0) & ~np.isnan(light[at])
        agreement[lag] = (light[at[known]] == pressed[known, 0]).mean()
    assert agreement[0] == 1.0
    assert max(value for lag, value in agreement.items() if lag) < 0.95


def test_labels_that_come_late(tmp_path):
    bright = record(tmp_path, lag=5)
    frames, shown, pressed = load(tmp_path, Steps(6, 1), "jpeg")
    np.testing.assert_array_equal(shown, bright[frames])
    np.testing.assert_array_equal(pressed, bright[frames[:, None] + 1 + np.arange(6)])


def test_a_variable_frame_rate(tmp_path):
    """Control steps are in seconds: their state is that of the frame that follows in time."""
    count = RATE * SECONDS
    gaps = np.random.default_rng(5).integers(9, 30, count - 1) / 1000
    times = np.concatenate([[0], np.cumsum(gaps)])
    bright = record(tmp_path, times)
    frames, shown, pressed = load(tmp_path, Steps(6, 1, 25.0), "h264")
    np.testing.assert_array_equal(shown, bright[frames])
    for frame, row in zip(frames, pressed, strict=True):
        chunk = times[frame // CHUNK * CHUNK : (frame // CHUNK + 1) * CHUNK]
        early = EARLY * (chunk[-1] - chunk[0]) / (len(chunk) - 1)
        calls = times[frame] + np.arange(7) / 25 - early
        last = np.searchsorted(times, calls)  # the first row that is not before the call
        assert np.abs(times[last] - calls).min() > 1e-6  # rounding decides nothing here
        for k, found in enumerate(row):
            assert found == bright[min(last[k] + 1, last[k + 1]) : last[k + 1] + 1].any()


def test_a_lower_control_rate_loses_no_press(clip):
    root, bright = clip
    frames, shown, pressed = load(root, Steps(5, 1, 20.0), "jpeg")
    np.testing.assert_array_equal(shown, bright[frames])
    for k in range(5):
        rows = frames[:, None] + 3 * k + np.arange(1, 4)
        np.testing.assert_array_equal(pressed[:, k], bright[rows].any(1))
