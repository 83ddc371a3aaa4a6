"""Reads the memory of a game that runs, by /proc/PID; nothing is ever written to it."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from nitrogen_jax.errors import NitrogenError

LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)")
MOST = 1 << 28  # bytes of one mapping that are searched; larger ones are pictures and reserves


@dataclass(frozen=True)
class Region:
    """One mapping.

    Attributes:
        begin, end: addresses.
        rights: such as "rw-p".
        name: path of the file, "[heap]", or "" for one without a name.
    """

    begin: int
    end: int
    rights: str
    name: str


class Memory:
    """The memory of a process; NitrogenError where it cannot be read."""

    def __init__(self, pid: int):
        self.pid = pid
        try:
            self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        except OSError as error:
            raise NitrogenError(
                f"the game's memory, /proc/{pid}/mem, cannot be read ({error.strerror}), which "
                "takes the right to trace one's own processes"
            ) from None

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def bytes(self, address: int, size: int) -> bytes:
        """What stands there; NitrogenError where nothing is."""
        try:
            found = os.pread(self._file, size, address)
        except (OSError, OverflowError, ValueError):
            found = b""
        if len(found) != size:
            raise NitrogenError(f"process {self.pid} has no {size} bytes at {address:#x}")
        return found

    def unpack(self, address: int, form: str) -> tuple:
        """Values there, in the notation of `struct`."""
        return struct.unpack(form, self.bytes(address, struct.calcsize(form)))

    def pointer(self, address: int) -> int:
        """The address that stands there."""
        return self.unpack(address, "<Q")[0]

    def regions(self) -> list[Region]:
        """All mappings, by address."""
        text = Path(f"/proc/{self.pid}/maps").read_text()
        found = (LINE.match(line) for line in text.splitlines())
        return [
            Region(int(m[1], 16), int(m[2], 16), m[3], m[4].strip()) for m in found if m is not None
        ]

    def program(self) -> list[Region]:
        """The mappings of the program itself, with what it keeps beside its file (.bss)."""
        path = os.readlink(f"/proc/{self.pid}/exe")
        own: list[Region] = []
        for region in self.regions():
            beside = own and region.name == "" and region.begin == own[-1].end
            if region.name == path or (beside and "w" in region.rights):
                own.append(region)
        return own

    def find(self, pattern: bytes, regions: list[Region], step: int = 4) -> Iterator[int]:
        """Addresses at which a pattern stands, those that are a multiple of `step`."""
        for region in regions:
            if "r" not in region.rights or region.end - region.begin > MOST:
                continue
            try:
                block = self.bytes(region.begin, region.end - region.begin)
            except NitrogenError:
                continue
            place = block.find(pattern)
            while place >= 0:
                if (region.begin + place) % step == 0:
                    yield region.begin + place
                place = block.find(pattern, place + 1)
