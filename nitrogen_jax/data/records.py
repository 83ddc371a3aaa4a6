"""Recorded play on disk: a TFDS dataset of ArrayRecord files, written and read without TensorFlow.

A record is a piece of a chunk of labels, or all of it: 20 seconds at most. It holds every
`frame_stride`-th frame of the piece as a picture, and what was pressed at every frame, going on
for a moment after the last picture so that its future is known.

Rows of a table of labels and frames: row i tells the state of the pad whose step made frame i;
where labels come late, `label_lag` says by how many rows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.proto import tf_example_pb2

from nitrogen_jax.data import stored_frames
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import ACTION_DIM

NAME, VERSION = "chunks", "2.0.0"
SUFFIX = "array_record"
# One record a group: a group is what is read at least, and records are large.
WRITER_OPTIONS = "group_size:1"

WHOLE = (0.0, 0.0, 1.0, 1.0)
NOWHERE = (0.0, 0.0, 0.0, 0.0)


def _bytes(shape: tuple[int | None, ...], dtype: type) -> tfds.features.Tensor:
    # NOTE: as numbers, TFDS files keep float32 and int64 alone, and reading those is slow.
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding=tfds.features.Encoding.BYTES)


# NOTE: frames are bytes, because TFDS decodes its Image feature with TensorFlow.
FEATURES = tfds.features.FeaturesDict(
    {
        "video_id": tfds.features.Text(),
        "chunk_id": tfds.features.Text(),
        "game": tfds.features.Text(),
        "controller": tfds.features.Text(),
        "start_frame": tfds.features.Scalar(np.int64),
        "start_time": _bytes((), np.float64),
        "first_row": tfds.features.Scalar(np.int32),
        "rate": tfds.features.Scalar(np.float32),
        "frame_stride": tfds.features.Scalar(np.int32),
        "codec": tfds.features.Text(),
        "frames": tfds.features.Sequence(tfds.features.Tensor(shape=(), dtype=np.object_)),
        "key_frames": _bytes((None,), np.int32),
        "actions": _bytes((None, ACTION_DIM), np.float32),
        "times": _bytes((None,), np.float32),
        "confidence": _bytes((None,), np.float32),
        "label_lag": tfds.features.Scalar(np.int32),
        "mask": tfds.features.Text(),
        "mask_box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
        "game_area": tfds.features.Tensor(shape=(4,), dtype=np.float32),
    }
)


@dataclass(frozen=True, eq=False)
class Chunk:
    """One record: pictures of some of the frames of a video, R rows of actions."""

    video_id: str
    game: str
    controller: str
    start_time: float  # of row 0, in seconds into the video
    rate: float  # frames, and rows, per second; an average where it varies
    frame_stride: int  # picture j is the frame of row j * frame_stride
    frames: tuple[bytes, ...]  # JPEG files or H.264 packets
    actions: np.ndarray  # (R, 25) float32, buttons_first
    confidence: np.ndarray  # (R,) float32 in [0, 1], of the actions
    chunk_id: str = ""
    start_frame: int | None = None  # of row 0 in the video; None: by start_time and rate
    first_row: int = 0  # row 0 in the chunk of labels that this is a piece of
    codec: str = "jpeg"
    key_frames: np.ndarray | None = None  # (K,) int32, pictures that can be decoded first
    times: np.ndarray | None = None  # (R,) float32 seconds after row 0; None: evenly spaced
    label_lag: int = 0  # the pad state that made the frame of row i is in row i + label_lag
    mask: str = "none"  # what the overlay has been painted over with
    mask_box: tuple[float, ...] = NOWHERE  # x, y, w, h of the overlay, relative to a picture
    game_area: tuple[float, ...] = WHOLE  # the part of the video that pictures show, relative

    def __post_init__(self):
        rows, where = len(self.actions), f"chunk {self.chunk_id or '?'} of {self.video_id}"
        # NOTE: a frozen dataclass can only be filled through object.__setattr__.
        for name, value in self._defaults(rows).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        wanted = {"actions": (rows, ACTION_DIM), "confidence": (rows,), "times": (rows,)}
        for name, shape in wanted.items():
            found = getattr(self, name)
            if found.shape != shape or found.dtype != np.float32:
                raise NitrogenError(
                    f"{where}: {name} is {found.dtype} {found.shape}, where float32 {shape} is "
                    "needed"
                )
            if not np.isfinite(found).all():
                raise NitrogenError(f"{where}: {name} holds NaN or inf")
        keys = self.key_frames
        inside = np.isin(keys, np.arange(len(self.frames))).all()
        if keys.ndim != 1 or keys.dtype != np.int32 or not inside or (np.diff(keys) <= 0).any():
            raise NitrogenError(
                f"{where}: key_frames is {keys.dtype} {keys.tolist()!r:.60}, where ascending int32 "
                f"numbers of its {len(self.frames)} pictures are needed"
            )
        if self.frame_stride < 1 or (len(self.frames) - 1) * self.frame_stride >= max(rows, 1):
            raise NitrogenError(
                f"{where}: {len(self.frames)} pictures at a stride of {self.frame_stride} do not "
                f"lie within its {rows} frames"
            )
        if self.codec not in stored_frames.CODECS:
            known = ", ".join(stored_frames.CODECS)
            raise NitrogenError(f"{where}: codec {self.codec!r} is not one of {known}")

    def _defaults(self, rows: int) -> dict[str, Any]:
        if not (np.isfinite(self.start_time) and 0 < self.rate < np.inf):
            raise NitrogenError(
                f"chunk of {self.video_id}: start_time is {self.start_time} and rate {self.rate}, "
                "where a time in seconds and a positive rate in Hz are needed"
            )
        return {
            "start_frame": round(self.start_time * self.rate),
            "key_frames": np.arange(len(self.frames), dtype=np.int32),
            "times": (np.arange(rows) / self.rate).astype(np.float32),
        }

    def pictures(self, wanted: Collection[int]) -> dict[int, np.ndarray]:
        """Picture number -> (H, W, 3) uint8 RGB; raises stored_frames.Undecodable."""
        return stored_frames.decode(self.codec, self.frames, self.key_frames, wanted)


# ---------------------------------------------------------------------------------------------
# Bytes


def to_bytes(chunk: Chunk) -> bytes:
    """A record as it lies in a file."""
    values = {name: getattr(chunk, name) for name in FEATURES}
    values["frames"] = list(chunk.frames)
    for name in ("mask_box", "game_area"):
        values[name] = np.asarray(values[name], np.float32)
    example = tf_example_pb2.Example.FromString(FEATURES.serialize_example(values))
    # NOTE: a map's fields come in any order otherwise, and the same build gave other bytes.
    return example.SerializeToString(deterministic=True)


def from_bytes(data: bytes) -> Chunk:
    """The record that `to_bytes` made them of."""
    return _chunk(FEATURES.deserialize_example_np(data))


def _chunk(values: Mapping[str, Any]) -> Chunk:
    values = dict(values)
    for name, kind in _KINDS.items():
        values[name] = values[name].decode() if kind is str else kind(values[name])
    values["frames"] = tuple(map(bytes, values["frames"]))
    for name in ("mask_box", "game_area"):
        values[name] = tuple(np.asarray(values[name]).tolist())
    return Chunk(**{one.name: values[one.name] for one in fields(Chunk)})


_KINDS = {
    **dict.fromkeys(("video_id", "chunk_id", "game", "controller", "codec", "mask"), str),
    **dict.fromkeys(("start_time", "rate"), float),
    **dict.fromkeys(("start_frame", "first_row", "frame_stride", "label_lag"), int),
}


# ---------------------------------------------------------------------------------------------
# Reading


class Records(Sequence):
    """The records of one split; each is read from disk when asked for."""

    def __init__(self, source: Sequence[Mapping[str, Any]], where: str):
        self._source, self._where = source, where

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Chunk:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        try:
            return _chunk(self._source[index])
        except Exception as error:  # NOTE: of many kinds, among them protobuf's own
            raise NitrogenError(
                f"record {index} of {self._where} cannot be read: {_reason(error)}"
            ) from None


def splits(folder: str | Path) -> dict[str, int]:
    """Name of each split -> its number of records."""
    return {name: one.num_examples for name, one in sorted(_builder(folder).info.splits.items())}


def read_records(folder: str | Path, split: str = "train") -> Records:
    """One split of a dataset folder; `split` may also be a part such as "train[:100]"."""
    builder, where = _builder(folder), f"records {folder}, split {split}"
    known = builder.info.splits
    name = split.partition("[")[0]
    if name in known and not known[name].num_examples:  # TFDS would say that there is no such one
        return Records((), where)
    try:
        return Records(builder.as_data_source(split), where)
    except ValueError:
        raise NitrogenError(_no_split(folder, split, known)) from None
    except Exception as error:
        raise NitrogenError(f"{where}, cannot be opened: {_reason(error)}") from None


def shards(folder: str | Path, split: str) -> Shards:
    """What the metadata says of the files of one split; no file but it is looked at."""
    one = _split(folder, split)
    return Shards(tuple(one.shard_lengths), one.num_bytes)


def shard_files(folder: str | Path, split: str) -> list[tuple[Path, int]]:
    """The files of one split in order, and how many records each holds."""
    one = _split(folder, split)
    return [(Path(p), n) for p, n in zip(one.filepaths, one.shard_lengths, strict=True)]


def _split(folder: str | Path, split: str) -> Any:
    known = _builder(folder).info.splits
    if split not in known:
        raise NitrogenError(_no_split(folder, split, known))
    return known[split]


def _no_split(folder: str | Path, split: str, known: Iterable[str]) -> str:
    return f"records {folder} have no split {split!r}: they have {', '.join(sorted(known)) or '-'}"


def _builder(folder: str | Path) -> Any:
    folder = Path(folder)
    if not (folder / "dataset_info.json").is_file():
        raise NitrogenError(f"{folder} is not a folder of records: dataset_info.json is not there")
    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # NOTE: of many kinds, among them protobuf's own
        raise NitrogenError(f"records {folder} cannot be opened: {_reason(error)}") from None
    absent = FEATURES.keys() - builder.info.features.keys()
    if absent:
        raise NitrogenError(f"records {folder} have no feature {', '.join(sorted(absent))}")
    return builder


def _reason(error: Exception) -> str:
    """The first line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# ---------------------------------------------------------------------------------------------
# Writing


@dataclass(frozen=True)
class Shards:
    """What the metadata says of the files of one split."""

    lengths: tuple[int, ...] = field(default=())  # records in each
    num_bytes: int = 0


class WriteError(NitrogenError):
    """Records that cannot be written, mostly for want of space."""


def shard_name(split: str, number: int) -> str:
    """The name of a file of records; it says nothing of their number, so that more may follow."""
    return f"{NAME}-{split}.{SUFFIX}-{number:05d}"


def write_file(path: Path, records: Iterable[bytes], folder: str | Path | None = None) -> list[int]:
    """Writes one ArrayRecord file, whole or not at all; returns the size of each record.

    Args:
        folder: what a WriteError calls the place; the file's folder if not said.
    """
    folder, sizes = folder or path.parent, []
    with atomic_path(path) as temporary:
        with _writing(folder):
            writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
        try:
            for record in records:
                with _writing(folder):
                    writer.write(record)
                sizes.append(len(record))
            with _writing(folder):
                writer.close()
        finally:
            if writer.is_open():
                with contextlib.suppress(RuntimeError):
                    writer.close()
    return sizes


@contextlib.contextmanager
def _writing(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # ArrayRecord reports by the latter
        known = os.strerror(errno.ENOSPC)
        reason = known if known in str(error) else _reason(error)
        raise WriteError(f"cannot write {folder}: {reason}") from None


def write_metadata(
    folder: Path,
    shards: Mapping[str, Shards],
    description: str,
    named: str | Path | None = None,
) -> None:
    """Writes what makes a folder of files a TFDS dataset: features.json, dataset_info.json.

    Args:
        named: what a WriteError calls the folder, if not by its name.
    """
    info = tfds.core.DatasetInfo(
        builder=tfds.core.dataset_info.DatasetIdentity(
            NAME, tfds.core.Version(VERSION), str(folder), module_name=__name__
        ),
        features=FEATURES,
        description=description,
    )
    info.set_file_format(SUFFIX)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        dataset_name=NAME,
        filetype_suffix=SUFFIX,
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
    )
    info.set_splits(
        tfds.core.splits.SplitDict(
            [
                tfds.core.SplitInfo(
                    name=name,
                    shard_lengths=list(one.lengths),
                    num_bytes=one.num_bytes,
                    filename_template=template.replace(split=name),
                )
                for name, one in shards.items()
            ]
        )
    )
    # The file that says that records are here comes last, and in one piece.
    with (
        _writing(named or folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=".metadata-") as temporary,
    ):
        info.write_to_directory(temporary)
        found = sorted(Path(temporary).iterdir(), key=lambda p: p.name == "dataset_info.json")
        for path in found:
            path.replace(folder / path.name)


def write_records(
    folder: str | Path,
    chunks: Iterable[Chunk],
    split: str = "train",
    chunks_per_shard: int = 256,
) -> None:
    """Writes a new dataset folder of one split; never half of it.

    Args:
        chunks: written as they come, so that they need not fit into memory.
        chunks_per_shard: records in one ArrayRecord file.
    """
    folder = Path(folder)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", split) or split == "all":
        raise NitrogenError(
            f"split is {split!r}, where letters, digits, - and _ other than all are needed"
        )
    if chunks_per_shard < 1:
        raise NitrogenError(f"chunks_per_shard is {chunks_per_shard}: 1 is the least")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NitrogenError(f"cannot write records to {folder}: it exists and is not empty")
    with atomic_path(folder) as temporary:
        with _writing(folder):
            temporary.mkdir()
        written: list[list[int]] = []
        for part in _parts(map(to_bytes, chunks), chunks_per_shard):
            path = temporary / shard_name(split, len(written))
            written.append(write_file(path, part, folder))
        one = Shards(tuple(map(len, written)), sum(map(sum, written)))
        write_metadata(temporary, {split: one}, "Chunks of recorded play.", folder)


def _parts(items: Iterable[bytes], size: int) -> Iterable[Iterable[bytes]]:
    """Consecutive parts of `size` items; each must be used up before the next is asked for."""
    items = iter(items)
    for first in items:

        def part(first: bytes = first) -> Iterable[bytes]:
            yield first
            for _, item in zip(range(size - 1), items, strict=False):
                yield item

        yield part()
