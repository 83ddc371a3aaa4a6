"""Checkpoints of processes that are killed, of several processes, and of many devices."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("orbax.checkpoint")

from nitrogen_jax.training.checkpoints import Checkpoints
from nitrogen_jax.training.mesh import make_mesh

CHILD = Path(__file__).with_name("checkpoint_child.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def child():
    """The helper as a module."""
    spec = importlib.util.spec_from_file_location("checkpoint_child", CHILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(devices: int, *arguments: object) -> subprocess.Popen:
    flags = os.environ.get("XLA_FLAGS", "")
    flags += f" --xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        env=environment | {"XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(*processes: subprocess.Popen) -> list[tuple[dict, str]]:
    """What each said in its last line, and its standard error."""
    found = []
    try:
        for process in processes:
            out, error = process.communicate(timeout=120)
            assert process.returncode == 0, error
            found.append((json.loads(out.splitlines()[-1]), error))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return found


# When it is killed, and the checkpoint that there must be afterwards.
MOMENTS = {"started": 1, "writing": 1, "sealing": 1, "naming": 1, "replacing": 2, "removing": 2}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder that each killed process left; see `killed` of the helper."""
    root = tmp_path_factory.mktemp("killed")
    [(ended, error)] = answers(start(1, "killed", root, *MOMENTS))
    assert ended == dict.fromkeys(MOMENTS, -9), error
    return root


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_the_middle_of_a_save(moment, killed, child, caplog):
    folder, mesh = killed / moment, make_mesh()
    left = sorted(path.name for path in folder.iterdir())
    if moment == "started":
        assert "2" not in left
    else:
        assert [name for name in left if name.startswith(".")], "it was not in the middle"
    with Checkpoints(folder, keep=1) as keeper:
        restored = keeper.restore(child.like(mesh))
        assert restored.step == MOMENTS[moment]
        assert restored.metadata == {"of": restored.step}
        assert child.check(restored, mesh)
        # Somebody who only reads leaves everything where it is.
        assert sorted(path.name for path in folder.iterdir()) == left
        assert keeper.save(5, child.items(5, mesh), {}, wait=True)
    assert [path.name for path in folder.iterdir()] == ["5"]
    assert caplog.records == []


@pytest.fixture(scope="module")
def pair(child, tmp_path_factory):
    """Two processes go on with what one has written."""
    folder = tmp_path_factory.mktemp("pair")
    with Checkpoints(folder) as keeper:
        keeper.save(1, child.items(1, make_mesh()), {"by": "one"}, wait=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return folder, answers(*(start(2, "pair", folder, port, process) for process in range(2)))


def test_two_processes_restore_what_one_saved(pair):
    for facts, _ in pair[1]:
        assert (facts["processes"], facts["devices"]) == (2, 4)
        assert facts["restored"] == [1, True, {"by": "one"}]


def test_one_process_restores_what_two_saved(pair, child):
    mesh = make_mesh()
    with Checkpoints(pair[0]) as keeper:
        restored = keeper.restore(child.like(mesh))
    assert (restored.step, restored.metadata) == (2, {"by": "two"})
    assert child.check(restored, mesh)
    table = np.asarray(restored.items["params"]["table"])
    assert np.array_equal(table, child.values(2)["table"])


def test_a_save_that_fails_in_one_process_fails_in_both(pair):
    for facts, _ in pair[1]:
        assert facts["second"] is True
        assert facts["failed"] == [False, 1]
        assert facts["left"] == ["1", "2"]
        assert facts["fourth"] == [True, True, 1]


def test_two_processes_pass_over_the_same_checkpoint(pair):
    for facts, _ in pair[1]:
        assert facts["fallen"] == [2, True]
        assert facts["steps"] == [2]


def test_only_the_first_process_speaks(pair):
    spoken = [
        [line for line in error.splitlines() if not line.startswith("[Gloo]")]
        for _, error in pair[1]
    ]
    assert [line.partition(":")[0] for line in spoken[0]] == ["WARNING", "WARNING"]
    assert "step 3 could not be written" in spoken[0][0]
    assert "another process has not finished its part" in spoken[0][0]
    assert spoken[0][0].endswith("; the last one is of step 2")
    assert "4 is damaged and passed over: its file params/manifest.ocdbt is missing" in spoken[0][1]
    assert spoken[1] == []


def test_a_checkpoint_fits_every_mesh(tmp_path):
    [(facts, error)] = answers(start(8, "meshes", tmp_path))
    assert facts["devices"] == 8
    assert facts["found"] == {"1x8": True, "2x4": True, "8x1": True, "1x1": True}
    assert error == ""
