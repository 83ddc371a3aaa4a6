"""`nitrogen bench serve`: what batches of a server are worth, over real sockets on loopback."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import zmq

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import wire
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.desk import Options
from nitrogen_jax.serving.engine import Engine
from nitrogen_jax.serving.server import Batching, Server

_PATIENCE = 60  # seconds without any reply after which something is wrong


@dataclass(frozen=True)
class Served:
    """What clients saw of a server that makes batches of at most `batch`."""

    batch: int
    clients: int
    chunks_s: float
    p50_ms: float
    p99_ms: float
    mean_batch: float


def compare(
    engine: Engine, batch: int, clients: int, seconds: float, rounds: int, size: int
) -> list[Served]:
    """One at a time and in batches in turn, so that what disturbs the machine disturbs both.

    Args:
        engine: warmed up.
        batch: requests to a batch at most.
        clients: that ask at once, each again as soon as it is answered.
        seconds: of each measurement.
        rounds: of both; the medians are returned.
        size: pixels a side of the frames that are sent.
    """
    found: dict[int, list[Served]] = {most: [] for most in (1, batch)}
    for _ in range(rounds):
        for most, rows in found.items():
            rows.append(measure(engine, most, clients, seconds, size))
    return [_median(rows) for rows in found.values()]


def measure(engine: Engine, batch: int, clients: int, seconds: float, size: int) -> Served:
    """One server under load."""
    batching = Batching(batch, 0.002 if batch > 1 else 0.0, queue=2 * clients)
    with _serving(engine, batching, clients) as server:
        milliseconds, spent = load(server.address, clients, seconds, size)
        batches = server.metrics.snapshot()["batches"]
    count = sum(batches.values())
    return Served(
        batch,
        clients,
        len(milliseconds) / spent,
        float(np.percentile(milliseconds, 50)),
        float(np.percentile(milliseconds, 99)),
        sum(int(size) * number for size, number in batches.items()) / count,
    )


def load(address: str, clients: int, seconds: float, size: int) -> tuple[list[float], float]:
    """Milliseconds of every reply to `clients` that ask without pause, and the seconds it took."""
    frame = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    context, poller = zmq.Context(), zmq.Poller()
    began: dict[zmq.Socket, float] = {}
    number, milliseconds = 0, []

    def ask(socket: zmq.Socket) -> None:
        nonlocal number
        number += 1
        # NOTE: always the first step, so that no history makes one request unlike another.
        header = {"type": "predict", "id": number, "step": 0, "row": 0}
        began[socket] = time.perf_counter()
        socket.send_multipart(wire.encode(header, [("frame", frame)]))

    def read(socket: zmq.Socket) -> None:
        header, _ = wire.decode(socket.recv_multipart())
        if header["type"] == "error":
            raise NitrogenError(f"the server says: {header['message']}")

    try:
        for _ in range(clients):
            socket = context.socket(zmq.DEALER)
            socket.linger = 0
            socket.connect(address)
            socket.send_multipart(wire.encode({"type": "hello", "id": 0}))
            poller.register(socket, zmq.POLLIN)
            began[socket] = 0.0
        for socket in began:
            read(socket)
        start = time.perf_counter()
        for socket in began:
            ask(socket)
        while (now := time.perf_counter()) < start + seconds:
            ready = poller.poll(_PATIENCE * 1e3)
            if not ready:
                raise NitrogenError(f"the server has not replied for {_PATIENCE} s")
            for socket, _ in ready:
                read(socket)
                milliseconds.append((time.perf_counter() - began[socket]) * 1e3)
                ask(socket)
    finally:
        for socket in began:
            socket.close(0)
        context.term()
    if not milliseconds:
        raise NitrogenError(f"no chunk came in {seconds:g} s: give more --seconds")
    return milliseconds, now - start


@contextlib.contextmanager
def _serving(engine: Engine, batching: Batching, clients: int) -> Iterator[Server]:
    server, stop = Server(Door()), threading.Event()
    options = Options(most_sessions=clients)
    thread = threading.Thread(target=server.run, args=(engine, options, batching, stop.is_set))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()


def _median(rows: list[Served]) -> Served:
    def of(name: str) -> float:
        return float(np.median([getattr(row, name) for row in rows]))

    numbers = (of(name) for name in ("chunks_s", "p50_ms", "p99_ms", "mean_batch"))
    return Served(rows[0].batch, rows[0].clients, *numbers)
