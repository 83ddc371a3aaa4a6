"""A server in a thread of its own, and peers that speak less politely than a client."""

from __future__ import annotations

import contextlib
import threading

import zmq

from nitrogen_jax.serving import wire
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.desk import Options
from nitrogen_jax.serving.server import Batching, Server


@contextlib.contextmanager
def serving(engine, door=None, options=None, batching=None):
    """A server that serves until the block ends."""
    server, stop = Server(door or Door()), threading.Event()
    arguments = (engine, options or Options(), batching or Batching(most_batch=4, queue=64))
    thread = threading.Thread(target=server.run, args=(*arguments, stop.is_set))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


class Raw:
    """A socket that sends whatever it is given."""

    def __init__(self, address):
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(address)

    def send(self, *parts):
        self.socket.send_multipart(parts)

    def ask(self, header, arrays=()):
        """The reply's header."""
        self.send(*wire.encode(header, arrays))
        return self.read()

    def read(self, seconds=30):
        assert self.socket.poll(seconds * 1000), "no reply"
        return wire.decode(self.socket.recv_multipart())[0]

    def close(self):
        self.socket.close(0)
        self._context.term()

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.close()
