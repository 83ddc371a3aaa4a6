"""Every violation of the label format is found, named and levelled."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

pa = pytest.importorskip("pyarrow")
from nitrogen_jax.data import label_check, label_tree  # noqa: E402

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
METADATA, RAW, PROCESSED = label_trees.METADATA, label_trees.RAW, label_trees.PROCESSED
GONE = label_trees.GONE


def check(root):
    return list(label_check.check_tree(label_tree.open_tree(root)))


def check_files(root, files, **where):
    """The violations of a tree of one chunk, as (cause, level, usable)."""
    label_trees.write(root, files, **where)
    found = check(root)
    for violation in found:
        assert violation.message.startswith(str(root / "actions"))
        assert violation.where.startswith(str(root / "actions"))
        assert violation.message.isprintable()
    return [(violation.cause, violation.level, violation.usable) for violation in found]


def with_table(name=RAW, rows=8, **columns):
    """Files of a sound chunk with other columns in one of its tables."""
    made = label_trees.columns(rows) | columns
    made = {key: column for key, column in made.items() if column is not GONE}
    return label_trees.files(processed=name == PROCESSED) | {name: label_trees.table(made)}


def column(name, at, value):
    """A column of a sound table with another value in some rows."""
    values = list(label_trees.columns()[name])
    kind = pa.list_(pa.float64()) if name.startswith("j_") else None
    for row in at:
        values[row] = value
    return {name: pa.array(values, kind)}


def test_a_sound_tree(tmp_path):
    label_trees.sound_tree(tmp_path)
    assert check(tmp_path) == []
    path = label_trees.tarball(tmp_path / "x.tar.gz", label_trees.members(tmp_path))
    assert check(path) == []


ERROR, LOST, WARNING = ("error", True), ("error", False), ("warning", True)


@pytest.mark.parametrize(
    ("changes", "cause", "what"),
    [
        ({"uuid": GONE}, "field_missing", WARNING),
        ({"game": None}, "field_missing", WARNING),
        ({"controller_type": 5}, "field_type", WARNING),
        ({"chunk_size": "8"}, "field_type", WARNING),
        ({"video__start_frame": GONE}, "field_missing", LOST),
        ({"video__resolution": "720p"}, "field_type", WARNING),
        ({"chunk_size": 0}, "field_value", LOST),
        ({"video__end_frame": 6}, "frames_inconsistent", WARNING),
        ({"video__start_time": math.nan}, "field_type", WARNING),
        ({"video__end_time": -1.0}, "times_inconsistent", WARNING),
        ({"bbox_controller_overlay": [1200, 500, 100, 100]}, "box_overflows", WARNING),
        ({"bbox_controller_overlay": [0, 0, 0, 0]}, "box_empty", WARNING),
        ({"bbox_controller_overlay": [5, 5, 0, 9]}, "box_empty", LOST),
        ({"bbox_controller_overlay": [2000, 500, 9, 9]}, "box_outside", LOST),
        ({"bbox_controller_overlay": GONE}, "field_missing", WARNING),
        (
            {"bbox_game_area": {"xtl": 0, "ytl": 0, "xbr": 2, "ybr": 1}},
            "area_invalid",
            WARNING,
        ),
        (
            {"bbox_game_area": {"xtl": 0.5, "ytl": 0, "xbr": 0.5, "ybr": 1}},
            "area_invalid",
            WARNING,
        ),
        ({"chunk_id": "0007"}, "folder_name", WARNING),
        ({"video__video_id": "other"}, "folder_name", WARNING),
    ],
)
def test_metadata(tmp_path, changes, cause, what):
    found = check_files(tmp_path, label_trees.files(**changes))
    assert set(found) == {(cause, *what)}


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff"])
def test_metadata_that_are_none(tmp_path, data):
    files = label_trees.files() | {METADATA: data}
    assert check_files(tmp_path, files) == [("json_invalid", *LOST)]


@pytest.mark.parametrize("chunk_id", ["0000", "0", 0, "vid_chunk_0000"])
def test_ids_that_fit_the_folders_name(tmp_path, chunk_id):
    assert check_files(tmp_path, label_trees.files(chunk_id=chunk_id)) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({METADATA: None}, [("no_metadata", *LOST)]),
        ({RAW: None}, [("no_table", *LOST)]),
        ({RAW: b""}, [("table_unreadable", *LOST)]),
        ({RAW: b"PAR1" + b"x" * 50 + b"PAR1"}, [("table_unreadable", *LOST)]),
        (
            {RAW: None, PROCESSED: label_trees.table(label_trees.columns())},
            [("no_raw_table", *WARNING)],
        ),
        # The processed table is the one that is read.
        (
            {RAW: b"", PROCESSED: label_trees.table(label_trees.columns())},
            [("table_unreadable", *ERROR)],
        ),
        ({PROCESSED: b""}, [("table_unreadable", *LOST)]),
        ({"notes.txt": b""}, [("unexpected_file", *WARNING)]),
        (
            {METADATA: None, RAW: None, "notes.txt": b""},
            [("unexpected_file", *WARNING), ("no_metadata", *LOST), ("no_table", *LOST)],
        ),
    ],
)
def test_files(tmp_path, files, expected):
    files = label_trees.files() | files
    files = {name: data for name, data in files.items() if data is not None}
    assert check_files(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("columns", "cause", "what", "says"),
    [
        ({"south": GONE}, "column_missing", LOST, "column south is missing"),
        ({"frame": [1] * 8}, "column_extra", WARNING, "column frame does"),
        (column("south", [2, 5], None), "value_null", LOST, "row 2 and 1 more: None"),
        (column("j_left", [3], None), "value_null", LOST, "column j_left, row 3: None"),
        (column("j_left", [3], [0.5, None]), "value_null", LOST, r"row 3: \[0.5, None\]"),
        (column("j_left", [1], [0.5]), "value_type", LOST, r"row 1: \[0.5\], where the two"),
        (column("j_left", [1, 2], [math.nan, 0]), "value_not_finite", LOST, "row 1 and 1 more"),
        (column("j_right", [7], [-1.5, 0]), "stick_out_of_range", WARNING, r"\[-1.5, 0.0\]"),
        ({"j_left": [0.5] * 8}, "value_type", LOST, "row 0 and 7 more: 0.5"),
        ({"south": ["yes"] * 8}, "value_type", LOST, "'yes', where a bool or a number"),
        ({"south": [[True, False]] * 8}, "value_type", LOST, "where a bool or a number"),
        ({"south": [0.0, 0.3] * 4}, "button_not_binary", ERROR, "row 1 and 3 more: 0.3"),
        ({"south": [0, 2] * 4}, "button_not_binary", ERROR, "2.0, where 0 or 1"),
        ({"south": [math.inf] * 8}, "value_not_finite", LOST, "row 0 and 7 more: inf"),
        ({"confidence": [0.5] * 7 + [2]}, "confidence_out_of_range", ERROR, "row 7: 2.0"),
    ],
)
@pytest.mark.parametrize("name", [RAW, PROCESSED])
def test_columns(tmp_path, columns, cause, what, says, name):
    label_trees.write(tmp_path, with_table(name, **columns))
    (violation,) = check(tmp_path)
    assert (violation.cause, violation.level, violation.usable) == (cause, *what)
    assert violation.where.endswith(name)
    assert re.search(says, violation.message)


def test_every_bad_column_of_both_tables_is_listed(tmp_path):
    bad = {**column("south", [1], None), **column("j_left", [0, 1], [9.0, None])}
    bad |= {"west": [0.5] * 8, "x": [0] * 8, "east": GONE}
    table = with_table(**bad)[RAW]
    label_trees.write(tmp_path, label_trees.files() | {RAW: table, PROCESSED: table})
    causes = Counter((v.cause, Path(v.where).name) for v in check(tmp_path))
    each = ("column_missing", "column_extra", "value_null", "value_null", "button_not_binary")
    assert causes == Counter((cause, name) for cause in each for name in (RAW, PROCESSED))


def test_several_causes_in_one_column(tmp_path):
    rows = [None, [0.0], [math.nan, 0.0], [2.0, 0.0], *[[0.0, 0.0]] * 4]
    files = with_table(j_left=pa.array(rows, pa.list_(pa.float64())))
    assert check_files(tmp_path, files) == [
        ("value_null", *LOST),
        ("value_type", *LOST),
        ("value_not_finite", *LOST),
        ("stick_out_of_range", "warning", False),
    ]


def test_a_damaged_column_does_not_hide_the_others(tmp_path):
    columns = label_trees.columns(300) | {"east": [0.25] * 300, "back": ["damage me"] * 300}
    table = label_trees.table(columns, compression="none")
    at = table.index(b"damage me")  # the page's header lies before it
    damaged = table[: at - 12] + b"\xff" * 8 + table[at - 4 :]
    label_trees.write(tmp_path, label_trees.files(rows=300) | {RAW: damaged})
    found = check(tmp_path)
    assert [v.cause for v in found] == ["button_not_binary", "table_unreadable"]
    assert "column east" in found[0].message


def test_a_column_twice(tmp_path):
    columns = label_trees.columns()
    arrays = [pa.array(values) for values in columns.values()]
    doubled = pa.Table.from_arrays([*arrays, arrays[0]], [*columns, "dpad_down"])
    files = label_trees.files() | {RAW: label_trees.table(doubled)}
    assert check_files(tmp_path, files) == [("column_type", *LOST)]


def test_numbers_of_rows(tmp_path):
    files = label_trees.files() | {PROCESSED: label_trees.table(label_trees.columns(7))}
    assert check_files(tmp_path, files) == [("rows_differ", *LOST), ("tables_differ", *LOST)]


def test_a_table_without_rows(tmp_path):
    empty = {
        name: pa.array([], pa.list_(pa.float64()) if name.startswith("j_") else pa.bool_())
        for name in label_trees.columns()
    }
    files = label_trees.files() | {RAW: label_trees.table(empty)}
    assert check_files(tmp_path, files) == [("rows_differ", *LOST)]


# ---------------------------------------------------------------------------------------------
# Chunks among each other


def found(root):
    return [(Path(v.where).name, v.cause, v.level, v.usable) for v in check(root)]


def test_a_chunk_in_two_shards(tmp_path):
    for shard in ("SHARD_0000", "SHARD_0001"):
        label_trees.write(tmp_path, label_trees.files(), shard=shard)
    (violation,) = check(tmp_path)
    assert (violation.cause, violation.usable) == ("duplicate_chunk", True)
    assert "SHARD_0001" in violation.where
    assert "SHARD_0000" in violation.message


def test_a_chunk_by_two_names(tmp_path):
    label_trees.write(tmp_path, label_trees.files())
    label_trees.write(tmp_path, label_trees.files(), name="vid_chunk_0001")
    assert found(tmp_path) == [
        ("vid_chunk_0001", "folder_name", "warning", True),
        ("vid_chunk_0001", "duplicate_chunk", "error", True),
    ]


def test_broken_chunks_can_be_there_twice_too(tmp_path):
    for shard in ("SHARD_0000", "SHARD_0001"):
        label_trees.write(tmp_path, {METADATA: b"", RAW: b""}, shard=shard)
    assert Counter(cause for _, cause, _, _ in found(tmp_path)) == {
        "json_invalid": 2,
        "table_unreadable": 2,
        "duplicate_chunk": 1,
    }


def test_a_uuid_twice(tmp_path):
    for chunk in range(3):
        label_trees.write(tmp_path, label_trees.files(chunk=chunk, uuid="same"), chunk=chunk)
    assert found(tmp_path) == [
        (f"vid_chunk_000{chunk}", "duplicate_uuid", "error", True) for chunk in (1, 2)
    ]


def test_overlapping_frames(tmp_path):
    starts = {0: 0, 1: 100, 2: 92, 3: 3, 4: 108}  # of 8 rows each: 0 and 3 overlap, no others
    for chunk, start in starts.items():
        frames = {"video__start_frame": start, "video__end_frame": start + 8}
        label_trees.write(tmp_path, label_trees.files(chunk=chunk, **frames), chunk=chunk)
    other = label_trees.files("other", 0)  # the same frames of another video
    label_trees.write(tmp_path, other, "other", 0)
    (violation,) = check(tmp_path)
    assert (violation.cause, violation.level) == ("frames_overlap", "error")
    assert violation.where.endswith("vid_chunk_0003")
    assert "vid_chunk_0000" in violation.message


def test_a_long_chunk_overlaps_all_within(tmp_path):
    for chunk, (start, rows) in enumerate([(0, 100), (10, 5), (50, 5), (100, 5)]):
        frames = {"video__start_frame": start, "video__end_frame": start + rows}
        files = label_trees.files(chunk=chunk, rows=rows, video__duration=rows / 60, **frames)
        label_trees.write(tmp_path, files, chunk=chunk)
    assert [name for name, *_ in found(tmp_path)] == ["vid_chunk_0001", "vid_chunk_0002"]


def test_the_tree_is_read_to_its_end(tmp_path):
    label_trees.sound_tree(tmp_path)
    first = tmp_path / "actions/SHARD_0000/video-00/video-00_chunk_0000"
    last = tmp_path / "actions/SHARD_0001/video-11/video-11_chunk_0002"
    for folder in (first, last):
        (folder / METADATA).write_text("broken")
    (tmp_path / "actions/SHARD_0000.tar").write_bytes(b"")
    (tmp_path / "actions/SHARD_0002.tar.gz").write_bytes(b"broken")
    tally, told = Counter(), []
    tree = label_tree.open_tree(tmp_path)
    causes = [v.cause for v in label_check.check_tree(tree, told.append, tally)]
    assert causes == ["json_invalid", "shard_twice", "json_invalid", "shard_unreadable"]
    assert tally == {True: 10, False: 2}
    assert sum(told) == tree.size()


def test_tarballs(tmp_path):
    label_trees.sound_tree(tmp_path)
    members = label_trees.members(tmp_path)
    bad = {"actions/../x/y/metadata.json": b"", "LICENSE": b""}
    path = label_trees.tarball(tmp_path / "x.tar.gz", [*bad.items(), *members, members[0]])
    violations = check(path)
    assert [(v.cause, v.level) for v in violations] == [
        ("member_unsafe", "error"),
        ("unexpected_file", "warning"),
        ("member_scattered", "error"),
    ]
    assert violations[0].where == f"{path}:actions/../x/y/metadata.json"


# ---------------------------------------------------------------------------------------------

odd = st.sampled_from(
    [None, "", "x", -1, 0, 1, 8, 1e300, math.nan, True, [], {}, [0, 0, 9, 9], "8", [1, 2]]
)
fields = st.sampled_from(
    [*label_trees.metadata(), *(f"video__{n}" for n in label_trees.metadata()["original_video"])]
)
cells = st.sampled_from([None, 0.0, 1.0, 0.5, 2.0, math.nan, math.inf])


@settings(max_examples=150)
@given(
    st.dictionaries(fields, odd, max_size=3),
    st.dictionaries(st.sampled_from(label_trees.BUTTONS), st.lists(cells, min_size=3, max_size=3)),
    st.lists(st.lists(cells, max_size=3) | st.none(), min_size=3, max_size=3) | st.none(),
    st.sampled_from([RAW, PROCESSED]),
)
def test_a_chunk_without_an_error_is_usable_and_the_other_way_round(changes, buttons, stick, name):
    """What cannot be read has an error, and what has no error can be read."""
    if "original_video" in changes:
        changes = {"original_video": changes["original_video"]}
    columns = label_trees.columns(3) | buttons
    if stick is not None:
        columns["j_left"] = pa.array(stick, pa.list_(pa.float64()))
    content = {
        METADATA: json.dumps(label_trees.metadata(rows=3, **changes)).encode(),
        RAW: label_trees.table(label_trees.columns(3)),
    }
    content[name] = label_trees.table(columns)
    ref = label_tree.ChunkRef("SHARD_0000", "vid", "vid_chunk_0000", "where")
    files = {key: (lambda data=data: data) for key, data in content.items()}
    raw = label_tree.RawChunk(ref, files)
    _, usable, violations = label_check.check_chunk(raw)
    try:
        label_tree.read_chunk(raw)
        readable = True
    except NitrogenError:
        readable = False
    assert usable == readable
    if not usable:
        assert any(violation.level == "error" for violation in violations)
    assert all(violation.usable == usable for violation in violations)
    # Nothing that the reader refuses is left to its own sentence: it is listed with its rows.
    assert not any(violation.cause == "table_values" for violation in violations)
