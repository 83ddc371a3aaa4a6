"""A server that speaks the wire and says what a test wants, also what a policy must not say."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import zmq

from nitrogen_jax.gamepad import neutral
from nitrogen_jax.serving import wire
from nitrogen_jax.serving.facts import Facts

FACTS = Facts(horizon=6, action_shift=1, frames=1, frame_spacing=1, image_size=64)


class FakeServer:
    """Serves until it is closed; `chunk(seed, step)` makes the actions (T, 25)."""

    def __init__(self, chunk=None, port=0, facts=FACTS):
        self.chunk, self.facts = chunk or (lambda seed, step: neutral(facts.horizon)), facts
        self.asked = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.port = int(self.address.rpartition(":")[2])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """As a server that is killed: nothing is said any more."""
        self._stop.set()
        self._thread.join(10)
        self._socket.close(0)
        self._context.term()

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.close()

    def _serve(self):
        seeds = {}
        while not self._stop.is_set():
            if not self._socket.poll(50):
                continue
            peer, *parts = self._socket.recv_multipart()
            header, _ = wire.decode(parts)
            reply, arrays = {"type": header["type"], "id": header["id"]}, []
            if header["type"] == "hello":
                seeds[peer] = header["seed"]
                reply |= {"session": "s", "facts": dataclasses.asdict(self.facts)}
            elif header["type"] == "reset":
                seeds[peer] = header["seed"]
            elif header["type"] == "info":
                reply["info"] = {"policy": "fake"}
            elif header["type"] == "predict":
                self.asked += 1
                said = self.chunk(seeds.get(peer), header["step"])
                if isinstance(said, str):  # a refusal: its code
                    reply |= {"type": "error", "code": said, "message": f"it is {said}"}
                else:
                    reply |= dict.fromkeys(("total_ms", "queue_ms", "infer_ms"), 1.0)
                    reply["batch"], arrays = 1, [("actions", np.asarray(said, np.float32))]
            self._socket.send_multipart([peer, *wire.encode(reply, arrays)])
