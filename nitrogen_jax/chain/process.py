"""One command of `nitrogen` in a process of its own: watched, interrupted, never left behind.

While it runs, it tells how far it is through the file that the variable PROGRESS names: what
`terminal.progress` would draw.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nitrogen_jax import terminal
from nitrogen_jax.errors import NitrogenError

POLL_S = 0.2
GRACE_S = 60.0  # that a command has after Ctrl-C, which some use to save
LINES = 12  # of what it printed last, for a message


@dataclass(frozen=True)
class Ran:
    """How a command has ended.

    Attributes:
        code: exit code; -N for signal N.
        cpu: seconds of all processors, of it and of what it has started and waited for.
        interrupted: whether Ctrl-C ended it.
        tail: the last lines that it printed.
    """

    code: int
    cpu: float
    interrupted: bool
    tail: str


def run(
    words: Sequence[str],
    log: Path,
    env: Mapping[str, str],
    tell: Callable[[float | None], None] = lambda share: None,
) -> Ran:
    """Runs `nitrogen WORDS` to its end.

    Args:
        log: a file to which what it prints is added.
        tell: is told several times a second how much is done, 0 to 1; None: nobody knows.
    """
    begun = _children_cpu()
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="nitrogen-") as folder, log.open("ab") as output:
        start, progress = output.tell(), Path(folder) / "progress.json"
        child = subprocess.Popen(
            [sys.executable, "-m", "nitrogen_jax.chain.child", str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**env, terminal.PROGRESS: str(progress)},
            # Ctrl-C of a terminal reaches this process alone, which passes it on once.
            start_new_session=True,
        )
        try:
            while child.poll() is None:
                tell(terminal.read_progress(progress))
                _wait(child, POLL_S)
        except KeyboardInterrupt:
            interrupted = True
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(KeyboardInterrupt):
                _wait(child, GRACE_S)
        finally:
            _kill(child)
    return Ran(child.returncode, _children_cpu() - begun, interrupted, _tail(log, start))


@contextlib.contextmanager
def alone(lock: Path, what: Path) -> Iterator[None]:
    """Refuses a second process in here.

    Args:
        lock: a file that is made and stays.
        what: is protected.
    """
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NitrogenError(
                f"another run works in {what}: wait for its end, or give another --out"
            ) from None
        except OSError:  # a file system that knows no locks
            pass
        yield


def _wait(child: subprocess.Popen, seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def _kill(child: subprocess.Popen) -> None:
    """Ends it, and whatever of its session is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    ends = time.monotonic() + 5
    while time.monotonic() < ends:  # members of the group that are nobody's children any more
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.rstrip().splitlines()[-LINES:])
