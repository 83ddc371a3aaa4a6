"""Tables of actions: every type of column, and what is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
from nitrogen_jax.data import label_tables, labels  # noqa: E402
from nitrogen_jax.data.labels import LabelError  # noqa: E402

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
GONE = label_trees.GONE


def expected(columns):
    """The actions of columns, by the slow way that was there first."""
    return gamepad.columns_to_vector({name: list(column) for name, column in columns.items()})


def parse_table(columns, rows=None):
    return labels.parse_actions(label_trees.table(columns), rows, "t.parquet", "raw")


def test_a_table():
    columns = label_trees.columns(12)
    read = parse_table(columns, 12)
    assert (read.kind, read.actions.dtype, read.actions.shape) == ("raw", np.float32, (12, 25))
    np.testing.assert_array_equal(read.actions, expected(columns))
    np.testing.assert_array_equal(read.confidence, np.ones(12, np.float32))
    south = read.actions[:, gamepad.BUTTON_INDEX["SOUTH"]]
    np.testing.assert_array_equal(south, columns["south"])
    np.testing.assert_array_equal(2 * read.actions[:, 21:23] - 1, columns["j_left"])


@pytest.mark.parametrize(
    "kind",
    [pa.bool_(), pa.int8(), pa.uint8(), pa.int64(), pa.float16(), pa.float32(), pa.float64()],
)
def test_types_of_buttons(kind):
    columns = label_trees.columns()
    typed = columns | {
        name: pa.array([kind.to_pandas_dtype()(v) for v in columns[name]], kind)
        for name in label_trees.BUTTONS
    }
    np.testing.assert_array_equal(parse_table(typed).actions, expected(columns))


STICKS = [
    pa.list_(pa.float64()),
    pa.list_(pa.float32()),
    pa.list_(pa.float16()),
    pa.list_(pa.int64()),
    pa.list_(pa.int8()),
    pa.list_(pa.float32(), 2),
    pa.list_(pa.int64(), 2),
    pa.large_list(pa.float64()),
    pa.large_list(pa.int32()),
]


@pytest.mark.parametrize("kind", STICKS, ids=str)
@pytest.mark.parametrize("chunked", [False, True])
def test_types_of_sticks(kind, chunked):
    columns = label_trees.columns(9)
    if pa.types.is_integer(kind.value_type):
        for name in ("j_left", "j_right"):
            columns[name] = [[round(v) for v in pair] for pair in columns[name]]
    if pa.types.is_float16(kind.value_type):
        made = [[np.float16(v) for v in pair] for pair in columns["j_left"]]
    else:
        made = columns["j_left"]
    stick = pa.array(made, kind)
    if chunked:
        stick = pa.chunked_array([stick[:4], stick[4:4], stick[4:]])
    read = parse_table(columns | {"j_left": stick})
    np.testing.assert_array_equal(read.actions, expected(columns))


def test_dictionaries_and_nullable_columns_without_nulls():
    columns = label_trees.columns()
    coded = pa.array([int(v) for v in columns["south"]]).dictionary_encode()
    schema_nullable = pa.array(columns["west"], pa.bool_())
    read = parse_table(columns | {"south": coded, "west": schema_nullable})
    np.testing.assert_array_equal(read.actions, expected(columns))


@pytest.mark.parametrize("rows_per_group", [1, 3])
def test_row_groups(rows_per_group):
    columns = label_trees.columns(7)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=rows_per_group, compression="gzip")
    read = labels.parse_actions(sink.getvalue(), 7, "t", "raw")
    np.testing.assert_array_equal(read.actions, expected(columns))


def test_sticks_beyond_the_rim_are_clipped_and_other_columns_ignored():
    columns = label_trees.columns(2) | {"j_left": [[1.5, -7.0], [0.0, 2.0]], "frame": ["a", "b"]}
    sticks = 2 * parse_table(columns).actions[:, 21:23] - 1
    np.testing.assert_array_equal(sticks, [[1, -1], [0, 1]])


def test_confidence():
    columns = label_trees.columns(3)
    read = parse_table(columns | {"confidence": [0.5, 1.5, -1.0]})
    np.testing.assert_array_equal(read.confidence, np.array([0.5, 1, 0], np.float32))


def some_nulls(name, at, inner=False):
    columns = label_trees.columns(5)
    kind = pa.array(columns[name]).type
    column = list(columns[name])
    column[at] = [None, 0.5] if inner else None
    return columns | {name: pa.array(column, kind)}


@pytest.mark.parametrize(
    ("columns", "cause", "says"),
    [
        (some_nulls("south", 3), "value_null", "column south, row 3: null"),
        (some_nulls("j_right", 2), "value_null", "column j_right, row 2: null"),
        (some_nulls("j_left", 4, inner=True), "value_null", "column j_left, row 4: null"),
        ({"south": GONE}, "column_missing", "column south is missing"),
        ({"j_left": GONE, "east": GONE}, "column_missing", "column east, j_left is missing"),
        ({"south": ["a"] * 5}, "table_values", "column south, row 0"),
        ({"south": [math.nan] * 5}, "table_values", "column south holds nan"),
        ({"j_left": [[0.0, math.inf]] * 5}, "table_values", "column j_left holds inf"),
        ({"j_left": [[0.0, 0.0]] * 4 + [[0.0]]}, "table_values", "column j_left, row 4"),
        ({"j_left": [[0.0, 0.0, 0.0]] * 5}, "table_values", "column j_left, row 0"),
        ({"j_left": [0.5] * 5}, "table_values", "column j_left, row 0"),
        ({"j_left": [["a", "b"]] * 5}, "table_values", "column j_left, row 0"),
        ({"j_left": [{"x": 0.0, "y": 0.0}] * 5}, "table_values", "column j_left, row 0"),
        ({"confidence": ["a"] * 5}, "table_values", "column confidence"),
        ({"confidence": [math.nan] * 5}, "table_values", "column confidence"),
    ],
)
def test_tables_that_are_refused(columns, cause, says):
    columns = label_trees.columns(5) | columns
    columns = {name: column for name, column in columns.items() if column is not GONE}
    with pytest.raises(LabelError, match=f"^t.parquet: {says}") as caught:
        parse_table(columns)
    assert caught.value.cause == cause


def test_a_column_twice():
    arrays = [pa.array(column) for column in label_trees.columns().values()]
    sink = io.BytesIO()
    doubled = pa.Table.from_arrays([*arrays, arrays[0]], [*label_trees.columns(), "dpad_down"])
    pq.write_table(doubled, sink)
    with pytest.raises(LabelError, match="column dpad_down is there more than once"):
        labels.parse_actions(sink.getvalue(), None, "t", "raw")


@pytest.mark.parametrize("rows", [0, 7, 9])
def test_the_number_of_rows(rows):
    with pytest.raises(LabelError, match=f"^t.parquet has 8 rows, where chunk_size is {rows}"):
        parse_table(label_trees.columns(8), rows)


@pytest.mark.parametrize("rows", [None, 5])
def test_no_rows(rows):
    empty = {
        name: pa.array([], pa.list_(pa.float64()) if name.startswith("j_") else pa.bool_())
        for name in label_trees.columns()
    }
    with pytest.raises(LabelError, match=r"^t\.parquet has 0 rows") as caught:
        parse_table(empty, rows)
    assert caught.value.cause == "rows_differ"


def test_a_table_that_states_too_much_is_not_read(monkeypatch):
    monkeypatch.setattr(label_tables, "MAX_ROWS", 7)
    with pytest.raises(LabelError, match="in 8 rows, where") as caught:
        parse_table(label_trees.columns(8))
    assert caught.value.cause == "too_large"


def test_damage_is_noticed():
    data = bytearray(labels.actions_to_parquet(gamepad.neutral(400)))
    broken = 0
    for at in range(4, len(data) - 3000, 97):
        damaged = data.copy()
        damaged[at] ^= 0x40
        try:
            read = labels.parse_actions(bytes(damaged), 400, "t", "raw")
            np.testing.assert_array_equal(read.actions, gamepad.neutral(400))
        except LabelError:
            broken += 1
    assert broken


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_no_table(data, dressed):
    data = b"PAR1" + data + b"PAR1" if dressed else data
    with pytest.raises(LabelError, match=r"^t "):
        labels.parse_actions(data, None, "t", "raw")


SOUND = label_trees.table(label_trees.columns(20))


@given(st.data())
def test_a_mutated_table_is_read_or_refused(data):
    table = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LabelError):
        read = labels.parse_actions(bytes(table), 20, "t", "raw")
        assert read.actions.shape == (20, 25)
        assert ((read.actions >= 0) & (read.actions <= 1)).all()


@given(st.integers(1, 40), st.integers(0, 10_000), st.booleans())
def test_what_is_written_is_what_is_read(rows, seed, with_confidence):
    actions = expected(label_trees.columns(rows, seed))
    confidence = np.linspace(0, 1, rows, dtype=np.float32) if with_confidence else None
    data = labels.actions_to_parquet(actions, confidence)
    read = labels.parse_actions(data, rows, "t", "processed")
    np.testing.assert_array_equal(read.actions, actions)
    np.testing.assert_array_equal(
        read.confidence, np.ones(rows) if confidence is None else confidence
    )


def test_sticks_of_any_value_survive_to_rounding():
    sticks = np.random.default_rng(0).random((500, 4), np.float32)
    actions = gamepad.neutral(500)
    actions[:, 21:] = sticks
    read = labels.parse_actions(labels.actions_to_parquet(actions), 500, "t", "raw")
    np.testing.assert_allclose(read.actions, actions, atol=1e-7)


def test_what_is_written_has_the_columns_of_the_format():
    schema = pq.read_schema(io.BytesIO(labels.actions_to_parquet(gamepad.neutral(3))))
    assert set(schema.names) == set(label_trees.columns())
    assert all(schema.field(name).type == pa.bool_() for name in label_trees.BUTTONS)
    assert schema.field("j_left").type == pa.list_(pa.float32())


def test_confidence_of_another_length_is_not_written():
    with pytest.raises(NitrogenError, match=r"confidence has shape \(2,\)"):
        labels.actions_to_parquet(gamepad.neutral(3), np.ones(2))
