"""Slots of shared memory: taken, filled, freed, and gone in the end."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.data.ring import Ring
from nitrogen_jax.errors import NitrogenError

LAYOUT = {"pictures": ((2, 3, 5), np.uint8), "steps": ((7,), np.float32), "valid": ((3,), bool)}
SMALL = {"values": ((4,), np.uint8)}
SHARED = Path("/dev/shm")


@pytest.fixture
def ring():
    made = Ring(LAYOUT, slots=3)
    yield made
    made.close()


def test_slots_are_taken_until_none_is_left_and_come_back(ring):
    assert [ring.take() for _ in range(4)] == [0, 1, 2, None]
    ring.free(1)
    assert [ring.take(), ring.take()] == [1, None]
    for slot in (2, 0):
        ring.free(slot)
    assert {ring.take(), ring.take()} == {0, 2}


def test_what_one_writes_the_other_reads(ring):
    writer = Ring(LAYOUT, ring.slots, ring.name)
    written = {}
    for _ in range(3):
        slot = writer.take()
        for name, array in writer.arrays(slot).items():
            assert (array.shape, array.dtype) == LAYOUT[name]
            assert array.flags.writeable
            written[slot, name] = np.random.default_rng(slot).integers(0, 2, array.shape)
            array[:] = written[slot, name]
    assert ring.take() is None  # both see what is taken
    for (slot, name), expected in written.items():
        np.testing.assert_array_equal(ring.arrays(slot)[name], expected)
    ring.free(2)
    assert writer.take() == 2
    del array
    writer.close()  # it is not the writer's to delete
    np.testing.assert_array_equal(ring.arrays(0)["steps"], written[0, "steps"])


def test_memory_is_gone_when_it_is_closed():
    ring = Ring(SMALL, slots=2)
    path = SHARED / ring.name
    assert path.stat().st_size >= 4096 + 2 * 4
    ring.close()
    assert not path.exists()
    ring.close()


def test_memory_is_gone_when_nobody_closes_it():
    ring = Ring(SMALL, slots=2)
    other = Ring(SMALL, 2, ring.name)
    path = SHARED / ring.name
    other.close()
    assert path.exists()
    del ring
    gc.collect()
    assert not path.exists()


def test_closing_while_somebody_looks_at_a_slot():
    ring = Ring(SMALL, slots=1)
    path, array = SHARED / ring.name, ring.arrays(ring.take())["values"]
    array[:] = 7
    ring.close()
    assert not path.exists()
    assert array.tolist() == [7] * 4
    del array


def test_memory_that_is_deleted_while_somebody_looks_goes_quietly(monkeypatch):
    """As at Ctrl-C, where the interpreter deletes everything in any order."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    ring = Ring({"x": ((4,), np.uint8)}, 1)
    name, seen = ring.name, ring.arrays(0)["x"]
    del ring
    gc.collect()
    assert told == []
    assert not Path("/dev/shm", name).exists()
    seen[:] = 7  # is there as long as somebody looks
    assert seen.tolist() == [7] * 4


def test_memory_that_is_not_there_is_missed_at_once():
    room = os.statvfs(SHARED)
    before = set(SHARED.iterdir())
    with pytest.raises(NitrogenError, match=r"^shared memory \(/dev/shm\) has no room for .* MB"):
        Ring({"values": ((room.f_blocks * room.f_frsize + 1,), np.uint8)}, slots=1)
    assert not [path for path in set(SHARED.iterdir()) - before if path.stat().st_size > 1 << 30]
