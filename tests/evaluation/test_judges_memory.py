"""What judges are made of: another process's memory, and routes."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.route import Route

MARK = b"a mark that is nowhere else: "
# Writes a number behind the mark, which it puts together so that its own source does not hold it.
PROGRAM = """
import ctypes, sys
mark = bytes(byte ^ 1 for byte in bytes.fromhex(sys.argv[1]))
buffer = ctypes.create_string_buffer(mark + (5).to_bytes(8, "little"))
print(ctypes.addressof(buffer), flush=True)
for line in sys.stdin:
    buffer[len(mark)] = int(line)
    print("done", flush=True)
"""


@pytest.fixture
def process():
    hidden = bytes(byte ^ 1 for byte in MARK).hex()
    command = [sys.executable, "-c", PROGRAM, hidden]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running, int(running.stdout.readline())
        finally:
            running.kill()


def test_memory_of_another_process_is_found_and_read_as_it_changes(process):
    running, address = process
    with Memory(running.pid) as memory:
        assert address in list(memory.find(MARK, memory.regions()))
        number = address + len(MARK)
        assert memory.unpack(number, "<Q") == (5,)
        running.stdin.write("77\n")
        running.stdin.flush()
        assert running.stdout.readline() == "done\n"
        assert memory.pointer(number) == 77


def test_the_programs_own_mappings_are_told_apart(process):
    running, address = process
    with Memory(running.pid) as memory:
        own, everything = memory.program(), memory.regions()
        assert 0 < len(own) < len(everything)
        assert own[0].name == memory.program()[0].name != ""
        assert not any(region.begin <= address < region.end for region in own)


def test_what_cannot_be_read_is_an_error(process):
    running, _ = process
    with Memory(running.pid) as memory, pytest.raises(NitrogenError, match="has no 8 bytes at 0x0"):
        memory.pointer(0)
    with pytest.raises(NitrogenError, match="cannot be read"):
        Memory(2**22 + 1)


NUMBERS = st.floats(-1000, 1000)


def test_who_reaches_the_goal_another_way_has_reached_it():
    walked = Route(((0, 0), (100, 0), (100, 100)), within=10).walk()
    assert walked(0, 60) == 0
    assert walked(95, 100) == 1


def test_a_route_is_done_place_after_place():
    walked = Route(((0, 0), (100, 0), (100, 100)), within=10).walk()
    assert walked(0, 0) == 0
    assert walked(50, 0) == pytest.approx(0.25)
    assert walked(95, 5) > 0.5
    assert walked(100, 60) == pytest.approx(0.8)
    assert walked(0, 0) == pytest.approx(0.8)  # what was done stays done
    assert walked(100, 91) == 1
    assert walked(0, 0) == 1


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=6), st.data())
def test_progress_on_a_route_only_grows_and_is_one_at_its_end(places, data):
    if any(math.dist(*pair) < 30 for pair in itertools.pairwise(places)):
        return
    walked = Route(tuple(places), within=10).walk()
    done = [walked(*data.draw(st.tuples(NUMBERS, NUMBERS))) for _ in range(5)]
    assert all(0 <= one <= 1 for one in done)
    assert done == sorted(done)
    assert [walked(*place) for place in places][-1] == 1
