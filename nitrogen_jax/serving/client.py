"""A policy on another process or machine: NumPy, msgpack and ZeroMQ, no JAX.

    with Client("tcp://127.0.0.1:5556", seed=1) as policy:
        chunk = policy.act(frame)  # (18, 25) float32, buttons_first

A request may be repeated without harm, so a broken connection or a server that was started anew is
no error as long as it comes back in time.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

from nitrogen_jax import __version__
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import wire
from nitrogen_jax.serving.facts import Facts, Wanted, listed

log = logging.getLogger(__name__)

DEFAULT_ADDRESS = "tcp://127.0.0.1:5556"


class ServerError(NitrogenError):
    """The server's refusal: its sentence, and `code`."""

    def __init__(self, code: str, sentence: str):
        super().__init__(f"the server says: {sentence}")
        self.code = code


class ServerSilent(NitrogenError):
    """No reply in time."""


class Client:
    """One session of a server; a `Player`. For one thread."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        session: str | None = None,
        seed: int | None = None,
        forbid: Collection[str] = (),
        game: str | None = None,
        token: str | None = None,
        curve: str | Path | None = None,
        timeout: float = 10.0,
        jpeg: int | None = None,
    ):
        """
        Args:
            address: as the server prints it.
            session: a name; None: the server makes one up.
            seed: of the noise; None: the server's.
            forbid: buttons that are never pressed.
            game: one of the policy's games.
            token: of a server that asks for one.
            curve: folder with server.key and client.key_secret, of a server with keys.
            timeout: seconds for any request, repetitions included.
            jpeg: quality 1 to 100 of frames sent as JPEG, which needs OpenCV; None: as they are.
        """
        self.address, self.timeout, self.jpeg = address, timeout, jpeg
        self._hello = {
            "session": session,
            "key": uuid.uuid4().hex,
            "seed": seed,
            "forbid": list(forbid),
            "game": game,
            "token": token,
            "client": __version__,
        }
        self._number, self._row, self._step = 0, 0, -1
        self.timing: dict[str, float] = {}  # of the latest chunk: milliseconds and batch size
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.maxmsgsize = wire.MOST_BYTES
        # A peer that is gone without a word is noticed, and connected to anew.
        self._socket.heartbeat_ivl, self._socket.heartbeat_timeout = 2000, 6000
        self._socket.reconnect_ivl, self._socket.reconnect_ivl_max = 50, 1000
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._connections = 0
        try:
            if curve is not None:
                self._lock(Path(curve))
            self._socket.connect(address)
            self._greet(time.monotonic() + timeout)
        except zmq.ZMQError as error:
            self._close()
            reason = zmq.strerror(error.errno)
            raise NitrogenError(f"cannot connect to {address!r}: {reason}") from None
        except BaseException:
            self._close()
            raise

    # A player -------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> None:
        """Forgets all frames; None keeps the seed."""
        self._hello["seed"] = self._hello["seed"] if seed is None else seed
        self._ask({"type": "reset", "seed": seed})
        self._row, self._step = 0, -1

    def act(
        self,
        frames: Any,
        step: int | None = None,
        known: Wanted | None = None,
        deadline: float | None = None,
    ) -> np.ndarray:
        """The next chunk (T, 25) float32, buttons_first; see `Player`.

        Args:
            deadline: seconds after which the server need not begin any more.
        """
        pictures = listed(frames)
        step = self._step + len(pictures) if step is None else step
        arrays = [("frame", self._packed(one)) for one in pictures]
        if known is not None:
            arrays += [("known", known.actions), ("weights", known.weights)]
        header = {"type": "predict", "step": step, "row": self._row}
        if deadline is not None:
            header["deadline_ms"] = deadline * 1e3
        reply, found = self._ask(header, arrays)
        self._row, self._step = self._row + 1, step
        self.timing = {k: reply[k] for k in ("total_ms", "queue_ms", "infer_ms", "batch")}
        actions = dict(found).get("actions")
        if not isinstance(actions, np.ndarray) or actions.shape != (self.facts.horizon, 25):
            raise NitrogenError("the server's reply holds no chunk of actions")
        return actions.copy()

    # More -----------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """What the server tells about itself and its policy."""
        return self._ask({"type": "info"})[0]["info"]

    def stats(self) -> dict[str, Any]:
        """What the server has counted."""
        return self._ask({"type": "stats"})[0]["stats"]

    def close(self) -> None:
        """Leaves the session, if the server is there, and closes."""
        if self._context.closed:
            return
        self._number += 1
        parts = wire.encode({"type": "bye", "id": self._number})
        self._socket.linger = 200
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError:
            log.debug("nobody to say goodbye to")
        self._close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    # Parts ----------------------------------------------------------------------------------

    def _greet(self, until: float) -> None:
        reply, _ = self._exchange({"type": "hello", **self._hello}, [], until)
        self._hello["session"] = self.session = reply["session"]
        self.facts = Facts.from_dict(reply["facts"])

    def _ask(self, header: dict[str, Any], arrays: wire.Arrays = ()) -> tuple[dict, wire.Arrays]:
        """A request's reply; says hello again where the server has forgotten this client."""
        until = time.monotonic() + self.timeout
        while True:
            try:
                return self._exchange(header, arrays, until)
            except ServerError as error:
                if error.code != "unknown-session":
                    raise
                log.warning(
                    "the server does not know session %r any more: hello again", self.session
                )
                self._greet(until)

    def _exchange(
        self, header: dict[str, Any], arrays: wire.Arrays, until: float
    ) -> tuple[dict[str, Any], wire.Arrays]:
        """Sends until a reply has come; a server that is busy is asked again later."""
        self._number += 1
        parts = wire.encode({**header, "id": self._number}, arrays)
        while True:
            self._send(parts, until)
            reply, found = self._receive(parts, until)
            if reply["type"] != "error":
                return reply, found
            wait = reply.get("retry_ms", 0) / 1e3
            if reply["code"] != "busy" or time.monotonic() + wait >= until:
                raise ServerError(reply["code"], reply["message"])
            time.sleep(wait)

    def _receive(self, parts: list[Any], until: float) -> tuple[dict[str, Any], wire.Arrays]:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while (left := until - time.monotonic()) > 0:
            ready = dict(poller.poll(left * 1e3))
            if self._monitor in ready:
                recv_monitor_message(self._monitor, zmq.NOBLOCK)
                self._connections += 1
                if self._connections > 1:  # what was under way is lost
                    self._send(parts, until)
            if self._socket in ready:
                header, arrays = wire.decode(self._socket.recv_multipart())
                if header.get("v") != wire.VERSION:
                    raise NitrogenError(wire.versions_differ(header.get("v"), "server", "client"))
                # NOTE: replies to requests that were given up, or sent twice, may still come.
                if header.get("id") in (self._number, None):
                    return header, arrays
        raise ServerSilent(f"no reply from {self.address} in {self.timeout:g} s")

    def _send(self, parts: list[Any], until: float) -> None:
        left = max(0.0, until - time.monotonic())
        if not self._socket.poll(left * 1e3, zmq.POLLOUT):
            raise ServerSilent(f"{self.address} takes no message for {self.timeout:g} s")
        self._socket.send_multipart(parts)

    def _packed(self, picture: np.ndarray) -> np.ndarray | bytes:
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
            kind = getattr(picture, "dtype", type(picture).__name__)
            raise NitrogenError(f"frame is of type {kind}, where an array of uint8 is needed")
        if self.jpeg is None:
            return picture
        import cv2

        ordered = picture[..., ::-1] if picture.ndim == 3 else picture
        done, data = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
        if not done:
            raise NitrogenError(f"a frame of shape {picture.shape} cannot be made a JPEG")
        return data.tobytes()

    def _lock(self, folder: Path) -> None:
        try:
            server, _ = zmq.auth.load_certificate(folder / "server.key")
            public, secret = zmq.auth.load_certificate(folder / "client.key_secret")
        except (OSError, ValueError) as error:
            raise NitrogenError(f"cannot read the keys in {folder}: {error}") from None
        self._socket.curve_serverkey = server
        self._socket.curve_publickey, self._socket.curve_secretkey = public, secret

    def _close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        self._context.term()
