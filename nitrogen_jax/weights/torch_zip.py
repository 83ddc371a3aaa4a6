"""Finds the entries of a PyTorch checkpoint in its zip archive, as views of the mapped file.

Python's `zipfile` would copy every entry, and take as much memory as a file says it needs, so it
reads only the table of entries here. What the table says is held against the file itself before a
byte is used; only entries that were compressed are copied. The sentences about a faulty file live
here too, as the archive is the first to meet one.
"""

from __future__ import annotations

import io
import mmap
import os
import struct
import zipfile
import zlib

import numpy as np

# Bounds on what a file may ask for. Real checkpoints stay far below; a hostile file meets them
# before it has used a gigabyte of memory.
MAX_PICKLE = 64 << 20  # bytes of data.pkl
_MAX_DIRECTORY = 16 << 20  # bytes of the zip's table of entries
_MAX_INFLATED = (4, 64 << 20)  # compressed entries: this many times the file's size, plus bytes

_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
FITS = "expected a zip checkpoint as torch.save has written since PyTorch 1.6"


class Problem(Exception):
    """What is wrong with the file, as the rest of a sentence that starts with its path."""


def damaged(what: str) -> Problem:
    return Problem(f"is damaged: {what}; download or save it again")


def refused(what: str) -> Problem:
    return Problem(f"is refused: the checkpoint {what}; nothing was run")


def shown(name: str) -> str:
    """A name out of the file, safe to print: no control characters, no megabytes."""
    return ascii(name[:100])[1:-1]


class _Capped(io.FileIO):
    """The file as `zipfile` sees it: no length declared in it makes one read take gigabytes."""

    def read(self, size: int | None = -1) -> bytes:
        rest = os.fstat(self.fileno()).st_size - self.tell()
        size = rest if size is None or size < 0 else min(size, rest)
        if size > _MAX_DIRECTORY:
            raise damaged("its table of entries is too large")
        return super().read(size)


class Archive:
    """The entries of one checkpoint, by their name below the root folder of the archive."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if os.path.isdir(path):
            raise Problem(f"is a folder: {FITS}")
        if not os.path.isfile(path):
            raise Problem(f"does not exist or is no plain file: {FITS}")
        with _Capped(path) as file:
            _check_start(file.read(64))
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            try:
                infos = zipfile.ZipFile(file).infolist()
            except (zipfile.BadZipFile, struct.error) as cause:
                raise damaged("its end, with the table of entries, is missing or broken") from cause
        infos = {info.filename: info for info in infos}
        roots = [name[: -len("data.pkl")] for name in infos if name.endswith("/data.pkl")]
        roots = [root for root in roots if root.count("/") == 1]
        if len(roots) != 1:
            raise Problem(f"is a zip archive with {len(roots)} data.pkl in it, not one: {FITS}")
        (self.root,) = roots
        self.infos = infos
        self.buffers: dict[str, np.ndarray] = {}
        factor, spare = _MAX_INFLATED
        self.may_inflate = factor * len(self.map) + spare
        order = self.bytes("byteorder") if self.root + "byteorder" in infos else b"little"
        if order == b"big":
            raise Problem("was written on a big-endian machine: save it on a little-endian one")
        if order != b"little":
            raise damaged("its byteorder is neither little nor big")

    def bytes(self, name: str) -> bytes:
        info = self.infos.get(self.root + name)
        if info is not None and info.file_size > MAX_PICKLE:
            raise refused(f"has a {name} of more than {MAX_PICKLE >> 20} MiB")
        return self.buffer(name).tobytes()

    def buffer(self, name: str) -> np.ndarray:
        """The entry's bytes, uint8 of shape (size,), read-only; NOTE: its CRC is not checked,
        which would read every byte of a file that is otherwise only mapped."""
        if name not in self.buffers:
            self.buffers[name] = self._find(name)
        return self.buffers[name]

    def _find(self, name: str) -> np.ndarray:
        info = self.infos.get(self.root + name)
        if info is None:
            raise damaged(f"it has no entry {shown(self.root + name)}")
        at = info.header_offset
        local = self.map[at : at + 30] if at >= 0 else b""
        if len(local) < 30 or local[:4] != b"PK\x03\x04" or info.flag_bits & 1:
            raise damaged(f"its entry {shown(name)} is not where the table says, or is encrypted")
        # The local header repeats name and extra field with lengths of its own (alignment).
        start = at + 30 + sum(struct.unpack("<HH", local[26:30]))
        end = start + info.compress_size
        if end > len(self.map):
            raise damaged(f"its entry {shown(name)} is cut off")
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return np.frombuffer(self._inflate(info, start, end), np.uint8)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise damaged(f"its entry {shown(name)} is packed in a way torch.save never uses")
        if start == end:
            return np.frombuffer(b"", np.uint8)
        return np.frombuffer(self.map, np.uint8, count=end - start, offset=start)

    def _inflate(self, info: zipfile.ZipInfo, start: int, end: int) -> bytes:
        self.may_inflate -= info.file_size
        if self.may_inflate < 0:
            raise refused("unpacks to far more than its own size")
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        with memoryview(self.map) as view, view[start:end] as packed:
            # One byte more than declared is asked for, so that a longer entry shows itself.
            data = unpacker.decompress(packed, info.file_size + 1)
        if len(data) != info.file_size or not unpacker.eof:
            raise damaged(f"its entry {shown(info.filename)} has not the declared size")
        return data


def _check_start(head: bytes) -> None:
    """Tells the files that people mistake for a zip checkpoint apart by their first bytes."""
    if not head:
        raise Problem(f"is empty: {FITS}")
    if head.startswith(b"version https://git-lfs"):
        raise Problem("is only a Git LFS pointer: fetch the file it stands for (git lfs pull)")
    if head.startswith(_LEGACY_MAGIC) or head[:1] == b"\x80":
        raise Problem(f"has the old format from before PyTorch 1.6 or is a bare pickle: {FITS}")
    if not head.startswith(b"PK\x03\x04"):
        raise Problem(f"is not a PyTorch checkpoint: {FITS}")
