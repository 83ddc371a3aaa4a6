"""Who plays: a baseline, or a policy that a server answers for; without JAX.

A checkpoint is served by the process that runs the evaluation (see `served`), so a worker knows
baselines and addresses alone.
"""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players
from nitrogen_jax.evaluation.rollout import Player, PolicyError, ServerGone
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.serving.client import Client, ServerError, ServerSilent
from nitrogen_jax.serving.facts import Facts, Wanted
from nitrogen_jax.serving.playback import Playback
from nitrogen_jax.sim import catalogue
from nitrogen_jax.sim.pad_env import PadEnv

BASELINE, SERVER, CHECKPOINT = "baseline", "server", "checkpoint"
# Refusals with which no further episode can be played; others are about one question alone.
CLOSED = ("ending", "busy", "unauthorized", "session-taken", "version")
_AGAIN = 0.5  # seconds until a server that is about to end is asked again


def kind_of(word: str) -> str:
    """What a word of the command line means; NitrogenError with the nearest names."""
    if word in players.BASELINES:
        return BASELINE
    if "://" in word:
        return SERVER
    if word.startswith("random:") or Path(word).exists():
        return CHECKPOINT
    near = difflib.get_close_matches(word, players.BASELINES, n=2) or players.BASELINES
    raise NitrogenError(
        f"there is no policy {word!r}: perhaps {', '.join(near)}; a checkpoint's folder or "
        "tcp://host:port of 'nitrogen serve' are others"
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """Whoever plays, as a worker needs it.

    Attributes:
        baseline: its name; None for a policy of a server.
        address: of that server, and what it takes to be let in: `token`, folder `curve`.
        execute: actions that are played of each chunk; None: all.
        control_rate: Hz of the policy's actions; None: nobody knows.
        image_size: pixels a side that the policy looks at.
        patience: seconds for which a server that does not answer is waited for.
    """

    baseline: str | None = None
    address: str = ""
    token: str | None = None
    curve: Path | None = None
    execute: int | None = None
    control_rate: float | None = None
    image_size: int = 256
    patience: float = 60.0

    def frame_skip(self, task: Task) -> int:
        """Frames for which a pad is held: those of the policy's rate, else the task's own."""
        if self.baseline is not None or not self.control_rate:
            return task.frame_skip
        fps = float(task.options.get("fps", catalogue.get(task.game).fps))
        return max(1, round(fps / self.control_rate))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of observations."""
        return self.image_size, self.image_size

    def lacks(self, task: Task) -> str | None:
        """Why this one cannot play a task at all; None where it can."""
        if self.baseline == "expert" and task.expert is None:
            return "there is no expert for it"
        return None

    def player(self, task: Task) -> Player:
        """A player of a task; `close` it where it has that."""
        if self.baseline is not None:
            return players.baseline(task, self.baseline)
        return Remote(self)


def greet(source: Source) -> tuple[Facts, dict[str, Any]]:
    """What a server tells about its policy; NitrogenError where nobody answers there."""
    patience = min(source.patience, 10.0)
    with contextlib.closing(connect(source, patience)) as client:
        return client.facts, client.info()


def connect(source: Source, timeout: float) -> Client:
    """A session of the source's server."""
    return Client(source.address, token=source.token, curve=source.curve, timeout=timeout)


class Remote:
    """Plays what a server says, in the rhythm of `Playback`.

    What comes of one question alone is a `PolicyError`; a server that is not there is waited for,
    and then it is `ServerGone`.
    """

    def __init__(self, source: Source):
        self._source = source
        self._client: Client | None = None
        self._playback: Playback | None = None

    def begin(self, env: PadEnv, info: Mapping[str, Any], seed: int) -> None:
        with _translated():
            if self._client is None:
                self._client = self._connected()
                patient = _Patient(self._client, self._source.patience)
                self._playback = Playback(patient, self._source.execute)
            assert self._playback is not None
            self._playback.reset(seed)

    def step(self, frame: np.ndarray, info: Mapping[str, Any]) -> Pad:
        assert self._playback is not None
        with _translated():
            return self._playback.step(frame)

    def close(self) -> None:
        """Leaves the server."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        try:
            return connect(self._source, self._source.patience)
        except NitrogenError as error:
            raise ServerGone(str(error)) from None


class _Patient:
    """A client that asks a server again which says that it is about to end: another may come."""

    def __init__(self, client: Client, patience: float):
        self.facts, self._client, self._patience = client.facts, client, patience

    def reset(self, seed: int | None = None) -> None:
        self._patiently(lambda: self._client.reset(seed))

    def act(self, frames: Any, step: int | None = None, known: Wanted | None = None) -> np.ndarray:
        return self._patiently(lambda: self._client.act(frames, step, known))

    def _patiently(self, call: Callable[[], Any]) -> Any:
        until = time.monotonic() + self._patience
        while True:
            try:
                return call()
            except ServerError as error:
                if error.code != "ending" or time.monotonic() > until:
                    raise
                time.sleep(_AGAIN)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ServerGone, PolicyError):
        raise
    except ServerSilent as error:
        raise ServerGone(str(error)) from None
    except ServerError as error:
        raise (ServerGone if error.code in CLOSED else PolicyError)(str(error)) from None
    except NitrogenError as error:
        raise PolicyError(str(error)) from None
    except Exception as error:  # a reply that nobody has thought of
        raise PolicyError(f"the server's reply: {type(error).__name__}: {error}") from error
