"""Shared memory that a worker writes pictures into again and again.

A fresh piece of shared memory for each group of samples costs more than decoding does, because
every page of it is made anew. A ring is made once: the worker takes a free slot, the reader frees
it when it has copied what is in it. Where none is free, both do without.
"""

from __future__ import annotations

import contextlib
from multiprocessing import shared_memory

import numpy as np

_PAGE = 4096  # the flags have one of their own


class Ring:
    """Slots of one array each, between one writer and one reader."""

    def __init__(self, shape: tuple[int, ...], slots: int, name: str | None = None):
        """
        Args:
            shape: of the uint8 array in a slot.
            name: of a ring that another process has made; None makes one.
        """
        self.shape, self.slots = shape, slots
        self._size = int(np.prod(shape))
        self._memory = shared_memory.SharedMemory(
            name, create=name is None, size=_PAGE + slots * self._size if name is None else 0
        )
        self.name, self._is_mine = self._memory.name, name is None
        self._full = np.ndarray((slots,), np.uint8, self._memory.buf)
        if self._is_mine:
            self._full[:] = 0

    def take(self) -> int | None:
        """A free slot, which is then the writer's; None if there is none."""
        free = np.flatnonzero(self._full == 0)
        if not len(free):
            return None
        self._full[free[0]] = 1
        return int(free[0])

    def array(self, slot: int) -> np.ndarray:
        """The array in a slot; what is in a free one is left from before."""
        return np.ndarray(self.shape, np.uint8, self._memory.buf, _PAGE + slot * self._size)

    def free(self, slot: int) -> None:
        """Gives a slot back."""
        self._full[slot] = 0

    def close(self) -> None:
        """Forgets the memory; the one who made it deletes it."""
        self._full = None
        with contextlib.suppress(BufferError):  # somebody still looks at a slot
            self._memory.close()
        if self._is_mine:
            with contextlib.suppress(FileNotFoundError):
                self._memory.unlink()
