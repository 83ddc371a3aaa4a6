"""A label tree's shard as a tarball: its chunks in one pass, without unpacking."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.data.label_tables import TABLES
from nitrogen_jax.data.labels import METADATA

TARBALLS = (".tar.gz", ".tgz", ".tar")
# The most that is read of a file, in bytes.
LIMITS: Mapping[str, int] = {
    METADATA: 1 << 20,
    TABLES["raw"]: 1 << 26,
    TABLES["processed"]: 1 << 26,
}
MAX_HEADER = 1 << 20  # bytes of a tarball's extended header
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, LookupError, RuntimeError)


class Fault(NamedTuple):
    """Something in a tree that is not a part of a chunk, or could not be read at all."""

    where: str
    cause: str
    message: str


@dataclass(frozen=True)
class ChunkRef:
    """Where a chunk is.

    Attributes:
        shard: the folder's or the tarball's name, such as "SHARD_0000".
        video_id: the name of the video's folder.
        name: the name of the chunk's folder.
        where: its path for messages; "x.tar.gz:actions/..." in a tarball.
    """

    shard: str
    video_id: str
    name: str
    where: str


@dataclass(frozen=True)
class RawChunk:
    """A chunk's files: name -> read() its bytes, which raises LabelError."""

    ref: ChunkRef
    files: Mapping[str, Callable[[], bytes]]


def stem(name: str) -> str:
    """A tarball's name without its endings."""
    return next((name.removesuffix(end) for end in TARBALLS if name.endswith(end)), name)


class _Header(tarfile.TarInfo):
    """A header that does not take damage for the end of the tarball, as tarfile itself does."""

    @classmethod
    def fromtarfile(cls, tar):
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    @classmethod
    def frombuf(cls, *arguments):
        found = super().frombuf(*arguments)
        if found.size < 0 or not (found.isreg() or found.isdir() or found.size <= MAX_HEADER):
            raise tarfile.ReadError("a header states an impossible size")
        return found


class Tarball:
    """One pass through a tarball."""

    def __init__(
        self,
        path: Path,
        faults: list[Fault],
        videos: Collection[str] | None,
        tables: bool,
        advance: Callable[[float], None],
    ):
        self.path, self.faults, self.advance = path, faults, advance
        self.videos, self.tables = videos, tables
        self.told = 0  # bytes of progress
        self.ended = False  # all members were met

    def chunks(self) -> Iterator[RawChunk]:
        """Chunks in the order in which their members come."""
        before: set[PurePosixPath | None] = set()
        folder: PurePosixPath | None = None
        files: dict[str, Callable[[], bytes]] = {}
        again = False
        for path, read in self._members():
            if path.parent != folder:
                if files:
                    yield self._chunk(folder, files)
                before.add(folder)
                folder, files = path.parent, {}
                again = folder in before
            if again:
                what = "comes after members of other chunks and is not read"
                self._fault(path, "member_scattered", what)
                continue
            if path.name in files:
                self._fault(path, "member_twice", "is there more than once: the last is read")
            files[path.name] = read
        # NOTE: after damage the last one may lack the better of its tables.
        if files and (self.ended or len(files) == len(LIMITS)):
            yield self._chunk(folder, files)

    def _chunk(self, folder: PurePosixPath, files: dict[str, Callable[[], bytes]]) -> RawChunk:
        shard = folder.parent.parent.name or stem(self.path.name)
        where = shown(f"{self.path}:{folder}")
        return RawChunk(ChunkRef(shard, folder.parent.name, folder.name, where), files)

    def _members(self) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
        """The members that are a chunk's files: where they are and how to get at their bytes."""
        try:
            with open(self.path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                with gzip.open(file) if packed else file as stream:
                    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as tar:
                        while (member := tar.next()) is not None:
                            tar.members.clear()  # or it would remember all of them
                            found = self._member(tar, member)
                            self._tell(file.tell())
                            if found is not None:
                                yield found
                        self.ended = True
                    while stream.read(1 << 20):  # gzip's checksum is at the end
                        pass
        except _BROKEN as error:
            where, reason = shown(self.path), shown(error) or type(error).__name__
            message = f"{where} cannot be read to its end: {reason}"
            self.faults.append(Fault(where, "shard_unreadable", message))
        with contextlib.suppress(OSError):
            self._tell(os.path.getsize(self.path))

    def _member(self, tar: tarfile.TarFile, member: tarfile.TarInfo):
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            return self._fault(path, "member_unsafe", "points out of the tarball and is not read")
        if member.isdir():
            return None
        if not member.isreg():
            what = "is neither a file nor a folder and is not read"
            return self._fault(path, "member_unsafe", what)
        if path.name not in LIMITS or len(path.parts) < 3:
            return self._fault(path, "unexpected_file", "does not belong in a label tree")
        if self.videos is not None and path.parts[-3] not in self.videos:
            return None
        if member.size > LIMITS[path.name]:
            what = f"has {member.size} bytes, where {LIMITS[path.name]} are the most that is read"
            self._fault(path, "too_large", what)
            return path, functools.partial(_refuse, shown(f"{self.path}:{path}"), what, "too_large")
        if not (self.tables or path.name == METADATA):
            what = "was left unread: scan with tables=True"
            return path, functools.partial(_refuse, shown(f"{self.path}:{path}"), what, "unread")
        data = tar.extractfile(member).read()
        return path, lambda: data

    def _fault(self, path: PurePosixPath, cause: str, what: str) -> None:
        where = shown(f"{self.path}:{path}")
        self.faults.append(Fault(where, cause, f"{where} {what}"))

    def _tell(self, position: int) -> None:
        self.advance(position - self.told)
        self.told = position


def _refuse(where: str, what: str, cause: str) -> bytes:
    raise LabelError(f"{where} {what}", cause)
