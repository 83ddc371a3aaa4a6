"""Trees of folders: what is found, in which order, what is refused, and what is written."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
from nitrogen_jax.data import label_tarball, label_tree
from nitrogen_jax.data.label_tree import open_tree, read_chunk, write_chunk
from nitrogen_jax.data.labels import (
    Area,
    Box,
    ChunkMeta,
    LabelError,
    OriginalVideo,
)

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
METADATA, RAW, PROCESSED = label_trees.METADATA, label_trees.RAW, label_trees.PROCESSED
found, content, causes = label_trees.found, label_trees.content, label_trees.causes


@pytest.fixture
def sound(tmp_path):
    return label_trees.sound_tree(tmp_path / "tree")


# ---------------------------------------------------------------------------------------------
# Folders


def test_every_chunk_once_in_sorted_order(sound):
    tree = open_tree(sound)
    names = found(tree)
    assert len(names) == 12
    assert names == sorted(names)
    assert names[0] == "video-00_chunk_0000"
    assert tree.faults == []
    assert (tree.size(), tree.size_unit) == (12, "chunks")


def test_where_a_chunk_is(sound):
    raw = next(open_tree(sound).scan())
    assert raw.ref == label_tree.ChunkRef(
        shard="SHARD_0000",
        video_id="video-00",
        name="video-00_chunk_0000",
        where=str(sound / "actions/SHARD_0000/video-00/video-00_chunk_0000"),
    )
    assert sorted(raw.files) == [RAW, METADATA]
    assert json.loads(raw.files[METADATA]())["uuid"] == "uuid-video-00-0"


@pytest.mark.parametrize(
    ("below", "chunks"),
    [
        ("", 12),
        ("actions", 12),
        ("actions/SHARD_0001", 6),
        ("actions/SHARD_0001/video-11", 3),
        ("actions/SHARD_0001/video-11/video-11_chunk_0002", 1),
    ],
)
@pytest.mark.parametrize("how", ["absolute", "relative", "dot"])
def test_any_level_may_be_given(sound, monkeypatch, below, chunks, how):
    whole = content(open_tree(sound))
    path = sound / below
    if how == "relative":
        monkeypatch.chdir(path.parent)
        path = path.relative_to(path.parent)
    elif how == "dot":
        monkeypatch.chdir(path)
        path = "."
    part = content(open_tree(path))
    assert len(part) == chunks
    assert part.items() <= whole.items()


def test_the_preferred_table(sound):
    kinds = [read_chunk(raw)[1].kind for raw in open_tree(sound).scan()]
    assert kinds == ["raw", "processed", "raw"] * 4
    chunks = list(open_tree(sound).scan())
    assert {read_chunk(raw, "raw")[1].kind for raw in chunks} == {"raw"}
    assert read_chunk(chunks[1], "processed", fallback=False)[1].kind == "processed"
    with pytest.raises(LabelError, match=f"has no {PROCESSED}$") as caught:
        read_chunk(chunks[0], "processed", fallback=False)
    assert caught.value.cause == "no_table"


def test_raw_is_no_substitute_for_a_processed_table_that_is_broken(tmp_path):
    files = label_trees.files(processed=True) | {PROCESSED: b"broken"}
    label_trees.write(tmp_path, files)
    (raw,) = open_tree(tmp_path).scan()
    with pytest.raises(LabelError, match=PROCESSED):
        read_chunk(raw)
    assert read_chunk(raw, "raw")[1].kind == "raw"


def test_only_processed(tmp_path):
    files = label_trees.files(processed=True)
    del files[RAW]
    label_trees.write(tmp_path, files)
    (raw,) = open_tree(tmp_path).scan()
    assert read_chunk(raw, "raw")[1].kind == "processed"


def test_only_some_videos(sound):
    tree = open_tree(sound)
    assert found(tree, videos={"video-01", "other"}) == [f"video-01_chunk_000{i}" for i in range(3)]
    assert found(tree, videos=set()) == []


def test_what_does_not_belong(sound):
    shard = sound / "actions/SHARD_0000"
    (sound / "README.md").touch()  # beside actions/: not ours to judge
    (sound / "actions/notes.txt").touch()
    (shard / "video-00/video-00_chunk_0000/extra.csv").touch()
    (shard / ".hidden").mkdir()
    (shard / "empty").mkdir()
    (shard / "a/b/c/d").mkdir(parents=True)
    tree = open_tree(sound)
    assert len(found(tree)) == 12
    assert sorted((fault.cause, Path(fault.where).name) for fault in tree.faults) == [
        ("empty_folder", "empty"),
        ("unexpected_file", ".hidden"),
        ("unexpected_file", "d"),
        ("unexpected_file", "extra.csv"),
        ("unexpected_file", "notes.txt"),
    ]
    assert len(found(tree)) == 12
    assert len(tree.faults) == 5  # of the latest scan, not of both


def test_a_folder_of_a_chunk_without_files_is_a_chunk(tmp_path):
    label_trees.write(tmp_path, {})
    (raw,) = open_tree(tmp_path).scan()
    with pytest.raises(LabelError, match=r"metadata\.json is missing") as caught:
        read_chunk(raw)
    assert caught.value.cause == "no_metadata"


def test_folders_by_other_names_are_chunks_if_they_hold_its_files(tmp_path):
    label_trees.write(tmp_path, label_trees.files(), name="first")
    assert found(open_tree(tmp_path)) == ["first"]


@pytest.mark.parametrize("name", [METADATA, RAW])
def test_files_that_are_none(tmp_path, name):
    files = label_trees.files()
    del files[name]
    folder = label_trees.write(tmp_path, files)
    os.mkfifo(folder / name)
    (raw,) = open_tree(tmp_path).scan()
    with pytest.raises(LabelError, match="is not a file that can be read"):
        read_chunk(raw)


def test_files_that_are_too_large(tmp_path, monkeypatch):
    label_trees.write(tmp_path, label_trees.files())
    monkeypatch.setitem(label_tarball.LIMITS, METADATA, 10)
    (raw,) = open_tree(tmp_path).scan()
    with pytest.raises(LabelError, match="more than the 10 bytes") as caught:
        read_chunk(raw)
    assert caught.value.cause == "too_large"


def test_names_in_any_script(tmp_path):
    video = "видео-ビデオ"
    label_trees.write(tmp_path, label_trees.files(video), video)
    label_trees.tarball(tmp_path / "x.tar.gz", label_trees.members(tmp_path))
    for path in (tmp_path, tmp_path / "x.tar.gz"):
        ((meta, _),) = (read_chunk(raw) for raw in open_tree(path).scan())
        assert meta.video.video_id == video


def test_names_that_no_terminal_takes(tmp_path):
    try:
        (tmp_path / "actions" / os.fsdecode(b"\xff\x1b[31m")).mkdir(parents=True)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    label_trees.write(tmp_path, label_trees.files())
    tree = open_tree(tmp_path)
    assert found(tree) == ["vid_chunk_0000"]
    assert tree.faults[0].message.isprintable()


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: (path / "actions/a").mkdir(parents=True)]
)
def test_an_empty_tree(tmp_path, make):
    make(tmp_path)
    with pytest.raises(NitrogenError, match="holds no chunk"):
        open_tree(tmp_path)


def test_what_is_no_tree(tmp_path):
    with pytest.raises(NitrogenError, match="does not exist"):
        open_tree(tmp_path / "missing")
    (tmp_path / "file.txt").touch()
    with pytest.raises(NitrogenError, match="neither a folder nor"):
        open_tree(tmp_path / "file.txt")


def test_parts_together_are_the_whole(sound):
    tree = open_tree(sound)
    parts = tree.parts()
    assert len(parts) == 2
    assert [name for part in parts for name in found(part)] == found(tree)


# ---------------------------------------------------------------------------------------------
# Writing

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
file_names = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\."), min_size=1, max_size=20
)
seconds = st.none() | st.floats(0, 1e6)
metas = st.builds(
    ChunkMeta,
    uuid=texts,
    chunk_id=file_names,
    chunk_size=st.integers(1, 20),
    game=texts,
    controller_type=texts,
    overlay=st.none() | st.builds(Box, *[st.floats(0, 300)] * 2, *[st.floats(1, 300)] * 2),
    game_area=st.none() | st.builds(Area, *[st.floats(0, 0.4)] * 2, *[st.floats(0.5, 1)] * 2),
    others=st.lists(st.lists(st.integers(), max_size=4), max_size=2).map(tuple),
    label_lag=st.integers(-5, 5),
    video=st.builds(
        OriginalVideo,
        video_id=file_names,
        resolution=st.none() | st.tuples(st.integers(600, 2000), st.integers(600, 4000)),
        source=texts,
        url=texts,
        start_time=seconds,
        end_time=seconds,
        duration=seconds,
        start_frame=st.integers(0, 10**9),
        end_frame=st.integers(0, 10**9),
    ),
)


@settings(max_examples=60)
@given(metas, st.integers(0, 1000), st.booleans())
def test_what_is_written_is_what_is_read(tmp_path_factory, meta, seed, with_processed):
    raw, processed = (
        gamepad.columns_to_vector(label_trees.columns(meta.chunk_size, seed + i)) for i in (0, 1)
    )
    confidence = np.linspace(0, 1, meta.chunk_size, dtype=np.float32)
    root = tmp_path_factory.mktemp("tree")
    folder = write_chunk(
        root,
        meta,
        raw,
        shard="SHARD_0007",
        processed=processed if with_processed else None,
        confidence=confidence,
    )
    tree = open_tree(root)
    (chunk,) = tree.scan()
    assert tree.faults == []
    assert chunk.ref == label_tree.ChunkRef(
        "SHARD_0007", meta.video.video_id, folder.name, str(folder)
    )
    for kind in ("raw", "processed"):
        read, actions = read_chunk(chunk, kind)
        assert read == meta
        right = processed if with_processed and kind == "processed" else raw
        np.testing.assert_array_equal(actions.actions, right)
        np.testing.assert_array_equal(actions.confidence, confidence)


def a_meta(**changes):
    video = OriginalVideo(video_id=changes.pop("video_id", "vid"))
    return ChunkMeta(
        **{
            **{"uuid": "u", "chunk_id": "3", "chunk_size": 4, "game": "", "controller_type": ""},
            **{"overlay": None, "game_area": None, "video": video},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("chunk_id", "name"),
    [
        ("3", "vid_chunk_0003"),
        ("00012", "vid_chunk_00012"),
        ("123456", "vid_chunk_123456"),
        ("a", "vid_chunk_a"),
        ("vid_chunk_0003", "vid_chunk_0003"),
    ],
)
def test_the_folders_name(tmp_path, chunk_id, name):
    folder = write_chunk(tmp_path, a_meta(chunk_id=chunk_id), gamepad.neutral(4))
    assert folder == tmp_path / "actions/SHARD_0000/vid" / name
    assert sorted(path.name for path in folder.iterdir()) == [RAW, METADATA]


def test_a_chunk_is_replaced_whole(tmp_path):
    for processed in (gamepad.neutral(4), None):
        folder = write_chunk(tmp_path, a_meta(), gamepad.neutral(4), processed=processed)
    assert sorted(path.name for path in folder.iterdir()) == [RAW, METADATA]


@pytest.mark.parametrize(
    ("changes", "arguments", "says"),
    [
        ({"chunk_size": 5}, {}, r"raw actions have shape \(4, 25\), where chunk_size needs \(5"),
        ({}, {"processed": gamepad.neutral(3)}, r"processed actions have shape \(3, 25\)"),
        ({}, {"confidence": np.ones(3)}, "confidence has shape"),
        ({}, {"shard": "a/b"}, "shard is 'a/b'"),
        ({"video_id": ".."}, {}, "video_id is '..'"),
        ({"chunk_id": "../x"}, {}, "folder is 'vid_chunk_../x'"),
        ({"overlay": Box(0, 0, float("nan"), 1)}, {}, "metadata of chunk 3"),
    ],
)
def test_what_is_not_written(tmp_path, changes, arguments, says):
    with pytest.raises(NitrogenError, match=says):
        write_chunk(tmp_path, a_meta(**changes), gamepad.neutral(4), **arguments)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
