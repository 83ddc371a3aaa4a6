"""Recorded play on disk: a TFDS dataset of ArrayRecord files, written and read without TensorFlow.

One record is a chunk of a video, of 20 seconds at most: some of its frames, and what was pressed
at every one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import ACTION_DIM

NAME, VERSION = "chunks", "1.0.0"
SUFFIX = "array_record"

# NOTE: frames are bytes, because TFDS decodes its Image feature with TensorFlow.
FEATURES = tfds.features.FeaturesDict(
    {
        "video_id": tfds.features.Text(),
        "game": tfds.features.Text(),
        "controller": tfds.features.Text(),
        # NOTE: stored as a number it would lose half of its bits: TFDS files know float32 alone.
        "start_time": tfds.features.Tensor(
            shape=(), dtype=np.float64, encoding=tfds.features.Encoding.BYTES
        ),
        "rate": tfds.features.Scalar(np.float32),
        "frame_stride": tfds.features.Scalar(np.int32),
        "frames": tfds.features.Sequence(tfds.features.Tensor(shape=(), dtype=np.object_)),
        "actions": tfds.features.Tensor(shape=(None, ACTION_DIM), dtype=np.float32),
        "confidence": tfds.features.Tensor(shape=(None,), dtype=np.float32),
    }
)


@dataclass(frozen=True, eq=False)
class Chunk:
    """N consecutive frames of a video: every `frame_stride`-th as a picture, actions of all."""

    video_id: str
    game: str
    controller: str
    start_time: float  # seconds into the video
    rate: float  # frames per second of the video
    frame_stride: int  # picture j is frame j * frame_stride of the chunk
    frames: tuple[bytes, ...]  # JPEG
    actions: np.ndarray  # (N, 25) float32, buttons_first
    confidence: np.ndarray  # (N,) float32, of the actions

    def __post_init__(self):
        steps = len(self.actions)
        wanted = {"actions": (steps, ACTION_DIM), "confidence": (steps,)}
        for name, shape in wanted.items():
            found = getattr(self, name)
            if found.shape != shape or found.dtype != np.float32:
                raise NitrogenError(
                    f"chunk of {self.video_id}: {name} is {found.dtype} {found.shape}, where "
                    f"float32 {shape} is needed"
                )
            if not np.isfinite(found).all():
                raise NitrogenError(f"chunk of {self.video_id}: {name} holds NaN or inf")
        if not (np.isfinite(self.start_time) and 0 < self.rate < np.inf):
            raise NitrogenError(
                f"chunk of {self.video_id}: start_time is {self.start_time} and rate {self.rate}, "
                "where a time in seconds and a positive rate in Hz are needed"
            )
        if self.frame_stride < 1 or (len(self.frames) - 1) * self.frame_stride >= max(steps, 1):
            raise NitrogenError(
                f"chunk of {self.video_id}: {len(self.frames)} pictures at a stride of "
                f"{self.frame_stride} do not lie within its {steps} frames"
            )


class Records(Sequence):
    """The chunks of one split; each is read from disk when asked for."""

    def __init__(self, source: Any):
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Chunk:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        values = self._source[index % len(self)]
        for name in ("video_id", "game", "controller"):
            values[name] = values[name].decode()
        for name, kind in (("start_time", float), ("rate", float), ("frame_stride", int)):
            values[name] = kind(values[name])
        values["frames"] = tuple(bytes(frame) for frame in values["frames"])
        return Chunk(**{field.name: values[field.name] for field in fields(Chunk)})


def write_records(
    folder: str | Path,
    chunks: Iterable[Chunk],
    split: str = "train",
    chunks_per_shard: int = 256,
) -> None:
    """Writes a new dataset folder of one split; never half of it.

    Args:
        chunks: written as they come, so that they need not fit into memory.
        chunks_per_shard: chunks in one ArrayRecord file.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NitrogenError(f"cannot write records to {folder}: it exists and is not empty")
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        info = tfds.core.DatasetInfo(
            builder=tfds.core.dataset_info.DatasetIdentity(
                NAME, tfds.core.Version(VERSION), str(temporary), module_name=__name__
            ),
            features=FEATURES,
            description="Chunks of recorded play.",
        )
        writer = tfds.core.SequentialWriter(info, chunks_per_shard, file_format=SUFFIX)
        writer.initialize_splits([split])
        for chunk in chunks:
            values = {field.name: getattr(chunk, field.name) for field in fields(Chunk)}
            writer.add_examples({split: [{**values, "frames": list(chunk.frames)}]})
        writer.close_all()


def splits(folder: str | Path) -> dict[str, int]:
    """Name of each split -> its number of chunks."""
    return {name: one.num_examples for name, one in sorted(_builder(folder).info.splits.items())}


def read_records(folder: str | Path, split: str = "train") -> Records:
    """One split of a dataset folder; `split` may also be a part such as "train[:100]"."""
    builder = _builder(folder)
    try:
        return Records(builder.as_data_source(split))
    except ValueError:
        known = ", ".join(sorted(builder.info.splits)) or "none"
        raise NitrogenError(
            f"records {folder} have no split {split!r}: they have {known}"
        ) from None


def _builder(folder: str | Path) -> Any:
    folder = Path(folder)
    if not (folder / "dataset_info.json").is_file():
        raise NitrogenError(f"{folder} is not a folder of records: dataset_info.json is not there")
    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # NOTE: of many kinds, among them protobuf's own
        reason = str(error).splitlines()[0]
        raise NitrogenError(f"records {folder} cannot be opened: {reason}") from None
    absent = FEATURES.keys() - builder.info.features.keys()
    if absent:
        raise NitrogenError(f"records {folder} have no feature {', '.join(sorted(absent))}")
    return builder
