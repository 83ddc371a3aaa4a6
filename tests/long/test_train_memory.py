"""The memory of a training run over 2,000 steps.

    pytest -m long -s tests/long/test_train_memory.py

Takes about 5 minutes. Each run has a process of its own. What it holds in the last tenth of the
steps must be what it held in the fourth, when everything was done once: the figures are printed.
200 steps of the toy are tried among the plain tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("tensorboardX")

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import loop_child as runs

from nitrogen_jax.config import load
from nitrogen_jax.training import loop

# Bytes: a few kilobytes a step, which is less than a batch has. A save leaves some, whatever its
# size: Orbax's threads and the allocator.
MOST = 8e6


def give_back() -> None:
    """Freed memory back to the system: glibc keeps some of each thread for later."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident_before_steps(made, folder: Path, compiled: Path) -> list[int]:
    """(steps,) resident bytes of this process before each step of a run."""
    draw, found = loop._next, []

    def drawn(source, step):
        give_back()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found.append(pages * os.sysconf("SC_PAGE_SIZE"))
        return draw(source, step)

    loop._next = drawn
    with runs.quick(compiled):
        assert loop.train(made, folder, view=False).state == "finished"
    return found


def held(made, folder) -> np.ndarray:
    """(steps,) resident bytes before each step of a run, in a process that does nothing else."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        found = process.submit(resident_before_steps, made, folder, folder.parent / "compiled")
        return np.array(found.result(), float)


def check_flat(name, found, capsys):
    tenth = len(found) // 10
    before, after = found[3 * tenth : 4 * tenth].mean(), found[-tenth:].mean()
    with capsys.disabled():
        print(f"\n{name}: {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB", end="")  # noqa: T201
    tenths = [round(float(part.mean()) / 1e6, 1) for part in np.array_split(found, 10)]
    assert after - before < MOST, tenths


def toy(steps):
    """Batches of 170 kB."""
    return runs.config(
        steps=steps,
        batch=4096,
        log_every=2,
        checkpoints=runs.Keep(every=steps // 4),
        validation=runs.Validation(every=steps // 20, batches=1),
    )


def test_a_short_run_of_the_toy(tmp_path, capsys):
    check_flat("200 steps of the toy", held(toy(200), tmp_path / "run"), capsys)


@pytest.mark.long
def test_the_toy(tmp_path, capsys):
    check_flat("2,000 steps of the toy", held(toy(2000), tmp_path / "run"), capsys)


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, 2])
def test_the_policy(tmp_path, capsys, workers):
    pytest.importorskip("pyarrow")
    import record_sets

    folder = record_sets.write_set(tmp_path / "records", record_sets.RECORDINGS[:4])
    values = [f"--data.records={folder}", "--data.validation=None", f"--data.workers={workers}"]
    made = load(runs.policy_file(tmp_path), [*values, "--steps=2000", "--checkpoints.every=500"])
    made = dataclasses.replace(made, log_every=2)
    found = held(made, tmp_path / "run")
    check_flat(f"2,000 steps of the policy, {workers} workers", found, capsys)
