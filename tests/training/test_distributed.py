"""Real processes over loopback: they meet, compute together, part; and what happens if they don't.

Each has a Python of its own, because JAX can be initialised only once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import time

import pytest

pytest.importorskip("jax")

TOGETHER = """
import logging, sys
from nitrogen_jax.training import cluster, distributed
logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
me = int(sys.argv[2])
distributed.initialize(cluster.Flags(sys.argv[1], 2, me), timeout=60)
import jax, jax.numpy as jnp
assert (jax.process_count(), jax.process_index()) == (2, me)
assert distributed.is_main() == distributed.only_main_logs() == (me == 0)
logging.getLogger("x").info("progress of %d", me)
logging.getLogger("x").warning("trouble of %d", me)
mesh = jax.make_mesh((len(jax.devices()),), ("data",))
split = jax.NamedSharding(mesh, jax.P("data"))
mine = jnp.full((jax.local_device_count(),), me + 1.0)
whole = jax.make_array_from_process_local_data(split, mine)
add = lambda x: jax.lax.psum(x, "data")
total = jax.jit(jax.shard_map(add, mesh=mesh, in_specs=jax.P("data"), out_specs=jax.P()))(whole)
print("sum", float(total[0]), "of", len(jax.devices()), flush=True)
print("sum", float(total[0]), "of", len(jax.devices()), file=sys.stderr)
distributed.shutdown()
"""

LATE = """
import sys
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import cluster, distributed
try:
    distributed.initialize(cluster.Flags(sys.argv[1], 2, int(sys.argv[2])), timeout=2)
except NitrogenError as error:
    sys.exit(f"sentence: {error}")
"""

ALONE = """
from nitrogen_jax.training import distributed
assert distributed.initialize() is None
import jax
assert not jax.distributed.is_initialized() and distributed.only_main_logs()
distributed.shutdown()
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_processes_compute_together(run_python):
    coordinator = f"127.0.0.1:{free_port()}"
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(run_python, "-c", TOGETHER, coordinator, str(me), timeout=100)
            for me in (1, 0)
        ]
        second, first = (call.result() for call in calls)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    devices = int(first.stdout.split()[-1])
    assert devices >= 2
    assert f"sum 3.0 of {devices}" in first.stdout
    assert f"sum 3.0 of {devices}" in second.stderr  # it computed the same
    assert second.stdout == ""
    assert "INFO: progress of 0" in first.stderr
    assert "progress of 1" not in second.stderr
    assert "process 1: WARNING: trouble of 1" in second.stderr
    assert time.monotonic() - start < 60


def test_a_coordinator_that_does_not_answer(run_python):
    ended = run_python("-c", LATE, f"127.0.0.1:{free_port()}", "1", timeout=60)
    assert ended.returncode == 1
    assert "sentence: process 1 cannot reach the coordinator at 127.0.0.1:" in ended.stderr
    assert "within 2 s" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_others_that_do_not_come(run_python):
    ended = run_python("-c", LATE, f"127.0.0.1:{free_port()}", "0", timeout=60)
    assert ended.returncode == 1
    assert "but not all 2 processes came" in ended.stderr


def test_a_port_that_is_taken(run_python):
    with contextlib.closing(socket.socket()) as server:
        server.bind(("", 0))  # on all addresses, as the coordinator would
        server.listen()
        where = f"127.0.0.1:{server.getsockname()[1]}"
        ended = run_python("-c", LATE, where, "0", timeout=60)
    assert ended.returncode == 1
    assert f"sentence: process 0 cannot listen at {where} (from flags)" in ended.stderr


@pytest.mark.parametrize("launcher", ["none", "slurm batch script"])
def test_one_process_does_not_wait(run_python, launcher):
    slurm = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    env = slurm if launcher != "none" else {}
    ended = run_python("-c", ALONE, timeout=60, **env)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """The machine that runs the tests may itself be part of one."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "TPU_WORKER", "JAX_COORDINATOR", "JAX_NUM_PROC")):
            monkeypatch.delenv(name)
