"""Samples out of records: the right pictures and actions, however a chunk is divided."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.data.control import Steps
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("grain")
from nitrogen_jax.data import chunk_reader, records, stored_frames, window_index
from nitrogen_jax.data.chunk_reader import ChunkReader, Context

sys.path.insert(0, str(Path(__file__).parent))
import record_sets

RECORDINGS, Recording = record_sets.RECORDINGS, record_sets.Recording

PLAIN = Steps(horizon=6)
# (codec, pictures in a record, rows that it goes on, files)
DIVISIONS = [("jpeg", 12, 5, 2), ("jpeg", 3, 1, 5), ("h264", 60, 40, 1), ("h264", 20, 0, 3)]


@pytest.fixture(scope="module", params=DIVISIONS, ids=lambda one: "-".join(map(str, one)))
def division(request, tmp_path_factory):
    codec, per_record, ahead, files = request.param
    folder = tmp_path_factory.mktemp("records") / "set"
    return record_sets.write_set(
        folder, codec=codec, per_record=per_record, ahead=ahead, files=files
    )


def reader_of(folder):
    index = window_index.read_index(folder)
    return ChunkReader(folder, "train", index)


def check(found, recording, pictures, steps, context):
    """Compares samples with what they should be."""
    assert found.problem is None
    for at, picture in enumerate(pictures):
        actions, exists = recording.chunk(picture, steps)
        np.testing.assert_array_equal(found.exists[at], exists)
        np.testing.assert_array_equal(found.actions[at], actions)
        shown = recording.context(picture, steps, context.frames, context.spacing)
        assert [None if n < 0 else n for n in found.wanted[at].tolist()] == shown
        for number in shown:
            if number is not None:
                assert record_sets.spell(found.pictures[number]) == (recording.serial, number)


@pytest.mark.parametrize(
    "steps",
    [PLAIN, Steps(4, shift=0), Steps(5, 3, rate=30.0), Steps(4, rate=20.0), Steps(3, rate=100.0)],
    ids=str,
)
def test_samples_of_every_chunk(division, steps):
    """Also those that no index would name, as their last steps are not there."""
    reader, context = reader_of(division), Context(3, 7)
    for chunk, recording in enumerate(RECORDINGS):
        pictures = range(0, recording.pictures, 3)
        found = reader.read(chunk, pictures, steps, context)
        assert found.actions.dtype == np.float32
        check(found, recording, pictures, steps, context)
    reader.close()


def test_the_order_in_which_pictures_are_asked_for_does_not_matter(division):
    reader = reader_of(division)
    pictures = [17, 3, 3, 40, 0]
    found = reader.read(0, pictures, PLAIN, Context(2, 4))
    check(found, RECORDINGS[0], pictures, PLAIN, Context(2, 4))


def test_a_press_between_steps_is_found_in_a_record_of_its_own(tmp_path):
    """Steps of a second, records of a fifth: what lies between the ends of a step is read too."""
    one = Recording(0, "v", rows=120)
    steps = Steps(3, rate=1.0)
    record_sets.write_set(tmp_path / "a", [one], per_record=3, ahead=0, files=1, steps=steps)
    found = reader_of(tmp_path / "a").read(0, [0, 5], steps, Context())
    check(found, one, [0, 5], steps, Context())
    assert (found.actions[..., :21].mean() > 0.5).all()  # 30 rows of a tenth: hardly one is free


def test_no_record_is_read_that_is_not_needed(tmp_path, monkeypatch):
    folder = record_sets.write_set(tmp_path / "a", per_record=12, ahead=8)
    reader, asked, context = reader_of(folder), [], Context(2, 4)
    read = reader._bytes
    monkeypatch.setattr(
        reader, "_bytes", lambda record, where: asked.append(record) or read(record, where)
    )
    for pictures, expected in [([5], [0]), ([11], [0]), ([12, 13], [0, 1]), ([25, 30], [1, 2])]:
        asked.clear()
        reader.read(0, pictures, PLAIN, context)
        assert asked == expected  # picture 12 is row 24, its context row 20; a record has 24
    asked.clear()
    reader.read(0, [44], PLAIN, context)  # near the end
    assert asked == [3]


def test_few_files_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(chunk_reader, "OPEN_FILES", 2)
    reader = reader_of(record_sets.write_set(tmp_path / "a", files=5))
    for chunk in [0, 7, 3, 5, 1, 7, 0, 2, 6, 4]:
        found = reader.read(chunk, [2], PLAIN, Context())
        check(found, RECORDINGS[chunk], [2], PLAIN, Context())
        assert 1 <= len(reader._open) <= 2
    reader.close()
    assert not reader._open
    check(reader.read(0, [2], PLAIN, Context()), RECORDINGS[0], [2], PLAIN, Context())


# ---------------------------------------------------------------------------------------------
# Damage


def with_pieces(tmp_path, change, codec="jpeg", **options):
    """A set of one recording, indexed, whose records are changed afterwards."""
    one, folder = Recording(0, "v"), tmp_path / "a"
    record_sets.write_set(folder, [one], codec=codec, files=1, **options)
    reader = reader_of(folder)
    pieces = record_sets.pieces(one, codec, options.get("per_record", 12), 5)
    chunks = [records.from_bytes(piece) for piece in pieces]
    path = folder / records.shard_name("train", 0)
    path.unlink()
    changed = change(chunks)
    records.write_file(path, [c if isinstance(c, bytes) else records.to_bytes(c) for c in changed])
    return reader


def test_a_damaged_file_spoils_only_what_is_damaged(tmp_path):
    one, folder = Recording(0, "v"), tmp_path / "a"
    record_sets.write_set(folder, [one], files=1)
    path = folder / records.shard_name("train", 0)
    data, spoilt = path.read_bytes(), set()
    for begin in range(0, len(data), 512):
        if not any(data[begin : begin + 512]):
            continue
        damaged = bytearray(data)
        damaged[begin + 100 : begin + 110] = bytes(255 - byte for byte in data[begin : begin + 10])
        path.write_bytes(damaged)
        reader, bad = reader_of(folder), []
        for record, picture in enumerate((3, 15, 28, 40)):
            found = reader.read(0, [picture], PLAIN, Context())
            if found.problem is None:
                check(found, one, [picture], PLAIN, Context())
                continue
            bad.append(record)
            assert f"record {record} of {folder}, split train cannot be read: " in found.problem
            assert "\n" not in found.problem
            assert not found.actions[..., :21].any()
        spoilt.add(tuple(bad))
    assert spoilt >= {(0,), (1,), (2,), (3,)}


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_a_picture_that_is_no_picture(tmp_path, codec):
    def spoil(chunks):
        frames = list(chunks[0].frames)
        frames[0] = b"nothing" * 20
        return [replace(chunks[0], frames=tuple(frames)), *chunks[1:]]

    reader = with_pieces(tmp_path, spoil, codec)
    found = reader.read(0, [0], PLAIN, Context())
    if codec == "h264":  # is decoded at once
        assert "cannot be decoded" in found.problem
    else:
        with pytest.raises(stored_frames.Undecodable, match="cannot be decoded"):
            found.pictures[0]
    check(reader.read(0, [20], PLAIN, Context()), Recording(0, "v"), [20], PLAIN, Context())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: [b"no record at all", *c[1:]], "record 0 of .* is not a record"),
        (
            lambda c: [replace(c[0], frames=c[0].frames[:2], key_frames=None), *c[1:]],
            "picture 4 of v/.* not there",
        ),
        (
            lambda c: [_cut(c[0], c[0].actions[:12], frames=c[0].frames[:5], key_frames=None)],
            "row 12 of v/v_chunk_000000 is not there",
        ),
        (lambda c: [_cut(c[0], np.tile(c[0].actions, (4, 1))), *c[1:]], "a record is too long"),
    ],
)
def test_records_that_are_not_what_they_should_be(tmp_path, change, problem):
    found = with_pieces(tmp_path, change).read(0, [4], PLAIN, Context())
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found.problem)


def _cut(chunk, actions, **fields):
    rows = np.ones(len(actions), np.float32)
    return replace(chunk, actions=actions, times=rows, confidence=rows, **fields)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: [replace(one, chunk_id="other") for one in c], "record 0 of .* holds v/other"),
        (lambda c: [c[1], c[0], *c[2:]], "record 0 of .* begins at row 24 of v/v_chunk_000000"),
    ],
)
def test_an_index_of_other_records(tmp_path, change, problem):
    reader = with_pieces(tmp_path, change)
    with pytest.raises(NitrogenError, match=f"^{problem}.* make the index anew with nitrogen"):
        reader.read(0, [4], PLAIN, Context())


def test_a_file_that_was_cut_and_is_whole_again(tmp_path):
    folder = record_sets.write_set(tmp_path / "a")
    reader = reader_of(folder)
    path = folder / records.shard_name("train", 1)
    data = path.read_bytes()
    path.write_bytes(data[:1000])
    assert "cannot be read" in reader.read(7, [4], PLAIN, Context()).problem
    check(reader.read(0, [4], PLAIN, Context()), RECORDINGS[0], [4], PLAIN, Context())
    path.write_bytes(data)
    check(reader.read(7, [4], PLAIN, Context()), RECORDINGS[7], [4], PLAIN, Context())


def test_a_file_that_went_away(tmp_path):
    folder = record_sets.write_set(tmp_path / "a")
    reader = reader_of(folder)
    (folder / records.shard_name("train", 1)).unlink()
    with pytest.raises(NitrogenError, match=r"^records .*array_record-00001 have gone: ") as caught:
        reader.read(7, [4], PLAIN, Context())
    assert "\n" not in str(caught.value)
    check(reader.read(0, [4], PLAIN, Context()), RECORDINGS[0], [4], PLAIN, Context())
