"""Worker processes: the same batches, and nothing left of them, however they end.

Most of this happens in processes of its own: see `marked_process.py`.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.data.control import Steps
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("grain")
from grain._src.python.ipc import shared_memory_array

from nitrogen_jax.data import loader, records, sample_source
from nitrogen_jax.data.catalogue import Catalogue
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle
from nitrogen_jax.data.ring import Ring

sys.path.insert(0, str(Path(__file__).parent))
import record_sets
from marked_process import Marked, eventually, runs

# NOTE: more actions than a pipe takes at once, and groups of 32 samples.
LONG = Steps(horizon=18)

START = """
import gc, json, multiprocessing, os, signal, sys, threading, time
from pathlib import Path
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle

def named():
    mark = os.environ["NITROGEN_TEST_MARK"]
    return sorted(path.name for path in Path("/dev/shm").iterdir() if mark in path.name)

def loader(**options):
    config = LoaderConfig((Dataset(sys.argv[1]),), batch=64, size=32, shuffle=Shuffle(0, 8, 32))
    return Loader(config, **options)

def tell(**facts):
    print(json.dumps(facts), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    recordings = [
        record_sets.Recording(number, f"v{number}", rows=160, stride=1) for number in range(8)
    ]
    folder = tmp_path_factory.mktemp("processes") / "set"
    return record_sets.write_set(folder, recordings, per_record=40, ahead=20, steps=LONG)


def config(folder, **options):
    values = {"batch": 24, "size": record_sets.SIZE, "shuffle": Shuffle(2, 8, 16)}
    return LoaderConfig((Dataset(str(folder)),), **{**values, **options})


def batches(chosen, count=None, **options):
    with Loader(chosen, **options) as loader:
        return list(islice(loader, count))


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert one[key].dtype == other[key].dtype
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


# ---------------------------------------------------------------------------------------------
# The same batches


def test_batches_do_not_depend_on_the_number_of_workers(folder):
    chosen = config(folder, epochs=1)
    assert_same(batches(chosen, workers=2), batches(chosen))


def test_a_stream_is_taken_up_with_other_workers_hosts_and_batches(folder):
    options = {"frames": 2, "spacing": 3}
    stream = batches(config(folder, **options), 14)
    whole = {key: np.concatenate([batch[key] for batch in stream]) for key in stream[0]}
    position, chosen = 5 * 24, config(folder, batch=14, **options)
    for host in range(2):
        share = {"workers": 1 + host, "host": host, "hosts": 2, "position": position}
        expected = {key: value[position + host :: 2] for key, value in whole.items()}
        assert_same(
            batches(chosen, 12, **share),
            [
                {key: value[at : at + 7] for key, value in expected.items()}
                for at in range(0, 84, 7)
            ],
        )


def test_what_goes_wrong_in_a_worker_is_told_in_a_sentence(folder, tmp_path):
    with (
        Loader(config(folder, size=64), workers=1) as small,
        pytest.raises(NitrogenError, match=r"are 32 pixels high, where size is 64") as caught,
    ):
        next(small)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------
# Nothing is left


CLOSED = """
def children():
    return len(multiprocessing.active_children())

def consume():
    with loader(workers=1) as one:
        for batch in one:
            tell(kinds=sorted({name.startswith("sem.") for name in named()}), children=children())
            raise ValueError("of the consumer")

try:
    consume()
except ValueError as error:
    tell(error=str(error), named=named(), children=children())

two = loader(workers=1)
next(two)
del two
gc.collect()
tell(named=named(), children=children())

three = loader(workers=2)  # never asked for anything
tell(some=len(named()) > 0)
del three
gc.collect()
tell(named=named())

four = loader(workers=1)
next(four)  # and never closed
"""


def test_nothing_is_left_however_a_loader_ends(folder, tmp_path):
    with Marked(tmp_path, START + CLOSED, folder) as run:
        assert run.line() == {"kinds": [False, True], "children": 1}
        assert run.line() == {"error": "of the consumer", "named": [], "children": 0}
        assert run.line() == {"named": [], "children": 0}
        assert run.line() == {"some": True}
        assert run.line() == {"named": []}
        assert run.end() == ""
        assert eventually(lambda: not run.named())


RUNNING = """
one = loader(workers=2)
next(one)
tell(workers=[process.pid for process in multiprocessing.active_children()])
while True:
    next(one)
    time.sleep(0.2)
"""


def test_nothing_is_left_of_a_process_that_is_killed(folder, tmp_path):
    with Marked(tmp_path, START + RUNNING, folder) as run:
        workers = run.line()["workers"]
        assert len(workers) == 2
        assert all(map(runs, workers))
        assert run.named()
        run.process.kill()
        assert eventually(lambda: not any(map(runs, workers)))
        assert eventually(lambda: not run.named())


def test_an_interrupt_ends_everything_and_workers_keep_quiet(folder, tmp_path):
    with Marked(tmp_path, START + RUNNING, folder) as run:
        workers = run.line()["workers"]
        os.killpg(run.process.pid, signal.SIGINT)
        errors = run.end(-signal.SIGINT)
        assert errors.count("Traceback") == 1
        assert errors.splitlines()[-1] == "KeyboardInterrupt"
        assert eventually(lambda: not any(map(runs, workers)))
        assert eventually(lambda: not run.named())


KILLED = """
one = loader(workers=2)
next(one)
time.sleep(2)  # all queues are full, and a worker waits to hand over more
victim = multiprocessing.active_children()[0]
os.kill(victim.pid, signal.SIGKILL)
begin = time.monotonic()
try:
    for _ in range(100):
        next(one)
except ValueError as error:
    tell(kind=type(error).__name__, error=str(error), seconds=time.monotonic() - begin)
try:
    next(one)
except ValueError as error:
    tell(error=str(error))
one.close()
gc.collect()
tell(named=named(), children=len(multiprocessing.active_children()))
"""


def test_a_worker_that_is_killed_is_missed(folder, tmp_path):
    """As when memory runs out; half a message in a pipe would be waited for without end."""
    with Marked(tmp_path, START + KILLED, folder) as run:
        told = run.line()
        assert told["kind"] == "NitrogenError"
        assert "a worker process died, perhaps for want of memory" in told["error"]
        assert "exit code -9" in told["error"]
        assert told["seconds"] < 30
        assert "has been closed, or has failed before" in run.line()["error"]
        assert run.line() == {"named": [], "children": 0}
        run.end()


def test_messages_of_workers_are_written_at_once(folder):
    """A pipe takes up to 4096 bytes whole or not at all. Here no slot is free for the samples."""
    chosen = config(folder, frames=15, spacing=1)
    samples = sample_source.SampleSlice(chosen, 0, 0, 1, 1, loader.GROUP)
    moved = shared_memory_array.copy_to_shm(samples[0], min_size=loader.LARGE)
    try:
        message = pickle.dumps((moved, {"next_index": 1 << 60}, 1 << 60, None, None))
        assert len(message) < 4096 - 200
    finally:
        shared_memory_array.unlink_shm(moved)


def test_samples_for_which_no_slot_is_free_arrive_as_well(folder, monkeypatch):
    chosen, take = config(folder, epochs=1), Ring.take
    alone, asked = batches(chosen), []
    # Without processes: a ring is needed all the same to be full.
    monkeypatch.setattr(
        Ring, "take", lambda ring: asked.append(1) or (len(asked) % 3 and take(ring))
    )
    ring = Ring(sample_source.batch_layout(Catalogue(chosen), 24), slots=7)
    samples = sample_source.SampleSlice(chosen, 0, 0, 1, 1, 24, ((ring.layout, 7, ring.name),))
    elements = (samples[at] for at in range(1 << 60))
    found = list(islice(loader._batches(elements, 1, 24, [ring]), len(alone)))
    assert_same(found, alone)
    assert len(asked) == len(alone)
    ring.close()


# ---------------------------------------------------------------------------------------------
# Surroundings


FLAGS = """
from absl import app, flags
flags.DEFINE_string("colour", "red", "A flag of the program.")

def main(argv):
    one = loader(workers=1)
    with loader() as other:
        same = all((next(one)[key] == next(other)[key]).all() for key in ("frames", "actions"))
    one.close()
    tell(named=named(), children=len(multiprocessing.active_children()))
    tell(same=same, colour=flags.FLAGS.colour, rest=argv[2:], parsed=flags.FLAGS.is_parsed())

if __name__ == "__main__":
    app.run(main)
"""


def test_in_a_program_of_absl(folder, tmp_path):
    with Marked(tmp_path, START + FLAGS, folder, "--colour=blue", "more", script=True) as run:
        assert run.line() == {"named": [], "children": 0}
        told = run.line()
        assert told == {"same": True, "colour": "blue", "rest": ["more"], "parsed": True}
        run.end()


PLAIN = """
with loader(workers=1) as one, loader() as other:
    for _ in range(3):
        a, b = next(one), next(other)
        assert all((a[key] == b[key]).all() for key in a)
        tell(valid=a["valid"].sum().item())
from jax._src import xla_bridge
tell(initialized=xla_bridge.backends_are_initialized(), torch="torch" in sys.modules)
"""


def test_in_a_program_that_parses_no_flags_and_touches_no_device(folder, tmp_path):
    """Nor do workers, which do what a loader without any does. Both tell of a damaged record."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / records.shard_name("train", 0)
    data = bytearray(path.read_bytes())
    data[300:310] = bytes(255 - byte for byte in data[300:310])
    path.write_bytes(data)
    with Marked(tmp_path, START + PLAIN, copy) as run:
        assert 0 < sum(run.line()["valid"] for _ in range(3)) < 3 * 64
        assert run.line() == {"initialized": False, "torch": False}
        errors = run.end().splitlines()
        assert len(errors) >= 2
        assert all("record 0 of" in line and "are left out" in line for line in errors)
