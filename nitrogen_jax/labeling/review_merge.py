"""Corrections and a table of labels merged: only the cells that an edit names become others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data.label_fields import LabelError
from nitrogen_jax.data.label_tables import (
    COLUMNS,
    CONFIDENCE,
    open_table,
    read_columns,
    to_numpy,
)
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import remap
from nitrogen_jax.labeling.remap import Remap
from nitrogen_jax.labeling.review_corrections import Edit

# Column -> row -> what it shall be: bool, (x, y), or a confidence.
Cells = Mapping[str, Mapping[int, Any]]

COLUMN_OF: Mapping[str, str] = {button: column for column, button in gamepad.COLUMNS.items()}


@dataclass(frozen=True, eq=False)
class Merged:
    """A table after its corrections.

    Attributes:
        data: the bytes of the new table; those of the old one where no cell changed.
        changed: column -> rows whose cell is another than before, ascending.
    """

    data: bytes
    changed: Mapping[str, tuple[int, ...]]


def cells(edits: Iterable[Edit], rows: int, where: str) -> Cells:
    """Every cell that the edits name, the later edit of a cell counting.

    Args:
        rows: of the table; edits of others are refused.
    """
    found: dict[str, dict[int, Any]] = {}
    for index, edit in enumerate(edits):
        if edit.end > rows:
            raise NitrogenError(
                f"{where}: edit {index} is of the rows {edit.first} to {edit.end}, where the "
                f"chunk has {rows}"
            )
        buttons = {COLUMN_OF[button]: pressed for button, pressed in edit.buttons.items()}
        values: dict[str, Any] = {**buttons, **edit.sticks}
        if edit.valid is not None:
            values[CONFIDENCE] = float(edit.valid)
        for column, value in values.items():
            found.setdefault(column, {}).update(dict.fromkeys(range(edit.first, edit.end), value))
    return found


def merge(data: bytes, wanted: Cells, where: str) -> Merged:
    """A table's bytes with some cells replaced.

    Columns keep their types and their places, whatever else is in the table stays as it is. A
    table without confidences gets some where a cell of them is wanted: 1 everywhere else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = open_table(data, where)
    table = read_columns(opened, opened.schema_arrow.names, where)
    changed = {}
    for name, values in wanted.items():
        if name not in table.column_names:
            if name != CONFIDENCE:
                raise LabelError(f"{where}: column {name} is missing", "column_missing")
            if not any(value != 1 for value in values.values()):
                continue
            ones = pa.array(np.ones(table.num_rows, np.float32))
            table = table.append_column(CONFIDENCE, ones)
        at = table.column_names.index(name)
        column, rows = _replaced(table.column(at), values, f"{where}: column {name}")
        if rows:
            table = table.set_column(at, table.schema.field(at), column)
            changed[name] = rows
    if not changed:
        return Merged(data, {})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return Merged(sink.getvalue().to_pybytes(), changed)


def _replaced(column, values: Mapping[int, Any], where: str) -> tuple[Any, tuple[int, ...]]:
    """A pyarrow column of the same type with new values, and the rows that differ."""
    import pyarrow as pa

    old = column.to_pylist()
    new = list(old)
    whole, real = pa.types.is_integer(column.type), pa.types.is_floating(column.type)
    for row, value in values.items():
        value = list(value) if isinstance(value, tuple) else value
        # NOTE: the files of others may hold buttons as 0 and 1.
        new[row] = int(value) if whole else float(value) if real else value
    try:
        array = pa.array(new, column.type)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise NitrogenError(
            f"{where} of type {column.type} takes no correction: {reason}"
        ) from None
    written = array.to_pylist()
    return array, tuple(sorted(row for row in values if written[row] != old[row]))


# ---------------------------------------------------------------------------------------------
# The table that follows from the one that was seen

Columns = Mapping[str, np.ndarray]  # buttons (N,) bool, sticks (N, 2), perhaps confidence (N,)


def read(data: bytes, where: str) -> Columns:
    """The columns of a sound table, with the values that are in it."""
    opened = open_table(data, where)
    names = [name for name in (*COLUMNS, CONFIDENCE) if name in opened.schema_arrow.names]
    table = read_columns(opened, names, where)
    found = {name: np.asarray(to_numpy(table[name], where, name)) for name in names}
    return {
        name: values > 0.5 if name in gamepad.COLUMNS else values for name, values in found.items()
    }


def follow(
    seen: Columns, corrected: Columns, processed: Columns, wanted: Cells, pairs: Remap
) -> Cells | None:
    """The cells of actions_processed that change because those of actions_raw do.

    It holds the rows that were seen, the last valid one in place of those that are not, under the
    buttons of a remap table. None where it does not, so that nobody knows what would be right.

    Args:
        seen, corrected: actions_raw before and after.
        wanted: the cells that became others.
        pairs: of buttons, as seen and as written.
    """
    found: dict[str, Mapping[int, Any]] = {}
    if CONFIDENCE in wanted:
        found[CONFIDENCE] = wanted[CONFIDENCE]
    old, new = (_derived(one, processed, pairs) for one in (seen, corrected))
    if not all(np.array_equal(old[name], processed[name]) for name in COLUMNS):
        return found if wanted.keys() <= {CONFIDENCE} else None
    for name in COLUMNS:
        differs = (new[name] != processed[name]).reshape(len(new[name]), -1).any(-1)
        rows = np.flatnonzero(differs).tolist()
        values = new[name].tolist()
        if rows:
            found[name] = {
                row: tuple(values[row]) if name in gamepad.STICK_COLUMNS else values[row]
                for row in rows
            }
    return found


def _derived(seen: Columns, processed: Columns, pairs: Remap) -> Columns:
    """What actions_processed should be; before the first valid row it is what it is."""
    rows = len(seen["j_left"])
    valid = seen[CONFIDENCE] > 0 if CONFIDENCE in seen else np.ones(rows, bool)
    last = np.maximum.accumulate(np.where(valid, np.arange(rows), -1))
    buttons = np.zeros((rows, gamepad.NUM_BUTTONS), bool)
    for name, button in gamepad.COLUMNS.items():
        buttons[:, gamepad.BUTTON_INDEX[button]] = seen[name]
    buttons = remap.apply(buttons, pairs)
    found = {
        name: buttons[:, gamepad.BUTTON_INDEX[button]] for name, button in gamepad.COLUMNS.items()
    }
    found |= {name: seen[name] for name in gamepad.STICK_COLUMNS}
    for name, values in found.items():
        found[name] = values[last]
        found[name][last < 0] = processed[name][last < 0]
    return found
