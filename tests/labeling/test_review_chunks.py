"""Which chunks are reviewed, how they are told from others, which rows are least certain."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
pytest.importorskip("av")
from nitrogen_jax.data.label_tree import open_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import review_chunks

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parents[1] / "data" / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)


def names(found):
    return {video: [raw.ref.name for raw in raws] for video, raws in found.items()}


def test_select(tmp_path):
    tree = open_tree(label_trees.sound_tree(tmp_path, shards=2, videos=1, chunks=2))
    both = {f"video-{n}0": [f"video-{n}0_chunk_000{c}" for c in range(2)] for n in range(2)}
    assert names(review_chunks.select(tree)) == both
    only = review_chunks.select(tree, "video-10", 1)
    assert names(only) == {"video-10": both["video-10"]}  # the fingerprint is of all
    raws = only["video-10"]
    assert [review_chunks.is_number(raw, 1) for raw in raws] == [False, True]
    with pytest.raises(NitrogenError, match="no chunk of video 'other'"):
        review_chunks.select(tree, "other")
    with pytest.raises(NitrogenError, match="no chunk 7 of video video-10"):
        review_chunks.select(tree, "video-10", 7)


def test_a_fingerprint_is_of_names_and_metadata(tmp_path):
    def fingerprint(video="video-00"):
        return review_chunks.fingerprint(review_chunks.select(open_tree(tmp_path), video)[video])

    label_trees.sound_tree(tmp_path, shards=1, videos=2, chunks=2)
    first = fingerprint()
    assert fingerprint("video-01") != first
    folder = tmp_path / "actions/SHARD_0000/video-00/video-00_chunk_0000"
    raw = folder / label_trees.RAW
    raw.write_bytes(label_trees.table(label_trees.columns(30, seed=99)))
    label_trees.write(tmp_path, label_trees.files("video-02", 0), "video-02", 0)
    assert fingerprint() == first
    metadata = folder / label_trees.METADATA
    text = metadata.read_text()
    metadata.write_text(text.replace("Some Game", "Other Game"))
    assert fingerprint() != first
    metadata.write_text(text)
    assert fingerprint() == first
    label_trees.write(tmp_path, label_trees.files("video-00", 7), "video-00", 7)
    assert fingerprint() != first


def test_read(tmp_path):
    content = label_trees.files(rows=8, processed=True)
    label_trees.write(tmp_path, content)
    (raw,) = open_tree(tmp_path).scan()
    read = review_chunks.read(raw, "f" * 64)
    assert (read.video_id, read.chunk_id, read.kind) == ("vid", "vid_chunk_0000", "raw")
    assert read.table == review_chunks.sha256(content[label_trees.RAW])
    assert read.confidence is None
    columns = label_trees.columns(8, seed=0)
    for index, button in enumerate(review_chunks.BUTTONS):
        assert read.pressed[:, index].tolist() == columns[button.lower()]
    assert read.left.tolist() == columns["j_left"]


def test_read_confidence_and_a_lone_processed_table(tmp_path):
    columns = label_trees.columns() | {"confidence": [0.5] * 8}
    content = label_trees.files()
    del content[label_trees.RAW]
    label_trees.write(tmp_path, content | {label_trees.PROCESSED: label_trees.table(columns)})
    (raw,) = open_tree(tmp_path).scan()
    read = review_chunks.read(raw, "f" * 64)
    assert read.kind == "processed"
    assert read.confidence.tolist() == [0.5] * 8


def test_find_video(tmp_path):
    for name in ("a.MKV", "b.mp4", "b.webm", "c.txt"):
        (tmp_path / name).touch()
    found = [review_chunks.find_video(tmp_path, name) for name in "abc"]
    assert found == [tmp_path / "a.MKV", tmp_path / "b.mp4", None]


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    st.integers(1, 10),
    st.integers(1, 8),
)
def test_least_certain(confidence, apart, most):
    found = review_chunks.least_certain(confidence, apart, most)
    levels = [confidence[row] for row in found]
    assert levels == sorted(levels)
    assert all(level < 1 for level in levels)
    assert len(found) <= most
    assert all(abs(one - other) > apart for i, one in enumerate(found) for other in found[:i])
    uncertain = [row for row, level in enumerate(confidence) if level < 1]
    if len(found) < most:  # nothing that is far from all of them is left out
        assert all(any(abs(row - one) <= apart for one in found) for row in uncertain)
    if uncertain:
        assert confidence[found[0]] == np.min(confidence)
