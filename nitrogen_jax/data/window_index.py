"""Which samples of records to train on: (chunk, picture) pairs that pass some filters.

An index lies beside the records and is cheap to make again with other filters. It is an Arrow
file that is mapped into memory: one row for each chunk, in the order of videos and of their
frames, with the numbers of its pictures that may be the newest frame of a sample. The order does
not depend on how chunks are divided into records or files.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from nitrogen_jax.data import activity, control, records
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import DEAD_ZONE

FOLDER, DEFAULT = "index", "default"
VERSION = 1
_KEY = b"nitrogen_jax"


@dataclass(frozen=True)
class Filters:
    """What makes a sample worth training on.

    Attributes:
        min_active: share of the chunk's steps at which something is done, at least.
        dead_zone: a stick deflected this far or less is at rest.
        min_confidence: of every row of the chunk, at least.
        games: only these, if any are named.
    """

    min_active: float = 0.5
    dead_zone: float = DEAD_ZONE
    min_confidence: float = 0.0
    games: tuple[str, ...] = ()

    def check(self) -> Filters:
        """Returns itself; raises one sentence where a number makes no sense."""
        for name in ("min_active", "dead_zone", "min_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise NitrogenError(
                    f"filter {name} is {getattr(self, name)}, where 0 to 1 is needed"
                )
        return self


@dataclass(frozen=True)
class IndexOptions:
    """All that decides what is in an index."""

    steps: control.Steps = field(default_factory=control.Steps)
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True, eq=False)
class Index:
    """The samples of one split, chunk by chunk (C chunks, N samples).

    Attributes:
        about: options and counts, as `write_index` left them.
    """

    table: pa.Table
    about: dict[str, Any]

    @cached_property
    def numbers(self) -> dict[str, np.ndarray]:
        """(C,) of each column of numbers."""
        kinds = {field.name for field in self.table.schema if pa.types.is_primitive(field.type)}
        return {name: self.table[name].to_numpy() for name in kinds}

    @cached_property
    def offsets(self) -> np.ndarray:
        """(C + 1,) int64: the samples of chunk c are offsets[c] to offsets[c + 1]."""
        if not len(self.table):
            return np.zeros(1, np.int64)
        return self.table["samples"].chunk(0).offsets.to_numpy(zero_copy_only=True)

    @cached_property
    def samples(self) -> np.ndarray:
        """(N,) uint16 or uint32: numbers of pictures in their chunk, ascending within each."""
        if not len(self.table):
            return np.zeros(0, np.uint16)
        return self.table["samples"].chunk(0).values.to_numpy(zero_copy_only=True)

    @cached_property
    def game_names(self) -> list[str]:
        """The names that `games` numbers, sorted."""
        names = self.table["game"].combine_chunks().dictionary_encode().dictionary.to_pylist()
        return sorted(names)

    @cached_property
    def games(self) -> np.ndarray:
        """(C,) int32: the game of each chunk, by its place in `game_names`."""
        place = {name: at for at, name in enumerate(self.game_names)}
        coded = self.table["game"].combine_chunks().dictionary_encode()
        order = np.array([place[name] for name in coded.dictionary.to_pylist()], np.int32)
        return order[coded.indices.to_numpy()] if len(self.table) else np.zeros(0, np.int32)

    def text(self, name: str, chunk: int) -> str:
        """video_id, chunk_id or game of a chunk."""
        return self.table[name][chunk].as_py()

    def row_times(self, chunk: int) -> np.ndarray:
        """(R,) float64 seconds of a chunk's rows after its first."""
        found = self.table["times"][chunk]
        if found.is_valid:
            return found.values.to_numpy().astype(np.float64)
        return np.arange(int(self.numbers["rows"][chunk])) / float(self.numbers["rate"][chunk])

    @property
    def options(self) -> IndexOptions:
        """What it was made with."""
        steps, filters = self.about["steps"], dict(self.about["filters"])
        filters["games"] = tuple(filters["games"])
        return IndexOptions(control.Steps(**steps), Filters(**filters))


def index_path(folder: Path, split: str, name: str = DEFAULT) -> Path:
    """Where the index of a split lies."""
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise NitrogenError(f"index {name!r}: a name of letters, digits, - and _ is needed")
    return folder / FOLDER / f"{name}-{split}.arrow"


def read_index(folder: str | Path, split: str = "train", name: str = DEFAULT) -> Index:
    """The index of a split."""
    folder = Path(folder)
    path = index_path(folder, split, name)
    command = f"nitrogen data index {shlex.quote(str(folder))} --name {name}"
    if not path.is_file():
        known = records.splits(folder)  # a folder that holds no records at all is said so
        if split not in known:
            have = ", ".join(known)
            raise NitrogenError(f"records {folder} have no split {split!r}: they have {have}")
        raise NitrogenError(f"index {path} does not exist: {command} makes it")
    try:
        index = _opened(path)
        flags = " ".join(["", *arguments(index.options)])
        made_of = index.about["records"]
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise NitrogenError(
            f"index {path} cannot be read ({reason}): {command} makes it anew"
        ) from None
    if made_of != _made_of(folder, split):
        raise NitrogenError(
            f"index {path} is of other records than there are now: {command}{flags} makes it anew"
        )
    return index


def _opened(path: Path) -> Index:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    about = json.loads((table.schema.metadata or {}).get(_KEY, b"null"))
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise ValueError(f"its version is {version}, where {VERSION} is needed")
    columns = dict(zip(table.schema.names, table.schema.types, strict=True))
    if columns not in (_COLUMNS, _COLUMNS | _SMALL):
        raise ValueError(f"it has other columns than {', '.join(_COLUMNS)}")
    table.validate(full=True)
    return Index(table, about)


def arguments(options: IndexOptions) -> list[str]:
    """What `nitrogen data index` must be told for these options."""
    found = []
    for part, standard in ((options.steps, control.Steps()), (options.filters, Filters())):
        for one in fields(part):
            value, flag = getattr(part, one.name), _FLAGS.get(one.name, one.name)
            if value != getattr(standard, one.name):
                values = value if isinstance(value, tuple) else (value,)
                flag = f"--{flag.replace('_', '-')}"
                found += [f"{flag} {shlex.quote(str(value))}" for value in values]
    return found


_FLAGS = {"rate": "control_rate", "games": "game"}


def write_index(
    folder: str | Path,
    split: str,
    name: str = DEFAULT,
    options: IndexOptions | None = None,
    advance: Callable[[float], None] = lambda amount: None,
) -> dict[str, Any]:
    """Makes the index of a split anew and returns what it says of itself.

    Args:
        advance: is told each chunk.
    """
    folder, options = Path(folder), options or IndexOptions()
    path = index_path(folder, split, name)
    options.steps.check()
    options.filters.check()
    made_of = _made_of(folder, split)
    causes: Counter[str] = Counter()
    batches = []
    for chunks in _tables(folder, split, made_of["lengths"]):
        rows: list[dict[str, Any]] = []
        for record, chunk in chunks:
            advance(1)
            valid = samples_of(chunk, options, causes)
            if len(valid):
                columns = {key: getattr(chunk, key) for key in _COPIED}
                rows.append({**columns, "record": record, "samples": valid})
        columns = {key: pa.array([r[key] for r in rows], kind) for key, kind in _COLUMNS.items()}
        batches.append(pa.table(columns))
    empty = pa.schema(list(_COLUMNS.items())).empty_table()
    table = pa.concat_tables([empty, *batches])
    order = [(key, "ascending") for key in ("video_id", "start_frame", "chunk_id")]
    # NOTE: one batch, so that every column is one array in the file.
    table = table.take(pa.compute.sort_indices(table, order)).combine_chunks()
    if (pa.compute.max(table["pictures"]).as_py() or 0) <= 1 << 16:
        table = table.cast(pa.schema(list((_COLUMNS | _SMALL).items())))
    about = {
        "version": VERSION,
        **asdict(options),
        "chunks": len(table),
        "samples": len(pa.compute.list_flatten(table["samples"])),
        "left_out": dict(causes),
        "records": made_of,
    }
    table = table.replace_schema_metadata({_KEY: json.dumps(about)})
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), table.schema) as file:
            file.write_table(table, max_chunksize=max(len(table), 1))
    except OSError as error:
        raise records.WriteError(f"cannot write index {path}: {error.strerror or error}") from None
    return about


_COPIED = {
    **dict.fromkeys(("video_id", "chunk_id", "game"), pa.string()),
    **dict.fromkeys(("start_frame", "pictures", "per_record", "frame_stride"), pa.int64()),
    **dict.fromkeys(("rows", "label_lag"), pa.int64()),
    **dict.fromkeys(("start_time", "rate"), pa.float64()),
    "times": pa.large_list(pa.float32()),
}
_COLUMNS = {**_COPIED, "record": pa.int64(), "samples": pa.large_list(pa.uint32())}
_SMALL = {"samples": pa.large_list(pa.uint16())}  # where all numbers fit


def samples_of(
    chunk: activity.Activity, options: IndexOptions, causes: Counter[str] | None = None
) -> np.ndarray:
    """(n,) uint32: the pictures of a chunk that pass; counts the others by cause."""
    filters, causes = options.filters, Counter() if causes is None else causes
    frames = np.arange(chunk.pictures) * chunk.frame_stride
    if filters.games and chunk.game not in filters.games:
        causes["game"] += len(frames)
        return np.zeros(0, np.uint32)
    times = chunk.row_times()
    rows = control.step_rows(options.steps, times, chunk.rate, frames, chunk.label_lag)
    whole = control.exists(rows, chunk.rows).all(-1)
    causes["too_near_the_end"] += int((~whole).sum())
    frames, rows = frames[whole], rows[whole]
    if chunk.confidence is not None and filters.min_confidence > 0:
        unsure = chunk.confidence < np.float32(filters.min_confidence)
        sure = ~control.pool(unsure.astype(np.uint8), rows).any(-1)
        causes["unsure"] += int((~sure).sum())
        frames, rows = frames[sure], rows[sure]
    active = control.pool((~chunk.idle(filters.dead_zone)).astype(np.uint8), rows).mean(-1)
    busy = active >= filters.min_active
    causes["idle"] += int((~busy).sum())
    return (frames[busy] // chunk.frame_stride).astype(np.uint32)


def _tables(
    folder: Path, split: str, lengths: list[int]
) -> Iterator[Iterator[tuple[int, activity.Activity]]]:
    """For each file of a split: (number of its first record in the split, chunk)."""
    first = 0
    for number, length in enumerate(lengths):
        yield _numbered(activity.table_path(folder, split, number), first, length)
        first += length


def _numbered(path: Path, first: int, length: int) -> Iterator[tuple[int, activity.Activity]]:
    at = first
    for chunk in activity.read(path):
        yield at, chunk
        at += chunk.records
    if at != first + length:
        raise NitrogenError(
            f"activity table {path} tells of {at - first} records, where its file holds {length}"
        )


def _made_of(folder: Path, split: str) -> dict[str, Any]:
    """By which an index knows its records."""
    found = records.shards(folder, split)
    return {"lengths": list(found.lengths), "num_bytes": found.num_bytes}
