"""Shared memory that a worker writes groups of samples into again and again.

A fresh piece of shared memory for each group costs more than decoding does, because every page of
it is made anew. A ring is made once: the worker takes a free slot, the reader frees it when it has
copied what is in it. Where none is free, both do without.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Mapping
from multiprocessing import shared_memory

import numpy as np
from numpy.typing import DTypeLike

from nitrogen_jax.errors import NitrogenError

_PAGE = 4096  # the flags have one of their own, and slots begin at one


class _Memory(shared_memory.SharedMemory):
    """Shared memory that goes quietly while somebody still looks at a slot.

    The interpreter closes it when it is deleted, for example at Ctrl-C, and would tell of pictures
    that somebody holds on to; the memory goes with the last of them.
    """

    def close(self) -> None:
        with contextlib.suppress(BufferError):
            super().close()


Layout = Mapping[str, tuple[tuple[int, ...], DTypeLike]]  # name -> shape, type


class Ring:
    """Slots of some arrays each, between one writer and one reader."""

    def __init__(self, layout: Layout, slots: int, name: str | None = None):
        """
        Args:
            layout: of the arrays in a slot.
            name: of a ring that another process has made; None makes one.
        """
        self.layout, self.slots = dict(layout), slots
        self._begins: dict[str, int] = {}
        size = 0
        for array, (shape, dtype) in self.layout.items():
            self._begins[array] = size
            size += -(-int(np.prod(shape)) * np.dtype(dtype).itemsize // 64) * 64
        self._size = -(-size // _PAGE) * _PAGE
        size = _PAGE + slots * self._size
        self._memory = _allocate(size) if name is None else _Memory(name)
        self.name, self._is_mine = self._memory.name, name is None
        if self._is_mine:  # new memory is all zeros: every slot is free
            # Also where nobody closes it: the memory would outlive the process.
            self._delete = weakref.finalize(self, _unlink, self._memory)

    def take(self) -> int | None:
        """A free slot, which is then the writer's; None if there is none."""
        full = self._view(0, (self.slots,), np.uint8)
        free = np.flatnonzero(full == 0)
        if not len(free):
            return None
        full[free[0]] = 1
        return int(free[0])

    def arrays(self, slot: int) -> dict[str, np.ndarray]:
        """The arrays in a slot; what is in a free one is left from before."""
        first = _PAGE + slot * self._size
        return {
            name: self._view(first + self._begins[name], shape, dtype)
            for name, (shape, dtype) in self.layout.items()
        }

    def free(self, slot: int) -> None:
        """Gives a slot back."""
        self._view(0, (self.slots,), np.uint8)[slot] = 0

    def close(self) -> None:
        """Forgets the memory; the one who made it deletes it."""
        self._memory.close()
        if self._is_mine:
            self._delete()

    def _view(self, begin: int, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        # NOTE: np.ndarray(buffer=...) would not keep the memory from being unmapped.
        count = int(np.prod(shape))
        return np.frombuffer(self._memory.buf, dtype, count, begin).reshape(shape)


def _allocate(size: int) -> _Memory:
    memory = None
    try:
        memory = _Memory(create=True, size=size)
        # NOTE: where there is no room, the first one to write would be killed instead.
        os.posix_fallocate(memory._fd, 0, size)
    except OSError as error:
        if memory is not None:
            memory.close()
            memory.unlink()
        raise NitrogenError(
            f"shared memory (/dev/shm) has no room for {size / 1e6:,.0f} MB more "
            f"({error.strerror}): give it more (docker run --shm-size=8g), or load with fewer "
            "workers or smaller batches"
        ) from None
    return memory


def _unlink(memory: shared_memory.SharedMemory) -> None:
    with contextlib.suppress(FileNotFoundError):
        memory.unlink()
