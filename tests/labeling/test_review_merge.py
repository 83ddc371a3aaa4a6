"""Corrections and tables merged: what an edit names becomes so, all else stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

from nitrogen_jax import gamepad
from nitrogen_jax.data import labels
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import remap, review_merge
from nitrogen_jax.labeling.review_corrections import Edit

ROWS = 12
AXES = st.integers(-8, 8).map(lambda value: value / 8)


@st.composite
def edits(draw):
    first = draw(st.integers(0, ROWS - 1))
    names = st.sampled_from(sorted(review_merge.COLUMN_OF))
    buttons = draw(st.dictionaries(names, st.booleans(), max_size=3))
    sticks = draw(st.dictionaries(st.sampled_from(gamepad.STICK_COLUMNS), st.tuples(AXES, AXES)))
    end = draw(st.integers(first + 1, ROWS))
    return Edit(first, end, buttons, sticks, draw(st.sampled_from((None, True, False))))


def actions(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    buttons = rng.random((ROWS, gamepad.NUM_BUTTONS)) < 0.3
    buttons[:, [gamepad.BUTTON_INDEX[f"RIGHT_{n}"] for n in ("UP", "BOTTOM", "LEFT", "RIGHT")]] = 0
    left, right = rng.integers(-8, 9, (2, ROWS, 2)) / 8
    return gamepad.pack(gamepad.Pad(buttons, left, right))


def table(confidence=None, seed: int = 0) -> bytes:
    return labels.actions_to_parquet(actions(seed), confidence)


def rows_of(data: bytes) -> dict[str, list]:
    return pq.read_table(pa.BufferReader(data)).to_pydict()


def expected(before: dict[str, list], wanted: list[Edit]) -> dict[str, list]:
    """Row by row and edit by edit, with nothing of the code that is tested."""
    after = {name: list(values) for name, values in before.items()}
    for edit in wanted:
        for row in range(edit.first, edit.end):
            for button, pressed in edit.buttons.items():
                after[button.lower()][row] = pressed
            for name, stick in edit.sticks.items():
                after[name][row] = list(stick)
            if edit.valid is not None:
                after.setdefault("confidence", [1.0] * ROWS)[row] = float(edit.valid)
    return after


@given(st.lists(edits(), max_size=4), st.booleans())
def test_only_what_is_named_changes(wanted, known):
    data = table(np.linspace(0, 1, ROWS) if known else None)
    before = rows_of(data)
    merged = review_merge.merge(data, review_merge.cells(wanted, ROWS, "c"), "t")
    after, should = rows_of(merged.data), expected(before, wanted)
    if not known and set(should.get("confidence", [1.0])) == {1.0}:
        should.pop("confidence", None)  # certain everywhere, as without the column
    assert after == should
    was = {"confidence": [1.0] * ROWS} | before
    for name, values in after.items():
        differs = [row for row in range(ROWS) if values[row] != was[name][row]]
        assert merged.changed.get(name, ()) == tuple(differs)
    if not merged.changed:
        assert merged.data == data


@settings(max_examples=30)
@given(st.lists(edits(), max_size=4))
def test_twice_is_once(wanted):
    found = review_merge.cells(wanted, ROWS, "c")
    once = review_merge.merge(table(), found, "t")
    again = review_merge.merge(once.data, found, "t")
    assert again.changed == {}
    assert again.data == once.data


@settings(max_examples=30)
@given(st.lists(edits(), max_size=4))
def test_the_table_stays_readable(wanted):
    merged = review_merge.merge(table(), review_merge.cells(wanted, ROWS, "c"), "t")
    read = labels.parse_actions(merged.data, ROWS, "t")
    assert read.actions.shape == (ROWS, gamepad.ACTION_DIM)


def test_a_row_beyond_the_chunk_is_refused():
    with pytest.raises(
        NitrogenError, match="edit 1 is of the rows 11 to 13, where the chunk has 12"
    ):
        review_merge.cells([Edit(0, 12, {"SOUTH": True}), Edit(11, 13, {"SOUTH": True})], ROWS, "c")


def test_types_of_columns_and_other_columns_stay():
    made = pq.read_table(pa.BufferReader(table()))
    made = made.set_column(0, "dpad_down", made["dpad_down"].cast(pa.int8()))
    at = made.column_names.index("south")
    made = made.set_column(at, "south", made["south"].cast(pa.float64()))
    at = made.column_names.index("j_left")
    made = made.set_column(at, "j_left", made["j_left"].cast(pa.list_(pa.float64(), 2)))
    made = made.append_column("note", pa.array(["x"] * ROWS))
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink)
    data = sink.getvalue().to_pybytes()
    edit = Edit(2, 4, {"DPAD_DOWN": True, "SOUTH": True}, {"j_left": (0.1, -1.0)})
    merged = review_merge.merge(data, review_merge.cells([edit], ROWS, "c"), "t")
    after = pq.read_table(pa.BufferReader(merged.data))
    assert after.schema.equals(made.schema)
    assert after["note"].equals(made["note"])
    assert after["dpad_down"].to_pylist()[2:4] == [1, 1]
    assert after["south"].to_pylist()[2:4] == [1.0, 1.0]
    assert after["j_left"].to_pylist()[2:4] == [[0.1, -1.0]] * 2


# ---------------------------------------------------------------------------------------------
# actions_processed

PAIRS: remap.Remap = (("EAST", "SOUTH"), ("SOUTH", "EAST"))


def processed_by_hand(raw: dict[str, list], confidence: list[float]) -> dict[str, list]:
    """The last valid row, with south and east swapped, row by row."""
    found: dict[str, list] = {name: [] for name in raw if name != "confidence"}
    last = 0
    for row in range(ROWS):
        last = row if confidence[row] > 0 else last
        for name in found:
            source = {"south": "east", "east": "south"}.get(name, name)
            found[name].append(raw[source][last])
    return found


@settings(max_examples=50)
@given(st.lists(edits(), max_size=4), st.lists(st.sampled_from((0.0, 0.6)), min_size=ROWS - 1))
def test_the_other_table_follows(wanted, unsure):
    confidence = [0.7, *unsure[: ROWS - 1]]
    seen = table(np.array(confidence))
    before = {**rows_of(seen), **processed_by_hand(rows_of(seen), confidence)}
    made = pa.table(before, pq.read_table(pa.BufferReader(seen)).schema)
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink)
    other = sink.getvalue().to_pybytes()
    found = review_merge.cells(wanted, ROWS, "c")
    corrected = review_merge.merge(seen, found, "t").data
    columns = [review_merge.read(data, "t") for data in (seen, corrected, other)]
    followed = review_merge.follow(*columns, found, PAIRS)
    after = rows_of(review_merge.merge(other, followed, "t").data)
    raw = rows_of(corrected)
    should = processed_by_hand(raw, raw["confidence"])
    first = next((row for row in range(ROWS) if raw["confidence"][row] > 0), ROWS)
    for name, values in should.items():
        assert after[name][first:] == values[first:]
        assert after[name][:first] == before[name][:first]  # nothing valid to hold yet
    assert after["confidence"] == raw["confidence"]


def test_another_table_is_not_guessed_at():
    seen, other = table(), table(seed=1)
    found = review_merge.cells([Edit(0, 1, {"SOUTH": True})], ROWS, "c")
    corrected = review_merge.merge(seen, found, "t").data
    columns = [review_merge.read(data, "t") for data in (seen, corrected, other)]
    assert review_merge.follow(*columns, found, ()) is None
    only = review_merge.cells([Edit(0, 1, valid=False)], ROWS, "c")
    assert review_merge.follow(*columns, only, ()) == only
