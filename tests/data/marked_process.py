"""Processes whose shared memory can be told from that of other programs in /dev/shm.

The names of their pieces of shared memory and of their semaphores, and of those of the processes
that they start, carry a mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

SHARED, ROOT = Path("/dev/shm"), Path(__file__).parents[2]

SITE = """
import os
from multiprocessing import process, shared_memory
mark = os.environ["NITROGEN_TEST_MARK"]
shared_memory._SHM_NAME_PREFIX = f"/{mark}"
process.current_process()._config["semprefix"] = f"/{mark}"
"""


class Marked:
    """A process whose shared memory is marked."""

    def __init__(self, tmp_path, code, *arguments, script=False, **environment):
        self.mark = f"n{secrets.token_hex(3)}"
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE)
        command = ["-c", code]
        if script:
            (tmp_path / "script.py").write_text(code)
            command = [str(tmp_path / "script.py")]
        paths = [str(site), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "NITROGEN_TEST_MARK": self.mark,
                **environment,
            },
        )

    def line(self):
        """What the process tells next."""
        line = self.process.stdout.readline()
        if not line:
            self.kill_all()
            raise AssertionError(self.process.stderr.read())
        return json.loads(line)

    def end(self, expected=0):
        """Waits for its end; returns what it wrote to standard error."""
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == expected, errors
        return errors

    def named(self):
        return [path.name for path in SHARED.iterdir() if self.mark in path.name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_all()
        self.process.communicate()

    def kill_all(self):
        """Ends it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def eventually(condition, seconds=30):
    """Whether something becomes true in this time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
