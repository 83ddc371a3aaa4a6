"""Runs of a sweep on this machine, a few at a time, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sweep.plan import Run
from nitrogen_jax.sweep.states import FAILED, FINISHED, LOGS, UNFINISHED, alone, state_of

POLL = 0.1  # seconds
GRACE = 300.0  # seconds that a training has to save


@dataclass
class _Child:
    run: Run
    process: subprocess.Popen[bytes]
    slot: int
    began: float


@dataclass
class Report:
    """How the runs ended: name -> finished, failed or unfinished; and the signal that ended all."""

    states: dict[str, str] = field(default_factory=dict)
    signal: int | None = None


def train_command(command: Sequence[str], config: str, out: Path, run: Run) -> list[str]:
    """The arguments of one training; it goes on from its newest checkpoint if it has one."""
    folder = str(out / run.name)
    return [*command, "train", "--config", config, "--out", folder, "--resume", *run.arguments]


def gpu_slots(jobs: int, environ: Mapping[str, str], count: Callable[[], int]) -> list[str | None]:
    """What CUDA_VISIBLE_DEVICES is for each of the `jobs` places; None leaves it alone.

    Args:
        count: how many GPUs this machine has.
    """
    if jobs == 1 or environ.get("JAX_PLATFORMS") == "cpu":
        return [None] * jobs
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(index) for index in range(count())] if visible is None else visible.split(",")
    gpus = [gpu for gpu in gpus if gpu.strip()]
    if not gpus:
        return [None] * jobs
    if jobs > len(gpus):
        raise NitrogenError(f"--jobs is {jobs}, and there are {len(gpus)} GPUs: one each is needed")
    each = len(gpus) // jobs
    return [",".join(gpus[slot * each : (slot + 1) * each]) for slot in range(jobs)]


def count_gpus() -> int:
    """How many NVIDIA GPUs this machine has."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def run_all(
    runs: Sequence[Run],
    config: str,
    out: Path,
    command: Sequence[str],
    slots: Sequence[str | None] = (None,),
    say: Callable[[str], None] = lambda line: None,
    grace: float = GRACE,
) -> Report:
    """Trains all runs that are not finished; SIGINT and SIGTERM let them save, and end it.

    Args:
        out: the sweep's folder; NAME/ is a run's and logs/NAME.log what it prints.
        command: the program and what comes before "train".
        slots: one for each run at a time: what CUDA_VISIBLE_DEVICES is there.
        say: takes a line whenever something happens.
        grace: seconds from SIGTERM to SIGKILL.
    """
    report = Report()
    (out / LOGS).mkdir(parents=True, exist_ok=True)
    waiting: deque[Run] = deque()
    for run in runs:
        if state_of(out / run.name) == FINISHED:
            report.states[run.name] = FINISHED
        else:
            waiting.append(run)
    skipped, children, took = len(report.states), [], []
    if skipped:
        say(f"{skipped} of {len(runs)} runs are finished already")
    with alone(out) as held, _signals() as received:
        free = deque(range(len(slots)))
        deadline = None
        try:
            while children or (waiting and not received):
                while waiting and free and not received:
                    run, slot = waiting.popleft(), free.popleft()
                    process = _start(run, config, out, command, slots[slot], held)
                    children.append(_Child(run, process, slot, time.monotonic()))
                if received and deadline is None:
                    say(f"{signal.Signals(received[0]).name}: {len(children)} runs are saving")
                    deadline = time.monotonic() + grace
                    for child in children:
                        child.process.terminate()
                if deadline is not None and (len(received) > 1 or time.monotonic() > deadline):
                    _kill(children)
                for child in [one for one in children if one.process.poll() is not None]:
                    children.remove(child)
                    free.append(child.slot)
                    seconds = time.monotonic() - child.began
                    state = report.states[child.run.name] = _ended(child, out)
                    if state == FINISHED:
                        took.append(seconds)
                    done = f"[{len(report.states)}/{len(runs)}] {child.run.name}: {state} in "
                    done += f"{duration(seconds)}{_why(child, out, state)}"
                    say(done + _eta(took, waiting, children, len(slots)))
                time.sleep(POLL)
        finally:
            _kill(children)
    for run in waiting:
        report.states[run.name] = state_of(out / run.name)
    report.signal = received[0] if received else None
    return report


def duration(seconds: float) -> str:
    """5 s, 3 min 5 s, 2 h 3 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _start(
    run: Run, config: str, out: Path, command: Sequence[str], slot: str | None, held: int | None
) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    if slot is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot
    with (out / LOGS / f"{run.name}.log").open("ab") as log:
        return subprocess.Popen(
            train_command(command, config, out, run),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us, and its worker processes die with it
            pass_fds=() if held is None else (held,),
        )


def _ended(child: _Child, out: Path) -> str:
    if child.process.returncode:
        return FAILED
    return FINISHED if state_of(out / child.run.name) == FINISHED else UNFINISHED


def _why(child: _Child, out: Path, state: str) -> str:
    if state != FAILED:
        return ""
    code = child.process.returncode
    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    return f" ({how}, see {out / LOGS / child.run.name}.log)"


def _eta(took: list[float], waiting: Sequence[Run], children: list[_Child], jobs: int) -> str:
    """How long the rest will take, by the mean of those that have finished."""
    if not took or not (waiting or children):
        return ""
    mean = sum(took) / len(took)
    now = time.monotonic()
    left = len(waiting) * mean + sum(max(mean - (now - one.began), 0) for one in children)
    return f"; waiting: {len(waiting)}, ETA {duration(left / jobs)}"


def _kill(children: Sequence[_Child]) -> None:
    """Ends processes and whatever they have started, at once."""
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in the list that is yielded."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, _: received.append(number)) for kind in kinds]
    try:
        yield received
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
