"""What a check answers, and the tools that the checks share."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail", "absent"]


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: what was looked at.
        status: "ok"; "warn" works but not well; "fail" is needed and broken; "absent" is optional.
        detail: what was found.
        remedy: a command that mends it, or "".
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def probe(code: str, timeout: float = 60) -> dict:
    """Runs Python code that prints one JSON object as its last line, in a process of its own.

    Returns the object, or {"error": one line} when the process failed, died or took longer than
    `timeout` seconds.
    """
    # -P: a file of the working folder must not pass for a library.
    command = [sys.executable, "-P", "-c", code]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"gave no answer within {timeout:g} s"}
    finally:
        if process.poll() is None:
            # NOTE: not waited for: a process that hangs inside a driver does not even die.
            process.kill()
    lines = output.strip().splitlines()
    if process.returncode == 0 and lines:
        return json.loads(lines[-1])
    if process.returncode < 0:
        return {"error": f"killed by signal {-process.returncode}"}
    complaint = errors.strip().splitlines() or [f"exit code {process.returncode}"]
    return {"error": complaint[-1][:200]}


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def size(count: float) -> str:
    """Bytes for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
