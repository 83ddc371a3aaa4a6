"""A server under 64 clients for a minute, and what its batches are worth.

    pytest -m long -s tests/long/test_server_load.py

Takes about 3 minutes. The figures are printed.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax.bench import serve
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.agent import Agent, make_engine
from nitrogen_jax.serving.client import Client
from nitrogen_jax.weights.policies import load_policy, random_policy

pytestmark = pytest.mark.long

CLIENTS, SECONDS, BATCH, CHUNKS = 64, 60, 16, 4


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def picture(client: int, number: int) -> np.ndarray:
    rng = np.random.default_rng([client, number])
    return rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def server():
    command = [sys.executable, "-m", "nitrogen_jax.cli", "serve", "random:test", "--port", "0"]
    command += ["--max-batch", str(BATCH), "--queue", str(2 * CLIENTS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().split()[1]
    process.terminate()
    assert process.wait(60) == 0


def test_everybody_is_answered_with_their_own(server, capsys):
    process, address = server
    agent = Agent(make_engine(load_policy("random:test")))
    wanted = []
    for client in range(CLIENTS):
        agent.reset(client)
        wanted.append([agent.act(picture(client, number)) for number in range(CHUNKS)])
    problems, milliseconds, memory = [], [], []
    ends = time.monotonic() + SECONDS

    def play(client: int) -> None:
        try:
            pictures = [picture(client, number) for number in range(CHUNKS)]
            with Client(address, seed=client, timeout=60) as policy:
                while time.monotonic() < ends:
                    for number, one in enumerate(pictures):
                        began = time.perf_counter()
                        found = policy.act(one)
                        taken = (time.perf_counter() - began) * 1e3
                        np.testing.assert_allclose(found, wanted[client][number], atol=1e-5)
                        milliseconds.append((taken, policy.timing["infer_ms"]))
                    policy.reset()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=play, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while time.monotonic() < ends:
        time.sleep(1)
        memory.append(resident(process.pid))
    for thread in threads:
        thread.join()
    assert problems == []
    with Client(address) as policy:
        stats = policy.stats()
    times, infer = np.array(milliseconds).T
    p50, p99, one_batch = *np.percentile(times, [50, 99]), np.percentile(infer, 99)
    early, late = (np.median(memory[part]) for part in (slice(5, 15), slice(-10, None)))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(times)} chunks, p50 {p50:.0f} ms, p99 {p99:.0f} ms, a batch {one_batch:.0f} ms"
            f"; memory {early / 2**20:.1f} -> {late / 2**20:.1f} MiB; {stats['batches']}\n"
        )
    assert stats["errors"] == {}
    assert stats["chunks"] == len(times)
    assert p99 <= 3 * p50 + one_batch
    assert late < early + 4 * 2**20


def test_batches_are_worth_it(capsys):
    """A policy whose calls cost more than its numbers, as any does on an accelerator."""
    cfg = dataclasses.replace(policy_preset("test"), horizon=2, euler_steps=32).check()
    engine = make_engine(random_policy(cfg), batch=32)
    engine.warm_up()
    alone, batched = serve.compare(engine, 32, clients=64, seconds=5, rounds=3, size=32)
    with capsys.disabled():
        ratio = batched.chunks_s / alone.chunks_s
        sys.stdout.write(f"\n{alone}\n{batched}\nratio {ratio:.2f}\n")
    assert batched.chunks_s >= 3 * alone.chunks_s
