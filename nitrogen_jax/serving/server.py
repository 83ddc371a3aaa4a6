"""The server: one thread for messages, one for the sampler.

While the sampler works, requests gather; what has gathered is the next batch. When it is idle, the
first request waits a moment for others. Nothing grows without bound: the queue refuses, and who
does not fetch replies loses them.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq
import zmq.auth.thread

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import binding
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.desk import Desk, Options
from nitrogen_jax.serving.engine import Engine
from nitrogen_jax.serving.metrics import Metrics
from nitrogen_jax.serving.waiting import Request, Waiting

log = logging.getLogger(__name__)

_TURN = 0.2  # seconds after which the loop looks whether it is to stop
_MOST_AT_ONCE = 64  # messages taken in before the sampler's results are looked at


@dataclass(frozen=True)
class Batching:
    """How requests become batches."""

    most_batch: int = 8
    most_wait: float = 0.002  # seconds
    queue: int | None = None  # requests that may wait; None: four batches


@dataclass(frozen=True, eq=False)
class _Done:
    requests: list[Request]
    answers: list[np.ndarray | NitrogenError]
    began: float
    ended: float


class Server:
    """Takes its port when it is made; `run` serves."""

    def __init__(self, door: Door):
        binding.check(door)
        self.metrics, self.state = Metrics(), "starting"
        self._context = zmq.Context()
        self._guard = _guard(self._context, door)
        self._sockets: list[zmq.Socket] = []
        try:
            self._socket, self.address = binding.listen(self._context, zmq.ROUTER, door)
        except NitrogenError:
            self.close()
            raise
        self._woken = self._context.socket(zmq.PULL)
        self._woken.bind("inproc://done")
        self._sockets = [self._socket, self._woken]
        self._tasks: queue.SimpleQueue[list[Request] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._busy = False

    def run(
        self, engine: Engine, options: Options, batching: Batching, stop: Callable[[], bool]
    ) -> None:
        """Serves until `stop` says so; then answers what waits, and closes.

        Args:
            engine: warmed up.
        """
        self._engine = engine
        limit = 4 * batching.most_batch if batching.queue is None else batching.queue
        self._waiting = Waiting(batching.most_batch, batching.most_wait, limit)
        self._desk = Desk(engine.cfg, engine.facts, self._waiting, self.metrics, options)
        worker = threading.Thread(target=self._work, name="sampler", daemon=True)
        worker.start()
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLIN)
        self.state, tidied = "serving", 0.0
        try:
            while True:
                poller.poll(self._patience() * 1e3)
                self._take_in()
                self._give_out()
                self._begin_batch()
                now = time.monotonic()
                if now - tidied > 1:
                    self._desk.tidy(now)
                    tidied = now
                if stop():
                    self.state, self._desk.draining = "ending", True
                    if not self._busy and not len(self._waiting):
                        return
        finally:
            self._tasks.put(None)
            worker.join()
            self.close()

    def close(self) -> None:
        """Closes all sockets; replies that are under way still leave."""
        self.state = "ended"
        for socket in self._sockets:
            socket.close()
        if self._guard is not None:
            self._guard.stop()
            self._guard = None
        self._context.term()

    # The loop's parts -----------------------------------------------------------------------

    def _patience(self) -> float:
        due = None if self._busy else self._waiting.due(time.monotonic())
        return _TURN if due is None else min(_TURN, due)

    def _take_in(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            reply = self._desk.receive(peer, parts, time.monotonic())
            if reply is not None:
                self._send(peer, reply)

    def _give_out(self) -> None:
        while True:
            try:
                self._woken.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            done = self._done.get()
            self._busy = False
            size = len(done.requests)
            self.metrics.batch(size)
            for request, found in zip(done.requests, done.answers, strict=True):
                self._send(
                    request.peer, self._desk.answer(request, found, done.began, done.ended, size)
                )

    def _begin_batch(self) -> None:
        now = time.monotonic()
        if self._busy or self._waiting.due(now) != 0:
            return
        self._waiting.most_batch = min(self._waiting.most_batch, self._engine.largest)
        batch, late = self._waiting.take(now)
        for request in late:
            self._send(request.peer, self._desk.too_late(request))
        if batch:
            self._busy = True
            self._tasks.put(batch)

    def _send(self, peer: bytes, reply: list[Any]) -> None:
        try:
            self._socket.send_multipart([peer, *reply], zmq.NOBLOCK)
        except zmq.ZMQError:  # it does not fetch its replies
            self.metrics.error("not-fetched")

    def _work(self) -> None:
        """The sampler's thread."""
        wake = self._context.socket(zmq.PUSH)
        wake.connect("inproc://done")
        while (requests := self._tasks.get()) is not None:
            began = time.monotonic()
            try:
                answers = self._engine.run([request.question for request in requests])
            except Exception as error:
                log.exception("a batch of %d failed", len(requests))
                known = isinstance(error, NitrogenError)
                sentence = str(error) if known else "the sampler failed; the server's log says why"
                answers = [NitrogenError(sentence)] * len(requests)
            self._done.put(_Done(requests, answers, began, time.monotonic()))
            wake.send(b"")
        wake.close(0)


def _guard(context: zmq.Context, door: Door) -> zmq.auth.thread.ThreadAuthenticator | None:
    """With keys: lets in the clients whose public keys lie in the folder, nobody else."""
    if door.curve is None:
        return None
    guard = zmq.auth.thread.ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve(domain="*", location=str(door.curve / "clients"))
    return guard
