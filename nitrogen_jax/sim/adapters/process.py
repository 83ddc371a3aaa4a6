"""The side of a worker that sits in our process: starts it, asks it, notices when it dies."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim.adapters.workers import wire

WORKERS = Path(wire.__file__).parent
START_S, ANSWER_S, CLOSE_S = 120.0, 60.0, 2.0


class WorkerLost(NitrogenError):
    """A worker died or gave no answer in time; `reason` is "crashed" or "timeout"."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


class Worker:
    """A script of `workers/`, run by a Python of its own; see wire.py for the protocol."""

    def __init__(self, python: str, script: str, *words: str):
        self._name = script
        # NOTE: some emulators make files where they are started.
        self._scratch = tempfile.TemporaryDirectory(prefix="nitrogen-", ignore_cleanup_errors=True)
        self._said = Path(self._scratch.name) / "stderr.txt"
        # NOTE: -B: nothing is written beside the package; -s: no packages of the user's home.
        command = [python, "-B", "-s", str(WORKERS / script), *words]
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,
                    cwd=self._scratch.name,
                    env={**os.environ, wire.SCRATCH: self._scratch.name},
                )
        except OSError as error:
            self._scratch.cleanup()
            raise NitrogenError(f"cannot start {python}: {error.strerror}") from None
        self._started = False

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer; NitrogenError with the worker's own words, WorkerLost if none comes."""
        limit = ANSWER_S if self._started else START_S
        try:
            wire.send(self._process.stdin, request)
            answer = wire.receive(_Timely(self._process.stdout, time.monotonic() + limit))
        except TimeoutError:
            self.close()
            raise WorkerLost(f"{self._name} gave no answer in {limit:g} s", "timeout") from None
        except (OSError, EOFError, ValueError):
            last = self._last_line()
            self.close()
            raise WorkerLost(f"{self._name} ended: {last}", "crashed") from None
        self._started = True
        if "error" in answer:
            raise NitrogenError(f"{self._name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends it, and what it has started; may be called again."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_S)  # its input has ended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._scratch.cleanup()

    def _last_line(self) -> str:
        """What it printed last."""
        try:
            lines = self._said.read_text(errors="replace").split("\n")
        except OSError:
            lines = []
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")[:300]


class _Timely:
    """Reads from a pipe until a point of time, of `time.monotonic`."""

    def __init__(self, pipe, until: float):
        self._pipe, self._until = pipe, until

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            wait = self._until - time.monotonic()
            if wait <= 0 or not select.select([self._pipe], [], [], wait)[0]:
                raise TimeoutError
            part = os.read(self._pipe.fileno(), size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def frame_of(answer: Mapping[str, Any]) -> np.ndarray:
    """The frame of an answer, (h, w, 3) uint8 RGB, checked."""
    height, width = (int(side) for side in answer["shape"])
    data = answer["frame"]
    if len(data) != height * width * 3:
        raise NitrogenError(f"a worker's frame has {len(data)} bytes for {width} x {height} pixels")
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)
