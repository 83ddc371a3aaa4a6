"""Everything in a label tree that is not as the format says.

Whether a chunk is usable is not judged here: it is whether `label_tree.read_chunk` reads it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tables, labels
from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.data.label_tables import COLUMNS, CONFIDENCE, TABLES
from nitrogen_jax.data.label_tree import Fault, LabelTree, RawChunk, chunk_folder, read_chunk
from nitrogen_jax.data.labels import METADATA, ChunkMeta

# Causes that cost no data and make none wrong. All others are errors.
WARNINGS = frozenset(
    {
        *("area_invalid", "box_empty", "box_overflows", "column_extra", "empty_folder"),
        *(
            "field_missing",
            "field_type",
            "field_value",
            "folder_name",
            "frames_inconsistent",
            "no_raw_table",
        ),
        *("shard_twice", "stick_out_of_range", "times_inconsistent", "unexpected_file"),
    }
)


@dataclass(frozen=True)
class Violation:
    """One thing that is not as the format says.

    Attributes:
        where: the path of the file, of the chunk or of the tarball.
        cause: one stable word for counting.
        level: "warning" where reading copes without loss, else "error".
        usable: whether the chunk can be read all the same; of what is no chunk, whether the rest
            of it is read.
        message: one sentence that begins with the path.
    """

    where: str
    cause: str
    level: str
    usable: bool
    message: str


class _Found(NamedTuple):
    where: str
    cause: str
    message: str
    fatal: bool = False


def check_tree(
    tree: LabelTree,
    advance: Callable[[float], None] = lambda amount: None,
    tally: Counter[bool] | None = None,
) -> Iterator[Violation]:
    """Every violation of a tree, which is read to its end.

    Some hundreds of bytes are kept of each chunk, to find those that are there twice or overlap.

    Args:
        advance: is told the progress, in the unit of `tree.size_unit`.
        tally: counts the usable (True) and the other chunks.
    """
    known, told = _Known(), 0
    for raw in tree.scan(advance=advance):
        yield from map(_of_fault, tree.faults[told:])
        told = len(tree.faults)
        meta, usable, violations = check_chunk(raw)
        if tally is not None:
            tally[usable] += 1
        yield from violations
        yield from (_violation(one, usable) for one in known.add(raw, meta))
    yield from map(_of_fault, tree.faults[told:])
    yield from (_violation(one, True) for one in known.overlaps())


def check_chunk(raw: RawChunk) -> tuple[ChunkMeta | None, bool, list[Violation]]:
    """One chunk by itself: its metadata if readable, whether it is usable, what is wrong."""
    meta, found = _check_metadata(raw)
    found += _check_tables(raw, meta)
    usable = True
    try:
        read_chunk(raw)
    except LabelError as error:
        usable = False
        if not any(one.fatal or one.cause not in WARNINGS for one in found):
            found.append(_Found(raw.ref.where, error.cause, str(error), fatal=True))
    return meta, usable, [_violation(one, usable) for one in found]


def _violation(found: _Found, usable: bool) -> Violation:
    level = "error" if found.fatal or found.cause not in WARNINGS else "warning"
    return Violation(found.where, found.cause, level, usable, found.message)


def _of_fault(fault: Fault) -> Violation:
    return _violation(_Found(*fault), usable=fault.cause in WARNINGS)


# ---------------------------------------------------------------------------------------------
# One chunk


def _check_metadata(raw: RawChunk) -> tuple[ChunkMeta | None, list[_Found]]:
    where = f"{raw.ref.where}/{METADATA}"
    if METADATA not in raw.files:
        return None, [_Found(where, "no_metadata", f"{where} is missing")]
    try:
        data = raw.files[METADATA]()
    except LabelError as error:
        return None, [_Found(where, error.cause, str(error))]
    meta, findings = labels.examine_metadata(data, where, raw.ref.video_id)
    found = [_Found(where, *finding) for finding in findings]
    if meta is not None:
        names = (
            ("video", raw.ref.video_id, {meta.video.video_id}),
            ("chunk", raw.ref.name, {chunk_folder(meta), _unpadded(meta)}),
        )
        for what, name, right in names:
            if name not in right:
                message = (
                    f"{raw.ref.where}: the {what}'s folder is {shown(name)}, where metadata.json "
                    f"says {shown(min(right))}"
                )
                found.append(_Found(raw.ref.where, "folder_name", message))
    return meta, found


def _unpadded(meta: ChunkMeta) -> str:
    return f"{meta.video.video_id}_chunk_{meta.chunk_id}"


def _check_tables(raw: RawChunk, meta: ChunkMeta | None) -> list[_Found]:
    found, counts = [], {}
    for kind, name in TABLES.items():
        where = f"{raw.ref.where}/{name}"
        if name in raw.files:
            try:
                table = label_tables.open_table(raw.files[name](), where)
                counts[kind] = table.metadata.num_rows
                found += _check_table(table, meta and meta.chunk_size, where)
            except LabelError as error:
                found.append(_Found(where, error.cause, str(error)))
    if not any(name in raw.files for name in TABLES.values()):
        message = f"{raw.ref.where} has no {' nor '.join(TABLES.values())}"
        found.append(_Found(raw.ref.where, "no_table", message))
    elif TABLES["raw"] not in raw.files:
        message = f"{raw.ref.where} has no {TABLES['raw']}"
        found.append(_Found(raw.ref.where, "no_raw_table", message))
    if len(set(counts.values())) > 1:
        says = " and ".join(f"{count} {kind} rows" for kind, count in counts.items())
        message = f"{raw.ref.where} has {says}, where both tables must have the same"
        found.append(_Found(raw.ref.where, "tables_differ", message))
    return found


def _check_table(table, rows: int | None, where: str) -> Iterator[_Found]:
    try:
        label_tables.check_rows(table.metadata.num_rows, rows, where)
    except LabelError as error:
        yield _Found(where, error.cause, str(error))
    names = table.schema_arrow.names
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        message = f"{where}: column {', '.join(missing)} is missing"
        yield _Found(where, "column_missing", message)
    extra = [shown(name) for name in names if name not in (*COLUMNS, CONFIDENCE)]
    if extra:
        message = f"{where}: column {', '.join(extra):.200} does not belong there"
        yield _Found(where, "column_extra", message)
    single = [name for name in (*COLUMNS, CONFIDENCE) if names.count(name) == 1]
    for name in (*COLUMNS, CONFIDENCE):
        if names.count(name) > 1:
            message = f"{where}: column {name} is there {names.count(name)} times"
            yield _Found(where, "column_type", message)
    try:
        read = label_tables.read_columns(table, single, where)
    except LabelError:
        read = None  # a damaged column shall not hide the others
    for name in single:
        try:
            whole = label_tables.read_columns(table, [name], where) if read is None else read
            yield from _check_column(whole[name], name, where)
        except LabelError as error:
            yield _Found(where, error.cause, str(error))


def _check_column(column, name: str, where: str) -> Iterator[_Found]:
    """What is wrong with a column's values: one violation for each cause, with its first row."""
    width = 2 if name in gamepad.STICK_COLUMNS else 1
    try:
        values = label_tables.to_numpy(column, where, name)
    except LabelError as error:
        if error.cause != "value_null":
            raise
        values = label_tables.to_list(column, where, name)
    rows = np.arange(len(values))
    if not (isinstance(values, np.ndarray) and values.size == width * len(rows)):
        values = values.tolist() if isinstance(values, np.ndarray) else values
        nulls, wrong, kept = [], [], []
        for row, value in enumerate(values):
            parts = value if width == 2 and isinstance(value, list) else [value]
            if value is None or (len(parts) == width and None in parts):
                nulls.append(row)
            elif len(parts) != width or not all(isinstance(part, Real) for part in parts):
                wrong.append(row)
            else:
                kept.append(row)
        needed = "the two numbers [x, y]" if width == 2 else "a bool or a number"
        yield from _rows(nulls, values, name, where, "value_null", "a value")
        yield from _rows(wrong, values, name, where, "value_type", needed)
        rows, values = np.array(kept, int), np.array([values[row] for row in kept], np.float64)
    values = values.reshape(len(rows), width).astype(np.float64)
    bad = ~np.isfinite(values).all(-1)
    yield from _rows(
        rows[bad], values[bad], name, where, "value_not_finite", "a finite number", True
    )
    rows, values = rows[~bad], values[~bad]
    if name in gamepad.STICK_COLUMNS:
        bad = (np.abs(values) > 1).any(-1)
        cause, needed = "stick_out_of_range", "values in -1..1"
    elif name == CONFIDENCE:
        bad = ((values < 0) | (values > 1)).any(-1)
        cause, needed = "confidence_out_of_range", "a value in 0..1"
    else:
        bad = ((values != 0) & (values != 1)).any(-1)
        cause, needed = "button_not_binary", "0 or 1"
    yield from _rows(rows[bad], values[bad], name, where, cause, needed, True)


def _rows(rows, values, name, where, cause, needed, aligned=False) -> Iterator[_Found]:
    """At most one violation, for `rows` that hold something else than what is needed.

    Args:
        aligned: values are an array (len(rows), 1 or 2) of those rows; else a list of all rows.
    """
    if len(rows):
        value = values[0].tolist() if aligned else values[rows[0]]
        value = value[0] if aligned and len(value) == 1 else value
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        message = (
            f"{where}: column {name}, row {rows[0]}{more}: {value!r:.60}, where {needed} is needed"
        )
        yield _Found(where, cause, message)


# ---------------------------------------------------------------------------------------------
# Chunks among each other


@dataclass
class _Known:
    """What earlier chunks were: names and ids -> where, and frames of each video."""

    names: dict[tuple[str, str, str], str] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)
    frames: dict[str, list[tuple[int, int, str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, raw: RawChunk, meta: ChunkMeta | None) -> list[_Found]:
        where = raw.ref.where
        keys = [("folder", raw.ref.video_id, raw.ref.name)]
        if meta is not None and meta.chunk_id:
            keys.append(("id", meta.video.video_id, meta.chunk_id))
        other = next((self.names[key] for key in keys if key in self.names), None)
        for key in keys:
            self.names.setdefault(key, where)
        if other is not None:
            return [_Found(where, "duplicate_chunk", f"{where} is the same chunk as {other}")]
        if meta is None:
            return []
        first, rows = meta.video.start_frame, meta.chunk_size
        self.frames[meta.video.video_id].append((first, first + rows, where))
        other = self.uuids.setdefault(meta.uuid, where) if meta.uuid else where
        if other == where:
            return []
        return [_Found(where, "duplicate_uuid", f"{where} has the uuid of {other}")]

    def overlaps(self) -> Iterator[_Found]:
        """Chunks with frames of an earlier one of their video, in the order of videos' names."""
        for video_id in sorted(self.frames):
            longest = None
            for chunk in sorted(self.frames[video_id]):
                if longest is not None and chunk[0] < longest[1]:
                    message = (
                        f"{chunk[2]} begins at frame {chunk[0]}, before the end of {longest[2]} "
                        f"at frame {longest[1]}"
                    )
                    yield _Found(chunk[2], "frames_overlap", message)
                if longest is None or chunk[1] > longest[1]:
                    longest = chunk
