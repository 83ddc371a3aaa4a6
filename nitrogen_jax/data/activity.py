"""What was pressed when, chunk by chunk, in small tables beside the records.

Filters decide by them which samples to train on, so that nobody reads terabytes of pictures to
change a threshold. One table for each file of records, in the same order; one row for each chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path

FOLDER = "activity"

_ARRAYS = {"pressed": pa.uint32(), "left": pa.float32(), "right": pa.float32()}
_OPTIONAL = {"confidence": pa.float32(), "times": pa.float32()}
_NUMBERS = ("start_frame", "records", "pictures", "per_record", "frame_stride", "label_lag", "rows")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("video_id", "chunk_id", "game", "controller")),
        *((name, pa.int64()) for name in _NUMBERS),
        ("start_time", pa.float64()),
        ("rate", pa.float64()),
        *((name, pa.list_(kind)) for name, kind in (_ARRAYS | _OPTIONAL).items()),
    ]
)


@dataclass(frozen=True, eq=False)
class Activity:
    """One chunk of N rows."""

    video_id: str
    chunk_id: str
    game: str
    controller: str
    start_frame: int  # of row 0 in the video
    records: int  # that the chunk is divided into
    pictures: int  # in all of them
    per_record: int  # pictures in each but the last
    frame_stride: int
    label_lag: int
    rows: int
    start_time: float  # of row 0 in seconds
    rate: float
    pressed: np.ndarray  # (N,) uint32, bit b for button b of gamepad.BUTTONS
    left: np.ndarray  # (N,) float32, how far the stick is from rest
    right: np.ndarray
    confidence: np.ndarray | None = None  # (N,) float32; None: 1 everywhere
    times: np.ndarray | None = None  # (N,) float32 seconds after row 0; None: evenly spaced

    @property
    def is_whole(self) -> bool:
        """Whether its numbers fit together."""
        needed = [self.pressed, self.left, self.right]
        given = [one for one in (self.confidence, self.times) if one is not None]
        return (
            all(one is not None and len(one) == self.rows for one in needed + given)
            and min(self.rows, self.records, self.per_record, self.frame_stride) > 0
            and -(-self.pictures // self.per_record) == self.records
            and (self.pictures - 1) * self.frame_stride < self.rows
            and 0 < self.rate < float("inf")
        )

    def row_times(self) -> np.ndarray:
        """(N,) float64 seconds after row 0."""
        return np.arange(self.rows) / self.rate if self.times is None else self.times.astype(float)

    def idle(self, dead_zone: float) -> np.ndarray:
        """(N,) bool: nothing pressed, no stick deflected by more than the dead zone."""
        return ~((self.pressed != 0) | (self.left > dead_zone) | (self.right > dead_zone))


def summary(actions: np.ndarray) -> dict[str, np.ndarray]:
    """`pressed`, `left` and `right` of actions (N, 25) float32, buttons_first."""
    pad = gamepad.decode(actions)
    bits = np.left_shift(np.uint32(1), np.arange(gamepad.NUM_BUTTONS, dtype=np.uint32))
    return {
        "pressed": (pad.buttons * bits).sum(-1, dtype=np.uint32),
        "left": gamepad.deflection(pad.left).astype(np.float32),
        "right": gamepad.deflection(pad.right).astype(np.float32),
    }


def table_path(folder: Path, split: str, number: int) -> Path:
    """The table that belongs to a split's file of records of this number."""
    return folder / FOLDER / f"{split}-{number:05d}.parquet"


def write(path: Path, chunks: Sequence[Activity]) -> None:
    """Writes one table."""
    columns = {
        name: pa.array([getattr(chunk, name) for chunk in chunks], SCHEMA.field(name).type)
        for name in SCHEMA.names
    }
    write_table(path, pa.table(columns, SCHEMA))


def write_table(path: Path, table: pa.Table) -> None:
    """Writes one table, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path) -> pa.Table:
    """A table as it is."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise NitrogenError(
            f"activity table {path} does not exist: records that nitrogen data build makes have one"
        ) from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise NitrogenError(f"activity table {path} cannot be read: {reason}") from None
    if not table.schema.equals(SCHEMA):
        known = ", ".join(f"{field.name}: {field.type}" for field in SCHEMA)
        raise NitrogenError(f"activity table {path} has other columns than {known}")
    return table


def read(path: Path) -> Iterator[Activity]:
    """The chunks of one table."""
    for batch in read_table(path).to_batches(max_chunksize=256):
        flat = {name: batch.column(name) for name in SCHEMA.names}
        plain = [field.name for field in fields(Activity) if field.name not in _ARRAYS | _OPTIONAL]
        values = {name: flat[name].to_pylist() for name in plain}
        for at in range(batch.num_rows):
            arrays = {name: _array(flat[name], at) for name in _ARRAYS | _OPTIONAL}
            chunk = Activity(**{name: values[name][at] for name in plain}, **arrays)
            if not chunk.is_whole:
                name = f"chunk {chunk.chunk_id} of {chunk.video_id}"
                raise NitrogenError(f"activity table {path}: {name} contradicts itself")
            yield chunk


def _array(column: pa.ListArray, at: int) -> np.ndarray | None:
    one = column[at]
    return None if not one.is_valid else one.values.to_numpy(zero_copy_only=False)
