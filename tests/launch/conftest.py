"""Runs the launch scripts with stand-ins for every program that they would call."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What must never be called by accident: the machine that runs the tests may have them.
TOOLS = ("gcloud", "kubectl", "sbatch", "srun", "scancel", "scontrol", "squeue", "nvidia-smi")


@dataclass
class Stage:
    """A folder with stand-ins; `calls` is what was called, in order, as words."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def tool(self, name: str, body: str = "", folder: Path | None = None) -> Path:
        """A program that notes its call and then does `body` (bash)."""
        path = (folder or self.folder / "bin") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        log = shlex.quote(str(self.folder / "calls"))
        note = f'printf "%q " {name} "$@" >>{log}.part.$$; echo >>{log}.part.$$; '
        note += f"cat {log}.part.$$ >>{log}; rm {log}.part.$$"
        path.write_text(f"#!/usr/bin/env bash\n{note}\n{body}\n")
        path.chmod(0o755)
        return path

    def venv(self, nitrogen: str, extras: str) -> Path:
        """An environment that counts as set up, with a `nitrogen` that does `nitrogen` (bash)."""
        folder = self.folder / "venv"
        self.tool("nitrogen", nitrogen, folder / "bin")
        python = folder / "bin" / "python"
        python.write_text("#!/bin/sh\nexit 0\n")
        python.chmod(0o755)
        sums = subprocess.run(
            ["cksum"], stdin=(ROOT / "setup.cfg").open(), capture_output=True, text=True
        )
        (folder / ".nitrogen-setup").write_text(f"{extras} {sums.stdout.strip()} {ROOT}\n")
        self.environment["VENV"] = str(folder)
        return folder

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return (
            [shlex.split(line) for line in path.read_text().splitlines()] if path.exists() else []
        )

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "CUDA_"))}
        clean.pop("VENV", None)
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", str(ROOT / "launch" / script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**clean, **self.environment, **environment, "PATH": path},
            start_new_session=True,
        )

    def run(self, script: str, *arguments: str, **environment: str):
        process = self.start(script, *arguments, **environment)
        try:
            out, error = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def wait_for_call(self, *words: str, count: int = 1) -> None:
        """Waits until `count` calls have these words in them."""
        deadline = time.monotonic() + 30
        while sum(set(words) <= set(call) for call in self.calls) < count:
            assert time.monotonic() < deadline, self.calls
            time.sleep(0.02)


@pytest.fixture
def stage(tmp_path) -> Stage:
    made = Stage(tmp_path)
    for name in TOOLS:
        made.tool(name, "exit 99")
    return made


@pytest.fixture
def words():
    """The commands of a dry run, as words; comments and the '&' at the end are left out."""

    def split(text: str) -> list[list[str]]:
        lines = [line.removesuffix(" &") for line in text.splitlines()]
        return [shlex.split(line) for line in lines if line and not line.startswith("#")]

    return split
