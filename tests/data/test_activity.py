"""Tables of what was pressed when: they come back, and say what the actions say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

from nitrogen_jax.data import activity


def make(rows=10, number=0, **changes):
    random = np.random.default_rng(number)
    values = {
        "video_id": f"видео {number}",
        "chunk_id": f"chunk_{number:04d}",
        "game": "Ōkami",
        "controller": "xboxone",
        "start_frame": 1 << 40,
        "records": 2,
        "pictures": 4,
        "per_record": 3,
        "frame_stride": 2,
        "label_lag": -2,
        "rows": rows,
        "start_time": 1e7 + 1 / 3,
        "rate": 60000 / 1001,
        "pressed": random.integers(0, 1 << 32, rows, np.uint32),
        "left": random.random(rows, np.float32),
        "right": random.random(rows, np.float32),
    }
    return activity.Activity(**{**values, **changes})


def assert_same(one, other):
    for field in dataclasses.fields(activity.Activity):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert (type(a), a) == (type(b), b)


def test_round_trip(tmp_path):
    rows = np.linspace(0, 1, 10, dtype=np.float32)
    chunks = [
        make(number=0),
        make(number=1, confidence=rows),
        make(number=2, times=np.cumsum(rows)),
        make(number=3, confidence=rows[::-1].copy(), times=rows),
        make(rows=7, number=4),
    ]
    activity.write(tmp_path / "t.parquet", chunks)
    back = list(activity.read(tmp_path / "t.parquet"))
    assert len(back) == 5
    for one, other in zip(chunks, back, strict=True):
        assert_same(one, other)
    assert [one.confidence is None for one in back] == [True, False, True, False, True]
    assert [one.times is None for one in back] == [True, True, False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_many_chunks_keep_their_order(tmp_path):
    """More than are read at once."""
    chunks = [make(number=n, confidence=None if n % 3 else make().left) for n in range(600)]
    activity.write(tmp_path / "t.parquet", chunks)
    for one, other in zip(chunks, activity.read(tmp_path / "t.parquet"), strict=True):
        assert_same(one, other)


def test_no_chunks(tmp_path):
    activity.write(tmp_path / "t.parquet", [])
    assert list(activity.read(tmp_path / "t.parquet")) == []
    activity.write_table(tmp_path / "u.parquet", activity.SCHEMA.empty_table())
    assert list(activity.read(tmp_path / "u.parquet")) == []


def test_tables_can_be_joined(tmp_path):
    for number in range(2):
        activity.write(tmp_path / f"{number}.parquet", [make(number=number)])
    tables = [activity.read_table(tmp_path / f"{number}.parquet") for number in range(2)]
    activity.write_table(tmp_path / "all.parquet", pa.concat_tables(tables))
    found = list(activity.read(tmp_path / "all.parquet"))
    for number, one in enumerate(found):
        assert_same(one, make(number=number))


def test_where_tables_are(tmp_path):
    assert activity.table_path(tmp_path, "val", 12) == tmp_path / "activity" / "val-00012.parquet"


# ---------------------------------------------------------------------------------------------
# What they say


@settings(max_examples=100)
@given(
    actions=arrays.arrays(
        np.float32, st.tuples(st.integers(0, 8), st.just(25)), elements=st.floats(-1, 2, width=32)
    ),
    dead_zone=st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1),
)
def test_a_summary_says_what_the_pad_says(actions, dead_zone):
    found = activity.summary(actions)
    pad = gamepad.decode(actions)
    assert {name: one.dtype.name for name, one in found.items()} == {
        **{"pressed": "uint32", "left": "float32", "right": "float32"}
    }
    for row, bits in enumerate(found["pressed"].tolist()):
        assert bits == sum(1 << b for b in range(21) if pad.pressed[row, b])
    one = make(len(actions), **found)
    np.testing.assert_array_equal(one.idle(dead_zone), gamepad.is_idle(pad, dead_zone))


def test_each_button_has_its_bit():
    buttons = np.eye(21, dtype=np.float32)
    actions = np.concatenate([buttons, np.full((21, 4), 0.5, np.float32)], 1)
    found = activity.summary(actions)
    assert found["pressed"].tolist() == [1 << b for b in range(21)]
    assert not found["left"].any()
    assert not found["right"].any()


def test_sticks_by_how_far_they_are():
    actions = gamepad.neutral(3)
    actions[:, 21:23] = gamepad.scale_stick([[0.6, -0.8], [0.0, 0.1], [1.0, 1.0]])
    actions[:, 23:25] = gamepad.scale_stick([[0.0, 0.0], [-0.3, 0.4], [0.0, 0.0]])
    found = activity.summary(actions)
    np.testing.assert_allclose(found["left"], [1.0, 0.1, np.sqrt(2)], atol=1e-6)
    np.testing.assert_allclose(found["right"], [0, 0.5, 0], atol=1e-6)
    assert make(3, **found).idle(0.45).tolist() == [False, False, False]
    assert make(3, **found).idle(0.55).tolist() == [False, True, False]


def test_at_the_edge_of_the_dead_zone():
    """A stick that is deflected just as far as the dead zone is at rest, as for a pad."""
    far = np.float32([0.0, 0.25, 0.5])
    quiet = {"pressed": np.zeros(3, np.uint32), "left": np.zeros(3, np.float32)}
    quiet["right"] = quiet["left"]
    for stick in ("left", "right"):
        assert make(3, **quiet | {stick: far}).idle(0.25).tolist() == [True, True, False]
    assert make(3, **quiet | {"pressed": np.uint32([0, 4, 0])}).idle(1.0).tolist() == [
        *(True, False, True)
    ]


def test_times_of_rows():
    even = make(rows=10, rate=30.0).row_times()
    np.testing.assert_array_equal(even, np.arange(10) / 30)
    times = np.array([0, 0.25, 0.5], np.float32)
    found = make(rows=3, times=times).row_times()
    assert (even.dtype, found.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(found, times)


# ---------------------------------------------------------------------------------------------
# Damage


def test_no_table(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(NitrogenError, match=f"activity table {path} does not exist") as caught:
        list(activity.read(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 3, 20, 0.5, 0.99])
def test_a_table_that_was_cut_off(tmp_path, keep):
    path = tmp_path / "t.parquet"
    activity.write(path, [make()])
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(NitrogenError, match=f"activity table {path} cannot be read: ") as caught:
        list(activity.read(path))
    assert "\n" not in str(caught.value)


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(NitrogenError, match=r"activity table .*t.parquet"):
        list(activity.read(tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["rate"]),
        lambda table: table.append_column("more", table["rate"]),
        lambda table: table.select(table.schema.names[::-1]),
        lambda table: table.rename_columns([*table.schema.names[:-1], "time"]),
        lambda table: table.set_column(12, "rate", table["video_id"]),
        lambda table: table.set_column(13, "pressed", table["left"]),
    ],
)
def test_other_columns(tmp_path, change):
    path = tmp_path / "t.parquet"
    activity.write(path, [make()])
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(NitrogenError, match="has other columns than video_id: string, chunk_id"):
        list(activity.read(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 9},
        {"rows": 11},
        {"rows": 0},
        {"left": np.zeros(9, np.float32)},
        {"right": None},
        {"pressed": None},
        {"confidence": np.zeros(3, np.float32)},
        {"times": np.zeros(11, np.float32)},
        {"records": 1},
        {"records": 3},
        {"per_record": 0},
        {"frame_stride": 0},
        {"frame_stride": 4},
        {"pictures": 6},
        {"pictures": -1},
        {"rate": 0.0},
        {"rate": np.nan},
        {"rate": np.inf},
    ],
)
def test_a_chunk_that_contradicts_itself(tmp_path, changes):
    path = tmp_path / "t.parquet"
    bad = dataclasses.replace(make(number=6), **changes)
    activity.write(path, [make(number=5), bad])
    found = activity.read(path)
    assert_same(next(found), make(number=5))
    with pytest.raises(NitrogenError, match="chunk chunk_0006 of видео 6 contradicts itself"):
        next(found)


def test_half_a_table_is_never_there(tmp_path, monkeypatch):
    activity.write(tmp_path / "t.parquet", [make(number=1)])

    def fail(table, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        activity.write(tmp_path / "t.parquet", [make(number=2)])
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    (left,) = activity.read(tmp_path / "t.parquet")
    assert_same(left, make(number=1))
