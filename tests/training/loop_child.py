"""Helpers for tests of the loop, and what they run in processes of their own.

    python loop_child.py forks      as many as standard input asks for, as `nitrogen ARGUMENT...`

What takes long and is tested elsewhere is left out: the machine's speed is not measured, and no
page of curves is drawn.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import jax
import numpy as np
from toys import ToyData, ToySource, ToyTask, toy_config

from nitrogen_jax.bench import timing
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.report import curves
from nitrogen_jax.training import build, checkpoints, jsonl, saved
from nitrogen_jax.training.train_config import Keep, MeshShape, Optimizer, TrainConfig, Validation

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@dataclass(frozen=True)
class SignalData(ToyData):
    """Sends a signal to its own process while a batch is waited for.

    Attributes:
        signal_at: number of the batch, from 0.
        signal: number of the signal; 0: there is an error instead.
        only: the process that it is sent to, if not to all.
    """

    signal_at: int = -1
    signal: int = signal.SIGTERM
    only: int | None = None

    def open(self, task, batch, **options):
        source = super().open(task, batch, **options)
        return SignalSource(
            self, batch, source.seed, source.host, source.hosts, position=source.position
        )


class SignalSource(ToySource):
    def __next__(self):
        data = self.data
        if self.position == data.signal_at and data.only in (None, self.host):
            if not data.signal:
                raise NitrogenError("the data has gone")
            os.kill(os.getpid(), data.signal)
        return super().__next__()


def config(**changes: Any) -> TrainConfig:
    """20 steps that use all kinds of state, each logged, some saved."""
    usual = {
        "task": ToyTask(noise=0.1),
        "data": SignalData(),
        "optimizer": Optimizer(rate=0.01, warmup=2, decay=5, ema=0.9),
        "checkpoints": Keep(every=6, newest=2),
        "validation": Validation(batches=0),
        "log_every": 1,
    }
    return toy_config(**{**usual, **changes})


def config_file(folder: Path, arguments: str = "") -> Path:
    """A file as in configs/, which returns `config(...)` with these arguments."""
    path = folder / "experiment.py"
    path.write_text(
        f"import sys\n\nsys.path.insert(0, {str(HERE)!r})\nfrom loop_child import *\n"
        f"from loop_child import config as made\n\n\ndef config():\n    return made({arguments})\n"
    )
    return path


def policy_file(folder: Path) -> Path:
    """The same of a small policy on records of `record_sets`."""
    path = folder / "small.py"
    path.write_text(POLICY)
    return path


POLICY = """
import dataclasses

from nitrogen_jax.data.loader import Shuffle
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation


def config():
    small = policy_preset("test")
    policy = dataclasses.replace(
        small,
        horizon=6,
        euler_steps=2,
        vision=dataclasses.replace(small.vision, depth=1),
        dit=dataclasses.replace(small.dit, depth=1),
    )
    return TrainConfig(
        task=PolicyTask(policy=policy, draws_per_frame=2),
        data=RecordsData(shuffle=Shuffle(window=4, run=4)),
        steps=20,
        batch=8,
        optimizer=Optimizer(rate=0.01, warmup=2, ema=0.9),
        checkpoints=Keep(every=None),
        validation=Validation(every=None, batches=2),
        log_every=1,
    )
"""


@contextlib.contextmanager
def quick(cache: Path) -> Iterator[None]:
    """Leaves out what takes long, and traces nothing twice in this process.

    Compiled programs are kept in `cache`, also for children: those do trace everything anew.
    """
    from jax.experimental.compilation_cache import compilation_cache

    before = {name: getattr(jax.config, name) for name in ["jax_compilation_cache_dir", *CACHE]}
    wanted = {"jax_compilation_cache_dir": str(cache), **CACHE}
    functions = timing.matmul_tflops, curves.write_curves, build.build
    environment = dict(os.environ)
    try:
        for name, value in wanted.items():
            jax.config.update(name, value)
            os.environ[name.upper()] = str(value)
        compilation_cache.reset_cache()
        _skip_the_slow()
        once = functools.lru_cache(build.build)

        def built(made: TrainConfig, mesh: Any) -> build.Built:
            found = once(dataclasses.replace(made, data=None), mesh)
            return dataclasses.replace(found, config=made)

        build.build = built
        yield
    finally:
        timing.matmul_tflops, curves.write_curves, build.build = functions
        os.environ.clear()
        os.environ.update(environment)
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def _skip_the_slow() -> None:
    timing.matmul_tflops = lambda dtype: 1e-3
    curves.write_curves = lambda folder: None


def losses(folder: Path) -> dict[int, float]:
    """Step -> loss of a run's log, in which each step is once."""
    found = [line for line in jsonl.read(folder / "log.jsonl") if line["kind"] == "train"]
    steps = [line["step"] for line in found]
    assert len(steps) == len(set(steps)), steps
    return {line["step"]: line["loss"] for line in found}


def events(folder: Path) -> list[tuple[int, str]]:
    """Steps and texts of what happened in a run."""
    found = [line for line in jsonl.read(folder / "log.jsonl") if line["kind"] == "event"]
    return [(line["step"], line["text"]) for line in found]


def arrays(config: TrainConfig, folder: Path, step: int) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint: parameters, average, optimiser, counters."""
    built = build.build(config, build.make_mesh(config))
    with checkpoints.Checkpoints(folder / "checkpoints") as keeper:
        found = keeper.restore(saved.like(built), step)
    state = saved.state_of(built, found.items)._asdict()
    flat = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in flat}


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether two checkpoints are equal, bit by bit."""
    assert one.keys() == other.keys()
    assert len(one) > 20
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


# -- processes


class Warm:
    """A process that has imported what a run needs, and from which runs are forked.

    It never touches a device: what is forked from it starts as a fresh process does.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "loop_child.py"), "forks"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *lines: Sequence[object], die: Sequence[Any] | None = None, timeout: float = 240
    ) -> list[tuple[int, str, str]]:
        """Runs `nitrogen` with each of these arguments, all at once.

        Args:
            die: the moment in the save of a step, and the step, when it is to be killed.

        Returns:
            Exit code, standard output and standard error of each, once all have ended.
        """
        lines = [[str(word) for word in line] for line in lines]
        with tempfile.TemporaryDirectory() as folder:
            job = {"lines": lines, "folder": folder, "die": die, "timeout": timeout}
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            codes = json.loads(self.process.stdout.readline())
            found = []
            for at, code in enumerate(codes):
                kept = (
                    "\n".join(
                        line
                        for line in Path(folder, f"{name}{at}").read_text().splitlines()
                        if not line.startswith("[Gloo]")
                    )
                    for name in ("out", "error")
                )
                found.append((code, *kept))
        assert None not in codes, f"it took too long: {found}"
        return found

    def pair(self, *arguments: object, timeout: float = 240) -> list[tuple[int, str, str]]:
        """`nitrogen ARGUMENTS` as two processes that train together."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{free.getsockname()[1]}"
        flags = [["--coordinator", where, "--processes", 2, "--process-id", i] for i in range(2)]
        return self.run(*([*arguments, *each] for each in flags), timeout=timeout)

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def forks() -> None:
    """Does what `Warm.run` asks for, line by line: forks, and prints the exit codes of the forks.

    A code is null where it took too long.
    """
    import tensorboardX  # noqa: F401  # what is loaded now, forks need not load again
    from orbax.checkpoint import v1  # noqa: F401

    import nitrogen_jax.training.loop
    from nitrogen_jax import cli

    del nitrogen_jax
    for asked in sys.stdin:
        job = json.loads(asked)
        until = time.monotonic() + job["timeout"]
        running = {
            _fork(cli.main, argv, Path(job["folder"]), at, job["die"]): at
            for at, argv in enumerate(job["lines"])
        }
        codes = [None] * len(running)
        while running and time.monotonic() < until:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process:
                codes[running.pop(process)] = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.02)
        for process in running:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _fork(main, argv: list[str], folder: Path, at: int, die: Sequence[Any] | None) -> int:
    """Runs `main(argv)` in a fork, with files for its output; returns the number of the fork."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        for number, name in enumerate(("null", "out", "error")):
            path = "/dev/null" if name == "null" else folder / f"{name}{at}"
            file = os.open(path, os.O_RDWR | os.O_CREAT)
            os.dup2(file, number)
            os.close(file)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        if die:
            _die_while_saving(*die)
        try:
            code = main(argv)
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
            code = 1
        atexit._run_exitfuncs()  # as at the end of any process
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return 0


def _die_while_saving(moment: str, step: int) -> None:
    """Makes this process kill itself in the middle of the save of a step."""
    begin, put = checkpoints.orbax.start, checkpoints.Checkpoints._put

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def started(path, items, note):
        if note["training"]["step"] != step:
            return begin(path, items, note)
        response = begin(path, items, note)
        if moment == "started":
            die()
        if moment == "writing":
            response.result()
            die()  # all is there but the name and the seal
        return response

    def named(self, target, number):
        if number == step and moment == "sealed":
            die()
        put(self, target, number)
        if number == step and moment == "named":
            die()

    checkpoints.orbax.start, checkpoints.Checkpoints._put = started, named


if __name__ == "__main__":
    _skip_the_slow()
    forks()

__all__ = ["Keep", "MeshShape", "Optimizer", "SignalData", "ToyTask", "Validation", "config"]
