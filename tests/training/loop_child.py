"""Helpers for tests of the loop, and what they run in processes of their own.

    python loop_child.py cli ARGUMENT...      as `nitrogen ARGUMENT...`
    python loop_child.py forked JSON          several of these, one after the other

What takes long and is tested elsewhere is left out: the machine's speed is not measured, and no
page of curves is drawn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import signal
import socket
import subprocess
import sys
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


def start(*arguments: object, **environment: str) -> subprocess.Popen:
    """A process with its own two ends of pipes."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "loop_child.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(*processes: subprocess.Popen, timeout: float = 240) -> list[tuple[int, str, str]]:
    """Exit code, standard output and standard error of each, once all have ended."""
    found = []
    try:
        for process in processes:
            out, error = process.communicate(timeout=timeout)
            kept = (
                "\n".join(line for line in text.splitlines() if not line.startswith("[Gloo]"))
                for text in (out, error)
            )
            found.append((process.returncode, *kept))
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return found


def pair(*arguments: object, timeout: float = 240) -> list[tuple[int, str, str]]:
    """`nitrogen ARGUMENTS` as two processes that train together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [["--coordinator", where, "--processes", 2, "--process-id", i] for i in range(2)]
    return ended(*(start("cli", *arguments, *each) for each in flags), timeout=timeout)


def forked(jobs: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Runs command lines, each in a fork; returns exit codes and standard errors.

    A job has `argv`, `error` (a file), and `die`: when it is to be killed while it saves.
    """
    import tensorboardX  # noqa: F401  # what is loaded now, forks need not load again
    from orbax.checkpoint import v1  # noqa: F401

    import nitrogen_jax.training.loop
    from nitrogen_jax import cli

    del nitrogen_jax
    found = []
    for job in jobs:
        process = os.fork()
        if not process:
            code = 99
            try:
                with open(job["error"], "w") as file:
                    os.dup2(file.fileno(), 2)
                sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
                if job.get("die"):
                    _die_while_saving(*job["die"])
                code = cli.main(job["argv"])
            finally:
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        found.append([code, Path(job["error"]).read_text()])
    return found


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
    verb, *rest = sys.argv[1:]
    if verb == "cli":
        from nitrogen_jax import cli

        sys.exit(cli.main(rest))
    sys.stdout.write(json.dumps(forked(json.loads(rest[0]))) + "\n")

__all__ = ["Keep", "MeshShape", "Optimizer", "SignalData", "ToyTask", "Validation", "config"]
