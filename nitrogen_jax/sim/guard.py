"""A process below the guard, which kills it and all its children when this process ends.

The guard (shim/guard.c) is the parent of what is started: it adopts orphans, tells when the program
ends, and cleans up when it is told to, or when the controller dies in whatever way.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nitrogen_jax.sim.build import Built
from nitrogen_jax.sim.errors import LaunchError

# s that the guard gets for killing everything; what the kernel holds longer is left to it.
END_S = 10.0


class Guarded:
    """A program that runs below a guard of its own.

    Attributes:
        pid: of the program.
        code: its exit code once it has ended (-N: signal N), else None.
        gone: no process of it is left, not even a child that outlived it.
    """

    def __init__(
        self,
        built: Built,
        program: Path,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        output: int,
        home: Path | None = None,
        grace: float = 0.0,
        fixed_addresses: bool = False,
        pass_fds: Sequence[int] = (),
    ):
        """
        Args:
            output: file descriptor that takes standard output and error.
            home: a folder that the guard removes at the end.
            grace: s between asking the program to end and killing it; 0 kills at once.
            fixed_addresses: no randomisation of addresses.
            pass_fds: more descriptors that the program inherits.
        """
        self.code: int | None = None
        self.gone = False
        self.pid = 0
        self._failed = 0
        self._home, self._rest, self._owner = home, b"", os.getpid()
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        os.set_blocking(self._status, False)
        words = [str(os.getpid()), str(control), str(status), str(home or "-")]
        words += [str(int(grace * 1000)), str(int(fixed_addresses)), str(program), *argv]
        try:
            self._guard = subprocess.Popen(
                [str(built.guard), *words],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(control, status, *pass_fds),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._control)
            os.close(self._status)
            raise LaunchError(f"cannot start {program}: {error}") from None
        finally:
            os.close(control)
            os.close(status)
        try:
            self._await_start(program)
        except BaseException:  # Ctrl-C as well
            self.close()
            raise

    def poll(self, timeout: float = 0.0) -> None:
        """Takes up what the guard has told, waiting for it at most `timeout` s."""
        while self._status >= 0:
            if timeout:
                wait_readable(self._status, timeout)
            try:
                text = os.read(self._status, 4096)
            except BlockingIOError:
                return
            if not text:  # the guard itself is dead, and by its death the program is, too
                os.close(self._status)
                self._status, self.gone = -1, True
                return
            *lines, self._rest = (self._rest + text).split(b"\n")
            for line in lines:
                self._take_up(line.decode())
            timeout = 0.0

    def close(self) -> None:
        """Kills whatever is left, waits for it, and removes the folder."""
        if self._control < 0:
            return
        control, self._control = self._control, -1
        if self._owner == os.getpid():
            with contextlib.suppress(OSError):
                os.write(control, b"q")
            try:
                self._guard.wait(END_S)
            except subprocess.TimeoutExpired:
                self._guard.send_signal(signal.SIGKILL)
                self._guard.wait()
            self.poll()
            self.gone = True
            if self._home is not None:
                shutil.rmtree(self._home, ignore_errors=True)
        os.close(control)
        if self._status >= 0:
            os.close(self._status)
            self._status = -1

    def _take_up(self, line: str) -> None:
        word, _, number = line.partition(" ")
        if word == "pid":
            self.pid = int(number)
        elif word == "fail":
            self._failed = int(number)
        elif word == "exit":
            self.code = int(number)
        elif word == "gone":
            self.gone = True

    def _await_start(self, program: Path) -> None:
        until = time.monotonic() + END_S
        while not self.pid and not self.gone and time.monotonic() < until:
            self.poll(0.5)
        if not self.pid:
            raise LaunchError(f"cannot start {program}: the guard process died")

    def start_error(self) -> str | None:
        """Why the program could not be executed, in the system's words; else None."""
        return os.strerror(self._failed) if self._failed else None


def wait_readable(file: int, seconds: float) -> bool:
    """Waits until there is something to read, or the end; any descriptor, however large."""
    poller = select.poll()
    poller.register(file, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
