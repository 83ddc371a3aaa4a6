"""What a server answers to a message: sessions, checks, refusals. No sockets, no threads, no clock.

A session belongs to the client that named it and is known again by that client's key, so that a
client whose connection broke goes on with it, and nobody else does.
"""

from __future__ import annotations

import dataclasses
import hmac
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nitrogen_jax import __version__, gamepad
from nitrogen_jax.data import images
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.serving import wire
from nitrogen_jax.serving.facts import Facts, Wanted
from nitrogen_jax.serving.metrics import Metrics
from nitrogen_jax.serving.session import Session
from nitrogen_jax.serving.waiting import Request, Waiting

log = logging.getLogger(__name__)

MOST_FRAMES = 64  # of one request
MOST_WAITING = 4  # requests of one session in the queue
_MOST_NUMBER = 2**53
_MOST_NAME = 64
_MOST_SIDE = 16384  # pixels of a picture


@dataclass(frozen=True)
class Options:
    """What the operator of a server decides."""

    seed: int = 0  # of sessions that bring none
    forbidden: frozenset[str] = frozenset()  # buttons that are pressed in no session
    game: int = 0  # row of the game embedding for sessions that name none
    games: Mapping[str, int] = field(default_factory=dict)  # that a session may name
    token: str | None = None
    most_sessions: int = 256
    session_timeout: float = 60.0  # seconds of silence after which a session may be given up
    about: Mapping[str, Any] = field(default_factory=dict)  # plain data for `info`


@dataclass(eq=False)
class _Seat:
    """A session and whose it is."""

    session: Session
    key: str
    peer: bytes
    seen: float


class _Refused(Exception):
    """A request that is answered by an error."""

    def __init__(self, code: str, sentence: str, **more: Any):
        super().__init__(sentence)
        self.code, self.more = code, more


class Desk:
    """Takes messages, answers at once or lets them wait for the sampler."""

    def __init__(
        self, cfg: PolicyConfig, facts: Facts, waiting: Waiting, metrics: Metrics, options: Options
    ):
        self.cfg, self.facts, self.options = cfg, facts, options
        self.waiting, self.metrics = waiting, metrics
        self.draining = False  # the server is about to end and takes no more work
        self._seats: dict[str, _Seat] = {}
        self._peers: dict[bytes, str] = {}  # whose messages belong to which session
        self._made = 0

    def receive(self, peer: bytes, parts: wire.Parts, now: float) -> list[Any] | None:
        """The reply to a message, None where it waits.

        Args:
            peer: who sent it, as the socket knows it.
            now: seconds of a monotonic clock.
        """
        number = None
        try:
            if len(parts) > wire.MOST_PARTS:
                raise NitrogenError(f"the message has {len(parts)} parts")
            header, arrays = wire.decode(parts)
            number = header.get("id") if isinstance(header.get("id"), int) else None
            if header.get("v") != wire.VERSION:
                sentence = wire.versions_differ(header.get("v"), "client", "server")
                raise _Refused("version", sentence)
            if number is None or not 0 <= number < _MOST_NUMBER:
                raise NitrogenError("the message has no id, where a whole number is needed")
            kind = wire.field(header, "type", str, "")
            answers: dict[str, Callable[..., Mapping[str, Any] | None]] = {
                "hello": self._hello,
                "reset": self._reset,
                "predict": self._predict,
                "info": self._info,
                "stats": self._stats,
                "bye": self._bye,
            }
            if kind not in answers:
                raise NitrogenError(f"type is {kind!r:.40}, where {', '.join(answers)} are known")
            self.metrics.request(kind)
            reply = answers[kind](peer, number, header, arrays, now)
            return None if reply is None else wire.encode({"type": kind, "id": number, **reply})
        except _Refused as error:
            return self._error(number, error.code, str(error), **error.more)
        except NitrogenError as error:
            return self._error(number, "bad-message", str(error))
        except Exception:  # one client's message must not end everybody's server
            log.exception("a message could not be handled")
            return self._error(number, "internal", "the server failed; its log says why")

    def answer(
        self,
        request: Request,
        found: np.ndarray | NitrogenError,
        began: float,
        now: float,
        size: int,
    ) -> list[Any]:
        """The reply to a request that has been through the sampler.

        Args:
            began: when its batch did.
            size: of the batch.
        """
        if isinstance(found, NitrogenError):
            return self._error(request.number, "failed", str(found))
        seconds = {
            "total": now - request.arrived,
            "queue": began - request.arrived,
            "infer": now - began,
        }
        self.metrics.chunk(**seconds)
        times = {f"{part}_ms": value * 1e3 for part, value in seconds.items()}
        reply = {"type": "predict", "id": request.number, "batch": size, **times}
        return wire.encode(reply, [("actions", found)])

    def too_late(self, request: Request) -> list[Any]:
        """The reply to a request whose deadline passed while it waited."""
        return self._error(
            request.number, "deadline", "the deadline passed while the request waited for its turn"
        )

    def tidy(self, now: float) -> None:
        """Gives up sessions that have been silent for long."""
        old = now - self.options.session_timeout
        for name in [name for name, seat in self._seats.items() if seat.seen < old]:
            self._leave(name)
        self.metrics.gauge(sessions=len(self._seats), queue=len(self.waiting))

    # Requests -------------------------------------------------------------------------------

    def _hello(self, peer, number, header, arrays, now) -> Mapping[str, Any]:
        if self.options.token is not None:
            given = wire.field(header, "token", str, "")
            if not hmac.compare_digest(given.encode(), self.options.token.encode()):
                raise _Refused(
                    "unauthorized", "this server needs a token, and another one was sent"
                )
        name, key = wire.field(header, "session", str, ""), wire.field(header, "key", str, "")
        if len(name) > _MOST_NAME or len(key) > _MOST_NAME or not (name or "-").isprintable():
            raise NitrogenError(f"session and key may have {_MOST_NAME} printable characters")
        name = name or self._new_name()
        seat = self._seats.get(name)
        before = self._peers.get(peer)
        if before is not None and before != name:
            self._leave(before)
        resumed = (
            seat is not None and bool(key) and hmac.compare_digest(key.encode(), seat.key.encode())
        )
        if resumed:
            self._peers.pop(seat.peer, None)
            seat.peer = peer
        else:
            if seat is not None and seat.seen >= now - self.options.session_timeout:
                raise _Refused(
                    "session-taken",
                    f"session {name!r} belongs to another client: give another name, or wait "
                    f"{self.options.session_timeout:g} s after that client's last request",
                )
            if seat is None and len(self._seats) >= self.options.most_sessions:
                raise _Refused(
                    "busy", f"the server has {len(self._seats)} sessions, its limit", retry_ms=1000
                )
            seat = _Seat(self._new_session(header), key, peer, now)
            if name in self._seats:
                self._leave(name)
        seat.seen = now
        self._seats[name], self._peers[peer] = seat, name
        facts = dataclasses.asdict(self.facts)
        return {"session": name, "resumed": resumed, "facts": facts, "server": __version__}

    def _reset(self, peer, number, header, arrays, now) -> Mapping[str, Any]:
        self._seat(peer, now).session.reset(wire.field(header, "seed", int))
        return {}

    def _predict(self, peer, number, header, arrays, now) -> None:
        seat = self._seat(peer, now)
        if self.draining:
            raise _Refused("ending", "the server is about to end and takes no more requests")
        name = self._peers[peer]
        if self.waiting.full or self.waiting.of(name) >= MOST_WAITING:
            raise _Refused(
                "busy", f"{len(self.waiting)} requests wait already, the limit", retry_ms=20
            )
        step, row = (_count(header, key) for key in ("step", "row"))
        deadline = wire.field(header, "deadline_ms", (int, float), math.inf)
        if not deadline > 0:
            raise NitrogenError(f"deadline_ms is {deadline}, where more than 0 is needed")
        known = self._known(dict(arrays))
        frames = [_picture(one) for key, one in arrays if key == "frame"]
        if not 1 <= len(frames) <= MOST_FRAMES:
            raise NitrogenError(
                f"the request has {len(frames)} frames, where 1 to {MOST_FRAMES} are possible"
            )
        try:
            question = seat.session.prepare(frames, step, row, known)
        except NitrogenError as error:
            raise _Refused("bad-frame", str(error)) from None
        self.waiting.add(Request(peer, number, name, question, now, now + deadline / 1e3))

    def _info(self, peer, number, header, arrays, now) -> Mapping[str, Any]:
        self._seat(peer, now)
        facts = dataclasses.asdict(self.facts)
        return {"info": {**self.options.about, **facts, "server": __version__}}

    def _stats(self, peer, number, header, arrays, now) -> Mapping[str, Any]:
        self._seat(peer, now)
        self.tidy(now)
        return {"stats": self.metrics.snapshot()}

    def _bye(self, peer, number, header, arrays, now) -> Mapping[str, Any]:
        self._seat(peer, now)
        self._leave(self._peers[peer])
        return {}

    # Parts ----------------------------------------------------------------------------------

    def _new_name(self) -> str:
        self._made += 1
        while f"session-{self._made}" in self._seats:
            self._made += 1
        return f"session-{self._made}"

    def _new_session(self, header: Mapping[str, Any]) -> Session:
        names = wire.field(header, "forbid", list, [])
        if not all(isinstance(name, str) for name in names):
            raise NitrogenError("forbid is not a list of names")
        forbidden = gamepad.button_set(names) | self.options.forbidden
        game, wanted = self.options.game, wire.field(header, "game", str)
        if wanted is not None:
            if wanted not in self.options.games:
                known = ", ".join(sorted(self.options.games)) or "no game by name"
                raise NitrogenError(f"game {wanted!r:.60} is not known: the policy knows {known}")
            game = self.options.games[wanted]
        seed = wire.field(header, "seed", int, self.options.seed)
        return Session(self.cfg, seed, forbidden, game)

    def _seat(self, peer: bytes, now: float) -> _Seat:
        if peer not in self._peers:
            raise _Refused("unknown-session", "this connection has no session: say hello first")
        seat = self._seats[self._peers[peer]]
        seat.seen = now
        return seat

    def _leave(self, name: str) -> None:
        self._peers.pop(self._seats.pop(name).peer, None)

    def _known(self, arrays: Mapping[str, Any]) -> Wanted | None:
        if "known" not in arrays:
            return None
        if not self.facts.inpaint:
            raise NitrogenError(
                "this server was started without --realtime: it takes no known actions"
            )
        found = [arrays.get(name) for name in ("known", "weights")]
        shape = (self.facts.horizon, gamepad.ACTION_DIM)
        for one in found:
            if not isinstance(one, np.ndarray) or one.shape != shape or one.dtype != np.float32:
                raise NitrogenError(f"known actions and weights must both be float32 {shape}")
            if not np.isfinite(one).all():
                raise NitrogenError("known actions hold NaN or inf")
        if found[1].min() < 0 or found[1].max() > 1:
            raise NitrogenError("weights of known actions must be 0 to 1")
        return Wanted(*found)

    def _error(self, number: int | None, code: str, sentence: str, **more: Any) -> list[Any]:
        self.metrics.error(code)
        return wire.encode(
            {"type": "error", "id": number, "code": code, "message": sentence, **more}
        )


def _count(header: Mapping[str, Any], name: str) -> int | None:
    value = wire.field(header, name, int)
    if value is not None and not 0 <= value < _MOST_NUMBER:
        raise NitrogenError(f"{name} is {value}, where 0 or more is needed")
    return value


def _picture(data: np.ndarray | bytes) -> np.ndarray:
    shape = data.shape if isinstance(data, np.ndarray) else wire.jpeg_size(data)
    if max(shape, default=0) > _MOST_SIDE or math.prod(shape[:2]) > wire.MOST_PIXELS:
        raise NitrogenError(f"a frame has shape {shape}, which is too large")
    if isinstance(data, np.ndarray):
        return data
    picture = images.decode(data)
    if picture is None:
        raise NitrogenError("a frame is announced as JPEG and cannot be decoded")
    return picture
