"""The chunks of a label tree that a person looks at, and how they are told from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tables, labels, video
from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.data.label_tree import LabelTree, RawChunk, read_metadata
from nitrogen_jax.data.labels import ChunkMeta, Kind
from nitrogen_jax.errors import NitrogenError

BUTTONS = tuple(gamepad.COLUMNS.values())


@dataclass(frozen=True, eq=False)
class Reviewed:
    """One chunk as it is shown to a person.

    Attributes:
        video_id: the name of its video's folder.
        chunk_id: the name of its folder.
        tree: the fingerprint of the chunks of its video.
        table: SHA-256 of the table's bytes.
        kind: which table: the one that was seen, where there is one.
        pressed: (N, 17) bool, in the order of `BUTTONS`.
        left, right: (N, 2) float32 in -1..1.
        confidence: (N,) float32 in 0..1; None where the table has none.
    """

    video_id: str
    chunk_id: str
    tree: str
    table: str
    kind: Kind
    meta: ChunkMeta
    pressed: np.ndarray
    left: np.ndarray
    right: np.ndarray
    confidence: np.ndarray | None


def select(
    tree: LabelTree, video_id: str | None = None, number: int | None = None
) -> dict[str, list[RawChunk]]:
    """Video -> all its chunks, of the videos that have a chunk to review.

    Args:
        video_id: only this one.
        number: only videos that have the chunk of this number, see `is_number`.
    """
    found: dict[str, list[RawChunk]] = {}
    for raw in tree.scan(videos=None if video_id is None else {video_id}):
        if video_id in (None, raw.ref.video_id):
            found.setdefault(raw.ref.video_id, []).append(raw)
    if video_id is not None and not found:
        raise NitrogenError(f"the tree holds no chunk of video {shown(video_id)!r:.80}")
    if number is None:
        return found
    kept = {name: raws for name, raws in found.items() if any(is_number(r, number) for r in raws)}
    if not kept:
        of = f" of video {shown(video_id)}" if video_id is not None else ""
        raise NitrogenError(f"the tree holds no chunk {number}{of}")
    return kept


def is_number(raw: RawChunk, number: int) -> bool:
    """Whether it is chunk `number` of its video: `<video>_chunk_0012` is chunk 12."""
    end = raw.ref.name.rpartition("_chunk_")[2]
    return end.isascii() and end.isdigit() and int(end) == number


def fingerprint(raws: Iterable[RawChunk]) -> str:
    """SHA-256 over names and metadata of a video's chunks: the same as long as they are.

    Corrections change none of it, and neither do chunks of other videos.
    """
    digest = hashlib.sha256()
    for raw in sorted(raws, key=lambda raw: (raw.ref.shard, raw.ref.name)):
        metadata = raw.files[labels.METADATA]() if labels.METADATA in raw.files else b""
        for part in (raw.ref.shard, raw.ref.video_id, raw.ref.name):
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(hashlib.sha256(metadata).digest())
    return digest.hexdigest()


def seen_table(raw: RawChunk) -> Kind:
    """The table that is compared with the picture; the other one where it is alone."""
    for kind in ("raw", "processed"):
        if labels.TABLES[kind] in raw.files:
            return kind
    raise LabelError(f"{raw.ref.where} has no {' nor '.join(labels.TABLES.values())}", "no_table")


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read(raw: RawChunk, tree: str) -> Reviewed:
    """A chunk with its table; LabelError if it cannot be used.

    Args:
        tree: the fingerprint of its video's chunks.
    """
    meta, kind = read_metadata(raw), seen_table(raw)
    data, where = raw.files[labels.TABLES[kind]](), f"{raw.ref.where}/{labels.TABLES[kind]}"
    read = labels.parse_actions(data, meta.chunk_size, where, kind)
    names = label_tables.open_table(data, where).schema_arrow.names
    buttons, left, right = gamepad.unpack(read.actions)
    return Reviewed(
        video_id=raw.ref.video_id,
        chunk_id=raw.ref.name,
        tree=tree,
        table=sha256(data),
        kind=kind,
        meta=meta,
        pressed=buttons[:, [gamepad.BUTTON_INDEX[name] for name in BUTTONS]] > 0.5,
        left=left,
        right=right,
        confidence=read.confidence if label_tables.CONFIDENCE in names else None,
    )


def find_video(folder: Path, video_id: str) -> Path | None:
    """The file `<video_id>.<ext>` of a folder, None where there is none."""
    for suffix in (*video.SUFFIXES, *map(str.upper, video.SUFFIXES)):
        # NOTE: ids are names of folders of the tree, which hold no slash.
        path = folder / f"{video_id}{suffix}"
        if path.is_file():
            return path
    return None


def least_certain(confidence: Sequence[float], apart: int, most: int = 200) -> list[int]:
    """Rows by rising confidence, none within `apart` rows of an earlier one; certain ones never."""
    confidence = np.asarray(confidence)
    free = confidence < 1
    found: list[int] = []
    # NOTE: a stable sort, so that of equally uncertain rows the first comes first.
    for row in np.argsort(confidence, kind="stable").tolist():
        if free[row]:
            found.append(row)
            free[max(row - apart, 0) : row + apart + 1] = False
            if len(found) == most:
                break
    return found
