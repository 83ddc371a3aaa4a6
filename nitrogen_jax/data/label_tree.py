"""Many chunks: the label tree as folders, or as the tarballs of its shards, in one pass.

    actions/SHARD_xxxx/<video_id>/<video_id>_chunk_xxxx/{actions_raw.parquet,
        actions_processed.parquet (optional), metadata.json}

A tarball is streamed and never unpacked: the members of a chunk lie together in it, in any order.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_fields, labels
from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.data.label_tables import ChunkActions, Kind
from nitrogen_jax.data.label_tarball import (
    LIMITS,
    TARBALLS,
    ChunkRef,
    Fault,
    RawChunk,
    Tarball,
    stem,
)
from nitrogen_jax.data.labels import ChunkMeta
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path

__all__ = [
    "ChunkRef",
    "Fault",
    "LabelTree",
    "RawChunk",
    "chunk_folder",
    "open_tree",
    "read_chunk",
    "read_metadata",
    "write_chunk",
]

MAX_DEPTH = 4  # folders below the one that was given


@dataclass
class LabelTree:
    """Chunks of one tree.

    Attributes:
        entries: files and folders at the top, sorted.
        faults: what the latest scan met that is no part of a chunk or could not be listed.
        alone: a tarball is read although its shard lies unpacked beside it.
    """

    entries: tuple[Path, ...]
    alone: bool = False
    faults: list[Fault] = field(default_factory=list)

    def scan(
        self,
        videos: Collection[str] | None = None,
        tables: bool = True,
        advance: Callable[[float], None] = lambda amount: None,
    ) -> Iterator[RawChunk]:
        """Every chunk once, in the sorted order of folders and tarballs.

        Args:
            videos: only chunks in the folders of these videos.
            tables: False leaves the tables in tarballs unread, which is faster.
            advance: is told the progress, in the unit of `size`.
        """
        self.faults.clear()
        in_bytes = self.size_unit == "bytes"
        for unit in self._units():
            if _is_tarball(unit):
                yield from Tarball(unit, self.faults, videos, tables, advance).chunks()
            elif videos is None or _names(unit)[1] in videos:
                yield self._folder(unit)
            if not in_bytes:
                advance(1)

    @functools.cached_property
    def size_unit(self) -> str:
        """What `size` counts: "bytes" of tarballs where there are any, else "chunks"."""
        return "bytes" if any(_is_tarball(unit) for unit in self._shallow()) else "chunks"

    def size(self) -> int:
        """How much a scan goes through, for progress bars."""
        units = LabelTree(self.entries, self.alone)._units()  # its faults are not this one's
        if self.size_unit == "chunks":
            return sum(1 for _ in units)
        return sum(unit.stat().st_size for unit in units if _is_tarball(unit))

    def parts(self) -> list[LabelTree]:
        """The same chunks as trees that can be scanned by different processes."""
        return [LabelTree((entry,), self.alone) for entry in self.entries]

    def _shallow(self) -> Iterator[Path]:
        """Files where tarballs may be: beside shards or one level below."""
        for entry in self.entries:
            yield entry
            if os.path.isdir(entry) and not _is_chunk(entry):
                yield from _listed(entry) or ()

    def _units(self) -> Iterator[Path]:
        """Folders of chunks, and tarballs."""
        for entry in self.entries:
            yield from self._walk(entry, MAX_DEPTH)

    def _walk(self, path: Path, depth: int) -> Iterator[Path]:
        where = shown(path)
        if path.name.startswith(".") or not os.path.isdir(path):
            if not _is_tarball(path) or path.name.startswith("."):
                self._unexpected(where)
            elif not self.alone and os.path.isdir(path.with_name(stem(path.name))):
                unpacked = path.with_name(stem(path.name))
                message = f"{where} is not read because {shown(unpacked)} lies beside it"
                self.faults.append(Fault(where, "shard_twice", message))
            else:
                yield path
        elif _is_chunk(path):
            yield path
        elif not depth:
            self._unexpected(where)
        else:
            children = _listed(path)
            if children is None:
                self.faults.append(Fault(where, "unreadable", f"{where} cannot be listed"))
            elif not children:
                self.faults.append(Fault(where, "empty_folder", f"{where} holds no chunk"))
            for child in children or ():
                yield from self._walk(child, depth - 1)

    def _folder(self, path: Path) -> RawChunk:
        where, files = shown(path), {}
        children = _listed(path)
        if children is None:
            self.faults.append(Fault(where, "unreadable", f"{where} cannot be listed"))
        for child in children or ():
            if child.name in LIMITS:
                files[child.name] = functools.partial(_read_file, child)
            else:
                self._unexpected(shown(child))
        return RawChunk(ChunkRef(*_names(path), where), files)

    def _unexpected(self, where: str) -> None:
        message = f"{where} does not belong in a label tree"
        self.faults.append(Fault(where, "unexpected_file", message))


def open_tree(path: str | os.PathLike[str]) -> LabelTree:
    """A label tree; NitrogenError where there is no chunk at all.

    Args:
        path: the folder that holds actions/, or actions/ itself, a shard's or a video's folder, a
            folder of tarballs, or one tarball.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise NitrogenError(f"label tree {shown(path)} does not exist")
    if not os.path.isdir(path):
        if not _is_tarball(path):
            raise NitrogenError(
                f"label tree {shown(path)} is neither a folder nor a {', '.join(TARBALLS)} file"
            )
        tree = LabelTree((path,), alone=True)
    else:
        # NOTE: the name of a video's folder is needed even where "." was given.
        path = path.resolve() if path.name in ("", "..") else path
        start = path / "actions" if os.path.isdir(path / "actions") else path
        tree = LabelTree((start,) if _is_chunk(start) else tuple(_listed(start) or ()))
    empty = next(tree.scan(tables=False), None) is None
    unread = any(fault.cause in ("unreadable", "shard_unreadable") for fault in tree.faults)
    tree.faults.clear()
    if empty and not unread:
        raise NitrogenError(
            f"label tree {shown(path)} holds no chunk: actions/SHARD_xxxx/<video>/"
            f"<video>_chunk_xxxx/{labels.METADATA}, or tarballs of shards, are needed"
        )
    return tree


def _is_chunk(path: Path) -> bool:
    if path.name.startswith(f"{path.parent.name}_chunk_"):
        return True
    return any(os.path.exists(path / name) for name in LIMITS)


def _names(path: Path) -> tuple[str, str, str]:
    """Shard, video and chunk of a chunk's folder, which may have been given by a relative path."""
    shard, video, chunk = ("", "", *Path(os.path.abspath(path)).parts)[-3:]
    return shard, video, chunk


def _is_tarball(path: Path) -> bool:
    # NOTE: os.path says False, where pathlib raises, of what may not be looked at.
    return path.name.endswith(TARBALLS) and os.path.isfile(path)


def _listed(folder: Path) -> list[Path] | None:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return None


def _read_file(path: Path) -> bytes:
    where, limit = shown(path), LIMITS[path.name]
    if not os.path.isfile(path):  # a pipe would keep us waiting
        raise LabelError(f"{where} is not a file that can be read", "unreadable")
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise LabelError(f"{where} cannot be read: {error.strerror}", "unreadable") from None
    if len(data) > limit:
        raise LabelError(f"{where} has more than the {limit} bytes that are read", "too_large")
    return data


# ---------------------------------------------------------------------------------------------
# One chunk of it


def read_chunk(
    raw: RawChunk, prefer: Kind = "processed", fallback: bool = True
) -> tuple[ChunkMeta, ChunkActions]:
    """A chunk's metadata and actions; LabelError if it cannot be used.

    Args:
        prefer: which table.
        fallback: take the other table where the preferred one does not exist.
    """
    meta = read_metadata(raw)
    other: Kind = "raw" if prefer == "processed" else "processed"
    for kind in (prefer, other) if fallback else (prefer,):
        name = labels.TABLES[kind]
        if name in raw.files:
            where = f"{raw.ref.where}/{name}"
            return meta, labels.parse_actions(raw.files[name](), meta.chunk_size, where, kind)
    names = " nor ".join(labels.TABLES.values()) if fallback else labels.TABLES[prefer]
    raise LabelError(f"{raw.ref.where} has no {names}", "no_table")


def read_metadata(raw: RawChunk) -> ChunkMeta:
    """A chunk's metadata alone; LabelError if it cannot be used."""
    where = f"{raw.ref.where}/{labels.METADATA}"
    if labels.METADATA not in raw.files:
        raise LabelError(f"{where} is missing", "no_metadata")
    return labels.parse_metadata(raw.files[labels.METADATA](), where, raw.ref.video_id)


def write_chunk(
    root: str | os.PathLike[str],
    meta: ChunkMeta,
    actions: np.ndarray,
    *,
    shard: str = "SHARD_0000",
    processed: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Writes one chunk below root/actions, whole or not at all; its folder.

    Args:
        actions: (chunk_size, 25) as they were seen, for actions_raw.
        processed: (chunk_size, 25) for actions_processed, which is left out without.
        confidence: (chunk_size,) for both.
        more: fields of metadata.json that are not of the format; readers pass them over.
    """
    tables: dict[Kind, np.ndarray] = {"raw": actions}
    if processed is not None:
        tables["processed"] = processed
    for kind, table in tables.items():
        if np.shape(table) != (meta.chunk_size, gamepad.ACTION_DIM):
            raise NitrogenError(
                f"{kind} actions have shape {np.shape(table)}, where chunk_size needs "
                f"({meta.chunk_size}, {gamepad.ACTION_DIM})"
            )
    try:
        content = {**(more or {}), **labels.metadata_to_json(meta)}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise NitrogenError(f"metadata of chunk {meta.chunk_id}: {error}") from None
    name = label_fields.check_name(chunk_folder(meta), "the chunk's folder")
    video_id = label_fields.check_name(meta.video.video_id, "video_id")
    folder = Path(root) / "actions" / label_fields.check_name(shard, "shard") / video_id / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / labels.METADATA).write_bytes(text)
        for kind, table in tables.items():
            data = labels.actions_to_parquet(table, confidence)
            (temporary / labels.TABLES[kind]).write_bytes(data)
    return folder


def chunk_folder(meta: ChunkMeta) -> str:
    """The name of a chunk's folder: `<video_id>_chunk_<chunk_id>`, numbers with four digits."""
    prefix, chunk_id = f"{meta.video.video_id}_chunk_", meta.chunk_id
    if chunk_id.startswith(prefix):
        return chunk_id
    is_number = chunk_id.isascii() and chunk_id.isdigit()
    return prefix + (chunk_id.zfill(4) if is_number else chunk_id)
