"""Which address a server may listen on, and who may talk to it there."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving.wire import MOST_BYTES

LOOPBACK = "127.0.0.1"
_LEAST_TOKEN = 16  # characters


@dataclass(frozen=True)
class Door:
    """Where a server listens."""

    address: str = LOOPBACK
    port: int = 0  # 0: any
    token: str | None = None  # that every client must send
    curve: Path | None = None  # folder with server.key_secret and clients/*.key


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check(door: Door) -> None:
    """Refuses to be open to other machines without a lock."""
    if not is_loopback(door.address) and door.token is None and door.curve is None:
        raise NitrogenError(
            f"--bind {door.address} can be reached from other machines: give --curve DIR "
            "(encrypted, for known clients) or --token-file FILE, or leave --bind out and use an "
            "SSH tunnel"
        )
    if not 0 <= door.port < 65536:
        raise NitrogenError(f"--port is {door.port}, where 0 to 65535 is possible")


def listen(context: zmq.Context, kind: int, door: Door) -> tuple[zmq.Socket, str]:
    """A bound socket, and the address that clients connect to."""
    socket = context.socket(kind)
    socket.linger = 1000  # milliseconds for the last replies
    socket.maxmsgsize = MOST_BYTES
    socket.ipv6 = ":" in door.address
    if door.curve is not None:
        socket.curve_publickey, socket.curve_secretkey = _server_keys(door.curve)
        socket.curve_server = True
    host = LOOPBACK if door.address == "localhost" else door.address
    host = f"[{host}]" if ":" in host else host
    try:
        socket.bind(f"tcp://{host}:{door.port or '*'}")
    except zmq.ZMQError as error:
        socket.close(0)
        if error.errno == zmq.EADDRINUSE:
            raise NitrogenError(
                f"port {door.port} of {door.address} is taken: give another --port, 0 for any"
            ) from None
        reason = zmq.strerror(error.errno)
        raise NitrogenError(f"cannot listen on {door.address}:{door.port}: {reason}") from None
    return socket, socket.last_endpoint.decode().rstrip("\0")


def make_keys(folder: Path) -> bool:
    """Makes a server's and one client's keys in an empty or missing folder; False: they exist."""
    if (folder / "server.key_secret").exists():
        return False
    try:
        (folder / "clients").mkdir(parents=True, exist_ok=True)
        for where, name in ((folder, "server"), (folder / "clients", "client")):
            _, secret = zmq.auth.create_certificates(where, name)
            os.chmod(secret, 0o600)
    except OSError as error:
        raise NitrogenError(f"cannot make keys in {folder}: {error.strerror}") from None
    return True


def read_token(path: Path) -> str:
    """The first line of a file."""
    try:
        token = path.read_text(encoding="utf-8").split("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise NitrogenError(f"cannot read the token in {path}: {reason}") from None
    if len(token) < _LEAST_TOKEN:
        raise NitrogenError(
            f"the token in {path} has {len(token)} characters, where at least {_LEAST_TOKEN} are "
            "needed"
        )
    return token


def _server_keys(folder: Path) -> tuple[bytes, bytes]:
    try:
        public, secret = zmq.auth.load_certificate(folder / "server.key_secret")
    except (OSError, ValueError) as error:
        raise NitrogenError(f"cannot read {folder / 'server.key_secret'}: {error}") from None
    if secret is None:
        raise NitrogenError(f"{folder / 'server.key_secret'} holds no secret key")
    return public, secret
