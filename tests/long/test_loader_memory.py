"""The memory of a loader and of its workers over 10,000 batches.

    pytest -m long -s tests/long/test_loader_memory.py

Takes about 6 minutes. What the processes hold in the last tenth of the time must be what they
held in the second: the figures are printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.data.control import Steps

pytest.importorskip("grain")

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import record_sets
from marked_process import Marked

pytestmark = pytest.mark.long

BATCHES, EVERY = 10_000, 50

RUN = f"""
import json, multiprocessing, os, sys
from pathlib import Path
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle

def resident(pid):
    pages = int(Path(f"/proc/{{pid}}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

def shared():
    mark = os.environ["NITROGEN_TEST_MARK"]
    inside = [path.stat() for path in Path("/dev/shm").iterdir() if mark in path.name]
    return sum(stat.st_blocks * 512 for stat in inside)

shuffle = Shuffle(0, window=16, run=16)
config = LoaderConfig((Dataset(sys.argv[1]),), 64, frames=2, size=32, shuffle=shuffle)
with Loader(config, workers=2) as loader:
    for number in range({BATCHES}):
        assert next(loader)["valid"].all()
        if number % {EVERY} == 0:
            workers = [resident(one.pid) for one in multiprocessing.active_children()]
            print(json.dumps([resident(os.getpid()), *sorted(workers), shared()]), flush=True)
"""


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_memory_is_flat(tmp_path, capsys, codec):
    recordings = [
        record_sets.Recording(number, f"v{number}", rows=200, uneven=number % 2 == 1)
        for number in range(12)
    ]
    folder = tmp_path / "set"
    record_sets.write_set(folder, recordings, codec=codec, steps=Steps(horizon=18))
    with Marked(tmp_path, RUN, folder) as run:
        held = np.array([run.line() for _ in range(BATCHES // EVERY)]) / 1e6
        run.end()
        assert not run.named()
    tenth = len(held) // 10
    before, after = held[tenth : 2 * tenth].mean(0), held[-tenth:].mean(0)
    names = ("loader", "worker 1", "worker 2", "shared memory")
    with capsys.disabled():
        for name, one, other in zip(names, before, after, strict=True):
            print(f"\n{codec}, {name}: {one:.1f} MB, then {other:.1f} MB", end="")  # noqa: T201
    assert (np.abs(after - before)[:3] < 4).all()
    assert before[3] == after[3] > 0
