"""Labels of a video become chunks that the data room reads back."""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parent))

import standin

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_check, label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import remap, tree_out


def evenly(frames: int, rate: float) -> np.ndarray:
    return np.round(np.arange(frames) / rate, 3)  # as Matroska rounds them


def read(root: Path):
    """The chunks of a tree, (metadata, raw, processed), by chunk; the tree has no violation."""
    tree = label_tree.open_tree(root)
    assert list(label_check.check_tree(tree)) == []
    found = [
        (
            label_tree.read_metadata(raw),
            label_tree.read_chunk(raw, "raw", fallback=False)[1],
            label_tree.read_chunk(raw, "processed", fallback=False)[1],
        )
        for raw in tree.scan()
    ]
    return sorted(found, key=lambda one: one[0].chunk_id)


@pytest.mark.parametrize("rate", [24, 29.97, 30, 59.94, 60, 120])
def test_twenty_seconds_each_and_row_i_is_frame_start_plus_i(tmp_path, rate):
    frames = round(50 * rate)
    labels = standin.made_up("v", evenly(frames, rate))
    written = tree_out.write(labels, "v", tmp_path, remap.VideoFacts("Some Game", "youtube", "u"))
    assert (written.chunks, written.rows, written.short, written.unsure) == (3, frames, 0, 0)
    actions, at = tree_out.to_actions(labels.states), 0
    for number, (meta, raw, clean) in enumerate(read(tmp_path)):
        assert meta.chunk_id == f"{number:04d}"
        assert meta.video.start_frame == at
        rows = meta.chunk_size
        assert abs(rows - 20 * rate) <= 1 or number == 2
        assert meta.rate == pytest.approx(rate, rel=0.002)
        assert meta.video.start_time == pytest.approx(at / rate, abs=0.001)
        np.testing.assert_allclose(raw.actions, actions[at : at + rows], atol=1e-6)
        np.testing.assert_array_equal(raw.actions, clean.actions)
        np.testing.assert_array_equal(raw.confidence, labels.confidence[at : at + rows])
        assert (meta.game, meta.controller_type) == ("Some Game", "xboxone")
        assert (meta.video.source, meta.video.url) == ("youtube", "u")
        assert meta.video.resolution == (90, 160)
        assert meta.overlay == (110, 60, 50, 20)  # what is within the picture
        at += rows
    assert at == frames


def test_own_keys_of_the_metadata(tmp_path):
    labels = standin.made_up("v", evenly(90, 30))
    tree_out.write(labels, "v", tmp_path)
    (path,) = tmp_path.rglob("metadata.json")
    about = json.loads(path.read_text())["labeling"]
    assert (about["skin"], about["opacity"], about["valid"]) == ("made-up", 0.8, 1.0)
    assert about["confidence"] == pytest.approx(labels.confidence.mean(), abs=1e-4)


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        tree_out.write(standin.made_up("v", evenly(900, 30)), "v", tmp_path / name)
    one, other = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("a", "b")
    )
    assert one == other


def test_no_chunk_spans_a_gap_or_two_segments(tmp_path):
    segments = [(10, 700), (700, 1350), (1400, 1420), (1500, 1800)]
    labels = standin.made_up("v", evenly(1800, 30), segments=segments)
    written = tree_out.write(labels, "v", tmp_path)
    found = [(m.video.start_frame, m.video.end_frame) for m, _, _ in read(tmp_path)]
    assert found == [(10, 610), (610, 700), (700, 1300), (1300, 1350), (1500, 1800)]
    assert written.short == 20
    assert written.rows == sum(end - start for start, end in found)


def test_unsure_frames_are_left_out_or_hold_the_last_good_state(tmp_path):
    valid = np.ones(900, bool)
    valid[:5] = valid[100:110] = valid[300:345] = valid[890:] = False
    labels = standin.made_up("v", evenly(900, 30), valid=valid)
    written = tree_out.write(labels, "v", tmp_path)
    (_, raw, clean), (meta, *_) = read(tmp_path)
    assert meta.video.start_frame == 345
    assert (written.held, written.unsure) == (10, 5 + 45 + 10)
    actions = tree_out.to_actions(labels.states)
    np.testing.assert_allclose(raw.actions, actions[5:300], atol=1e-6)
    held = np.r_[actions[5:100], np.repeat(actions[99:100], 10, 0), actions[110:300]]
    np.testing.assert_allclose(clean.actions, held, atol=1e-6)
    for table in (raw, clean):
        assert (table.confidence[95:105] == 0).all()
        assert (table.confidence[:95] >= 0.5).all()


def test_buttons_are_renamed_in_one_table_only(tmp_path):
    table = (("LEFT_TRIGGER", "SOUTH"), ("SOUTH", "EAST"))
    labels = standin.made_up("v", evenly(90, 30))
    tree_out.write(labels, "v", tmp_path, table=table)
    ((_, raw, clean),) = read(tmp_path)
    at = gamepad.BUTTON_INDEX
    np.testing.assert_array_equal(raw.actions[:, at["SOUTH"]], clean.actions[:, at["EAST"]])
    np.testing.assert_array_equal(raw.actions[:, at["LEFT_TRIGGER"]], clean.actions[:, at["SOUTH"]])
    assert not clean.actions[:, at["LEFT_TRIGGER"]].any()
    assert raw.actions[:, at["LEFT_TRIGGER"]].any()


def test_a_variable_rate_keeps_the_times_of_the_frames(tmp_path):
    steps = np.where(np.arange(1500) % 300 < 100, 1 / 60, 1 / 30)
    times = np.r_[0, np.cumsum(steps)]
    tree_out.write(standin.made_up("v", times), "v", tmp_path)
    found = [meta for meta, _, _ in read(tmp_path)]
    assert len(found) == 3
    for meta in found[:-1]:
        assert meta.seconds == pytest.approx(20, abs=0.05)
    for meta in found:
        video = meta.video
        assert video.start_time == pytest.approx(times[video.start_frame], abs=1e-5)
        assert meta.rate == pytest.approx(meta.chunk_size / video.duration)
    assert found[-1].video.end_frame == len(times)


@given(
    frames=st.integers(40, 400),
    runs=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 80)), max_size=4),
    parts=st.lists(st.integers(0, 400), max_size=6, unique=True),
)
def test_chunks_are_of_good_frames_within_segments(frames, runs, parts):
    valid = np.ones(frames, bool)
    for start, length in runs:
        valid[start : start + length] = False
    edges = sorted(part for part in parts if part < frames)
    segments = list(zip(edges[::2], edges[1::2], strict=False))
    labels = standin.made_up("v", evenly(frames, 30), segments=segments, valid=valid)
    owner = np.full(frames, -1)
    for number, (start, end) in enumerate(segments):
        owner[start:end] = number
    seen = Counter()
    for span in tree_out.spans(labels):
        seen.update(range(span.start, span.end))
        assert len(set(owner[span.start : span.end])) == 1
        assert valid[span.start]
        assert valid[span.end - 1]
        bad = np.split(valid[span.start : span.end], np.flatnonzero(valid[span.start : span.end]))
        assert max(len(run) - 1 for run in bad) < 30
    assert max(seen.values(), default=1) == 1
    assert set(seen) >= set(np.flatnonzero(valid & (owner >= 0)).tolist())


@given(st.lists(st.floats(0.005, 0.5), min_size=1, max_size=500))
def test_cuts_cover_every_frame_once(steps):
    times = np.r_[0, np.cumsum(steps)]
    found = list(tree_out.cuts(times, float(np.mean(steps))))
    assert found[0][0] == 0
    assert found[-1][1] == len(times)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert all(times[end - 1] - times[start] < 20.5 for start, end in found)


def test_shards_are_stable_and_evenly_filled():
    assert tree_out.shard_of("dQw4w9WgXcQ") == tree_out.shard_of("dQw4w9WgXcQ")
    counts = Counter(tree_out.shard_of(f"video-{i}") for i in range(20_000))
    assert len(counts) == 100
    assert min(counts.values()) > 130
    # NOTE: a change of these would label every video of an existing tree again.
    assert [tree_out.shard_of(name) for name in ("a", "b")] == ["SHARD_0050", "SHARD_0046"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"times": np.zeros(60)}, "do not increase"),
        ({"confidence": np.ones(59)}, "59 confidence for 60 frames"),
        ({"rate": 0.0}, "no sensible number"),
        ({"segments": "reversed"}, "a segment of frames"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(tmp_path, change, complaint):
    import dataclasses

    labels = standin.made_up("v", evenly(60, 30), segments=[(0, 30), (30, 60)])
    if "segments" in change:
        change = {"segments": labels.segments[::-1]}
    with pytest.raises(NitrogenError, match=complaint):
        tree_out.write(dataclasses.replace(labels, **change), "v", tmp_path)
    assert list(tmp_path.iterdir()) == []
