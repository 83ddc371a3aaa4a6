"""The memory that the controller shares with the game: what shim/layout.h says, for Python.

It is a file without a name, so that nothing is left of it when the last process that uses it ends,
however it ends; the game opens it through the controller's entry in /proc.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nitrogen_jax.sim.errors import LaunchError

MAGIC = 0x6D69736E
VERSION = 1
HEADER = 4096
REAL, SPEED, LOCK = range(3)
BGRA, RGBA = 1, 2
AXES, BUTTONS = 6, 15
# In the order of enum ng_kind.
KINDS = (
    *("none", "SDL2 OpenGL", "SDL2 renderer", "SDL2 surface", "GLX", "EGL"),
    *("SDL1.2 surface", "SDL1.2 OpenGL", "Vulkan"),
)

PAGE = np.dtype(
    [
        ("magic", "u4"),
        ("version", "u4"),
        ("size", "u4"),
        ("mode", "u4"),
        ("capacity", "u8"),
        ("virtual_ns", "u8"),
        ("anchor_real_ns", "u8"),
        ("anchor_virtual_ns", "u8"),
        ("speed", "f8"),
        ("limit_ns", "u8"),
        ("epoch_ns", "u8"),
        ("frame_ns", "u8"),
        ("seed", "u8"),
        ("granted", "u8"),
        ("frames", "u8"),
        ("frame_word", "u4"),
        ("grant_word", "u4"),
        ("parked", "u4"),
        ("attached", "u4"),
        ("game_pid", "i4"),
        ("last_pid", "i4"),
        ("pad_wanted", "u4"),
        ("pad_attached", "u4"),
        ("axes", "i2", (AXES,)),
        ("buttons", "u1", (BUTTONS,)),
        ("unused", "u1", (1,)),
        ("settle", "u4"),
        ("kind", "u4"),
        ("pixel_word", "u4"),
        ("format", "u4"),
        ("bottom_up", "u4"),
        ("width", "u4"),
        ("height", "u4"),
        ("captured_frame", "u8"),
        ("capture_ns", "u8"),
        ("present_ns", "u8"),
        ("clock_reads", "u8"),
        ("sleeps", "u8"),
        ("idle_advances", "u8"),
        ("spin_advances", "u8"),
        ("late_sleepers", "u8"),
        ("timers", "u8"),
        ("pad_polls", "u8"),
        ("too_large", "u8"),
    ],
    align=True,
)

COUNTERS = (
    *("frames", "clock_reads", "sleeps", "idle_advances", "spin_advances", "late_sleepers"),
    *("timers", "pad_polls", "pad_attached", "capture_ns", "present_ns", "too_large", "attached"),
)


class Shared:
    """A mapped page and its pixels.

    Attributes:
        page: structured array () of type PAGE, a view: reading and writing is shared.
        pixels: (capacity,) uint8, a view.
        path: where another process of this user opens the memory.
        base: address of the page, for futexes.
    """

    def __init__(self, capacity: int):
        size = HEADER + capacity
        try:
            self._fd = os.memfd_create("nitrogen-sim", os.MFD_CLOEXEC)
        except OSError as error:
            raise LaunchError(f"no shared memory can be made: {error.strerror}") from None
        try:
            os.ftruncate(self._fd, size)
            # Reserves it: without this, a machine without memory would kill the game later.
            os.posix_fallocate(self._fd, 0, size)
            self._map = mmap.mmap(self._fd, size)
        except OSError as error:
            os.close(self._fd)
            raise LaunchError(
                f"no room for {size / 2**20:.1f} MiB of shared memory, which a frame of the "
                f"display needs: {error.strerror}"
            ) from None
        whole = np.frombuffer(self._map, np.uint8)
        self.page = whole[: PAGE.itemsize].view(PAGE)[0]
        self.pixels = whole[HEADER:]
        self.base = whole.ctypes.data
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        for name, value in (("magic", MAGIC), ("version", VERSION), ("size", HEADER)):
            self.page[name] = value
        self.page["capacity"] = capacity

    def address(self, field: str) -> int:
        """Where a field of the page lies in memory."""
        return self.base + PAGE.fields[field][1]

    def close(self) -> None:
        """Gives the memory back; its views must not be used any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.page = self.pixels = self._map = None


class _Field(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("offset", ctypes.c_size_t),
        ("bytes", ctypes.c_size_t),
        ("count", ctypes.c_size_t),
    )


class Layout(NamedTuple):
    """What a library says of its page; fields: name -> (offset, bytes of one, count)."""

    magic: int
    version: int
    header: int
    size: int
    fields: dict[str, tuple[int, int, int]]


def layout_here() -> Layout:
    """The layout as this file has it."""
    fields = {}
    for name, (kind, offset, *_) in PAGE.fields.items():
        fields[name] = (offset, kind.base.itemsize, int(np.prod(kind.shape, dtype=int)))
    return Layout(MAGIC, VERSION, HEADER, PAGE.itemsize, fields)


def layout_of(library: Path) -> Layout:
    """The layout as the compiled shim has it."""
    try:
        tell = ctypes.CDLL(str(library)).ngsim_layout
    except (OSError, AttributeError) as error:
        raise LaunchError(f"the compiled shim {library} cannot be loaded: {error}") from None
    tell.restype = ctypes.POINTER(_Field)
    numbers = [ctypes.c_uint32() for _ in range(3)]
    rows, fields = tell(*map(ctypes.byref, numbers)), {}
    at = 0
    while rows[at].name is not None:
        fields[rows[at].name.decode()] = (rows[at].offset, rows[at].bytes, rows[at].count)
        at += 1
    return Layout(*(number.value for number in numbers), rows[at].offset, fields)


@functools.lru_cache(maxsize=4)
def check_layout(library: Path) -> None:
    """Refuses a compiled shim that understands the page in another way than this file."""
    here, there = layout_here(), layout_of(library)
    if here == there:
        return
    wrong = [
        name
        for name in {**here.fields, **there.fields}
        if here.fields.get(name) != there.fields.get(name)
    ]
    raise LaunchError(
        f"the compiled shim {library} has another layout of the shared memory than "
        f"{Path(__file__).name} (version {there.version} and {here.version}; they differ in "
        f"{', '.join(wrong) or 'magic or size'}): delete it, and it is compiled again"
    )
