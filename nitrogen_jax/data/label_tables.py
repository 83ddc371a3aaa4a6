"""A chunk's table of actions: parquet to arrays (N, 25) and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.errors import NitrogenError

Kind = Literal["processed", "raw"]
TABLES: Mapping[Kind, str] = {
    "processed": "actions_processed.parquet",
    "raw": "actions_raw.parquet",
}
COLUMNS = (*gamepad.COLUMNS, *gamepad.STICK_COLUMNS)
CONFIDENCE = "confidence"

MAX_ROWS = 1 << 22
MAX_TABLE_BYTES = 1 << 28  # decompressed


@dataclass(frozen=True, eq=False)
class ChunkActions:
    """A chunk's table.

    Attributes:
        actions: (N, 25) float32, buttons_first.
        confidence: (N,) float32 in 0..1; ones where the table has no such column.
        kind: which table it is from.
    """

    actions: np.ndarray
    confidence: np.ndarray
    kind: Kind


def parse_actions(data: bytes, rows: int | None, where: str, kind: Kind = "raw") -> ChunkActions:
    """The bytes of a table of actions; LabelError where it does not say what was pressed.

    Args:
        rows: how many there must be; None for any number but 0.
        where: what messages call the table.
    """
    table = open_table(data, where)
    check_rows(table.metadata.num_rows, rows, where)
    names = table.schema_arrow.names
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise LabelError(f"{where}: column {', '.join(missing)} is missing", "column_missing")
    wanted = [*COLUMNS, CONFIDENCE] if CONFIDENCE in names else list(COLUMNS)
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise LabelError(f"{where}: column {twice[0]} is there more than once", "column_type")
    read = read_columns(table, wanted, where)
    check_rows(read.num_rows, table.metadata.num_rows, where)
    columns = {name: to_numpy(read[name], where, name) for name in wanted}
    try:
        actions = gamepad.columns_to_vector(columns, where=where)
    except NitrogenError as error:
        raise LabelError(str(error), "table_values") from None
    confidence = np.ones(len(actions), np.float32)
    if CONFIDENCE in columns:
        found = columns[CONFIDENCE]
        if not isinstance(found, np.ndarray) or found.ndim != 1 or not np.isfinite(found).all():
            message = f"{where}: column {CONFIDENCE} holds something else than finite numbers"
            raise LabelError(message, "table_values")
        confidence = np.clip(found, 0, 1).astype(np.float32)
    return ChunkActions(actions, confidence, kind)


def open_table(data: bytes, where: str):
    """A pyarrow.parquet.ParquetFile of sane size; LabelError if it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        groups = range(table.metadata.num_row_groups)
        size = sum(table.metadata.row_group(group).total_byte_size for group in groups)
        _ = table.schema_arrow.names
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(where, error) from None
    if size > MAX_TABLE_BYTES or table.metadata.num_rows > MAX_ROWS:
        raise LabelError(
            f"{where} states {size} bytes in {table.metadata.num_rows} rows, where "
            f"{MAX_TABLE_BYTES} bytes and {MAX_ROWS} rows are the most that is read",
            "too_large",
        )
    return table


def check_rows(found: int, needed: int | None, where: str) -> None:
    """Refuses a table of another length than the metadata says."""
    if found != needed if needed is not None else found == 0:
        right = f"chunk_size is {needed}" if needed is not None else "at least one is needed"
        raise LabelError(f"{where} has {found} rows, where {right}", "rows_differ")


def read_columns(table, names: list[str], where: str):
    """Some columns of a ParquetFile as a pyarrow.Table; LabelError if they cannot be decoded."""
    import pyarrow as pa

    try:
        # NOTE: threads cost more than they save on tables of a thousand rows.
        return table.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(where, error) from None


def to_numpy(column, where: str, name: str) -> np.ndarray | list:
    """A pyarrow column as an array (N,), or (N, 2) for pairs; anything else as a list.

    LabelError if it holds nulls.
    """
    return _guarded(lambda: _to_numpy(column, f"{where}: column {name}"), where, name)


def to_list(column, where: str, name: str) -> list:
    """A pyarrow column as a list, None for nulls."""
    return _guarded(column.to_pylist, where, name)


def _guarded(read: Callable[[], Any], where: str, name: str) -> Any:
    import pyarrow as pa

    try:
        return read()
    except LabelError:
        raise
    except (pa.ArrowException, ValueError, ArithmeticError) as error:
        raise _unreadable(f"{where}: column {name}", error) from None


def _to_numpy(column, where: str) -> np.ndarray | list:
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what is too large for one array
        return array.to_pylist()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    _refuse_nulls(array, where, 1)
    fixed, kind = pa.types.is_fixed_size_list(array.type), array.type
    if not (fixed or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return _plain(array)
    pairs = kind.list_size == 2 if fixed else bool((np.diff(array.offsets) == 2).all())
    if not pairs:
        return array.to_pylist()
    values = array.flatten()
    _refuse_nulls(values, where, 2)
    values = _plain(values)
    return values.reshape(-1, 2) if isinstance(values, np.ndarray) else array.to_pylist()


def _plain(array) -> np.ndarray | list:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return array.to_numpy(zero_copy_only=False)
    return array.to_pylist()


def _refuse_nulls(array, where: str, per_row: int) -> None:
    if array.null_count:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False))) // per_row
        raise LabelError(f"{where}, row {row}: null, where a value is needed", "value_null")


def _unreadable(where: str, error: Exception) -> LabelError:
    reason = shown((str(error) or type(error).__name__).partition("\n")[0])
    return LabelError(f"{where} cannot be read: {reason}", "table_unreadable")


def actions_to_parquet(actions: np.ndarray, confidence: np.ndarray | None = None) -> bytes:
    """Actions (N, 25) as the bytes of a table: bool buttons, float32 pairs for sticks.

    The four buttons without a column are lost, see `gamepad.COLUMNS`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    for name, values in gamepad.vector_to_columns(actions).items():
        columns[name] = pa.array(values) if values.ndim == 1 else pa.array(list(values))
    if confidence is not None:
        confidence = np.asarray(confidence, np.float32)
        if confidence.shape != (len(actions),) or not np.isfinite(confidence).all():
            raise NitrogenError(
                f"confidence has shape {confidence.shape} or is not finite, where one number for "
                f"each of {len(actions)} rows is needed"
            )
        columns[CONFIDENCE] = pa.array(confidence)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, write_page_checksum=True)
    return sink.getvalue().to_pybytes()
