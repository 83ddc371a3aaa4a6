"""Quick starts in processes of their own, the short form and shorter."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

# As little as every stage can work with.
LEAST = ("--short", "--steps", "16", "--episodes", "1")


def command(room: Path, *words: str, verb: tuple[str, ...] = ("quickstart",)) -> list[str]:
    """The words of a process."""
    return [sys.executable, "-m", "nitrogen_jax.cli", *verb, "--out", str(room), *words]


def run(room: Path, *words: str, verb: tuple[str, ...] = ("quickstart",)):
    """Runs it to its end."""
    return subprocess.run(
        command(room, *words, verb=verb), capture_output=True, text=True, check=False
    )


def numbers(room: Path, name: str = "results.json") -> dict:
    """What must be the same however often a run was stopped."""
    return json.loads((room / name).read_text())["numbers"]


def kill_when(room: Path, true, *words: str, sends=signal.SIGKILL, seconds: float = 300.0):
    """Starts it and kills it once something is true; its exit code."""
    with subprocess.Popen(
        command(room, *words), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        ends = time.monotonic() + seconds
        while not true(room):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends, "it does not come true"
            time.sleep(0.01)
        process.send_signal(sends)
        process.communicate()
    return process.returncode
