"""`nitrogen bench train`: the very step of `nitrogen train`, timed with and without its data.

Parameters are random whatever the config starts from: their values change no time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import jax
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import counts, hlo
from nitrogen_jax.training import build as building
from nitrogen_jax.training import compiled as compiling
from nitrogen_jax.training.build import Built
from nitrogen_jax.training.loop import to_devices
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.throughput import Meter
from nitrogen_jax.training.train_config import MeshShape, TrainConfig

WARM = 3  # steps at the start of a turn that do not count
MEASURED, NO_MEMORY = "measured", "out of memory"
RANDOM, RECORDS = "random", "records"

_FULL = ("resource_exhausted", "out of memory", "failed to allocate")


@dataclass(frozen=True)
class Program:
    """One compiled step; without `compiled` the compiler found that it does not fit."""

    built: Built
    compiled: Any | None
    seconds: float  # that tracing and compiling took
    figures: Mapping[str, float | None] = field(default_factory=dict)
    flops: float | None = None  # of an update on all devices, by the compiler, loops in full


@dataclass(frozen=True)
class Turn:
    """Some steps in a row.

    Attributes:
        step_ms: of every step.
        rate: samples/s over all of them.
        data_wait: 0..1, the share of the time in which the devices had no data; None: not read.
        memory: MiB, as `training.compiled.memory` names them, at the end.
    """

    step_ms: tuple[float, ...]
    rate: float
    data_wait: float | None
    memory: Mapping[str, float]


@dataclass
class Way:
    """A program with where its batches come from, and what has been measured of it."""

    program: Program
    source: str  # RANDOM or RECORDS
    turns: list[Turn] = field(default_factory=list)
    state: str = MEASURED
    device_peak: float | None = None  # MiB, where it is known that this way reached it


def configs(
    config: TrainConfig, batches: Sequence[int], meshes: Sequence[tuple[int, int]]
) -> list[TrainConfig]:
    """The config at every batch size on every mesh (data, fsdp); by default its own.

    Raises where one of them is not possible, before anything is compiled.
    """
    shapes = [MeshShape(*shape) for shape in meshes] or [config.mesh]
    made = []
    for mesh in dict.fromkeys(shapes):
        for batch in dict.fromkeys(batches or [config.batch]):
            one = dataclasses.replace(config, batch=batch, mesh=mesh).check()
            building.make_mesh(one)
            made.append(one)
    return made


def compile_step(config: TrainConfig) -> Program:
    """Compiles the step of a config."""
    built = building.build(config, building.make_mesh(config))
    start = time.perf_counter()
    lowered = built.lower()
    try:
        program = lowered.compile()
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Program(built, None, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    figures = compiling.describe_compiled(program)
    return Program(built, program, seconds, figures, compiler_flops(built, lowered, program))


def compiler_flops(built: Built, lowered: Any, compiled: Any) -> float | None:
    """FLOPs of an update on all devices as the compiler counts them, loops as often as they run.

    NOTE: where products have become calls of a library (cuBLAS), the text of the compiled program
    does not show their sizes, and that of the traced one tells how often its loops run.
    """
    once = compiling.describe_compiled(compiled)["flops"]
    if once is None:
        return None
    module = hlo.parse(compiled.as_text() or "")
    if not module.computations or counts.count(module, trips=False).flops < once / 2:
        module = hlo.parse(lowered.compiler_ir("hlo").as_hlo_text())
    scaled = counts.scaled(module, {"flops": once})["flops"]
    return None if scaled is None else scaled * built.mesh.size


def measure(
    ways: Sequence[Way], steps: int, turns: int, tick: Callable[[], None] = lambda: None
) -> None:
    """All ways in turn, `turns` times; each keeps what was found.

    A way that runs out of memory is left out from then on, and the others go on.

    Args:
        steps: that count, of each way at each turn.
        tick: is called after every step.
    """
    held = _Held()
    for number in range(turns):
        for way in ways:
            if way.program.compiled is None:
                way.state = NO_MEMORY
            done = 0

            def one() -> None:
                nonlocal done
                done += 1
                tick()

            if way.state != NO_MEMORY and not _try(way, held, steps, number, one):
                way.state, way.turns = NO_MEMORY, []
            for _ in range(WARM + steps - done):
                tick()
    held.drop()


class _Held:
    """The state of one mesh at a time: programs of other batch sizes share it."""

    def __init__(self) -> None:
        self.state: TrainState | None = None
        self._mesh: Any = None

    def take(self, built: Built) -> TrainState:
        """The state, which is the caller's to give back in `state`."""
        if self._mesh != built.mesh:
            self.drop()
        if self.state is None:
            trained, frozen = built.init(jax.random.key(built.config.seed))
            self.state, self._mesh = built.make_state(trained, frozen), built.mesh
        state, self.state = self.state, None
        return state

    def drop(self) -> None:
        self.state = None


def _try(way: Way, held: _Held, steps: int, number: int, tick: Callable[[], None]) -> bool:
    """One turn of a way; False if memory did not suffice."""
    built, full = way.program.built, False
    before = compiling.memory().get("device_peak_mib")
    with ExitStack() as stack:
        batches = _batches(way, number, stack)
        try:
            turn, held.state = run_steps(way.program, held.take(built), batches, steps, tick)
            if way.source == RANDOM:
                turn = dataclasses.replace(turn, data_wait=None)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            full = True  # what the error holds is freed when this block is left
    if full:
        held.drop()
        return False
    after = turn.memory.get("device_peak_mib")
    # NOTE: devices only tell the highest peak of all programs so far.
    if after is not None and before is not None and after > before:
        way.device_peak = after
    way.turns.append(turn)
    return True


def run_steps(
    program: Program,
    state: TrainState,
    batches: Iterator[Mapping[str, Any]],
    steps: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Turn, TrainState]:
    """Some steps as the training loop does them: metrics are read one step late.

    Args:
        batches: on the host, or on the devices already.
    """
    built, batch_size = program.built, program.built.config.batch
    nothing = np.zeros(len(built.mesh.local_devices), np.int32)
    meter = Meter(batch_size)
    marks, pending = [], None
    for index in range(WARM + steps):
        if index == WARM:
            meter = Meter(batch_size)
        with meter.waiting(pending):
            batch = next(batches)
        stop = jax.make_array_from_process_local_data(built.stop.sharding, nothing)
        if not isinstance(next(iter(batch.values())), jax.Array):
            batch = to_devices(built, batch)
        state, metrics = program.compiled(state, batch, stop)
        if pending is not None:
            _check_read(pending)
        pending = metrics
        meter.step_done()
        marks.append(time.perf_counter())
        tick()
    rates = meter.window()
    _check_read(pending)
    seconds = np.diff(marks[WARM - 1 :])
    turn = Turn(
        tuple(1e3 * seconds),
        steps * batch_size / float(seconds.sum()),
        rates["data_wait"],
        compiling.memory(),
    )
    return turn, state


def _check_read(metrics: Mapping[str, Any]) -> None:
    """Waits for a step's metrics; raises where nothing could be read of its records."""
    if not jax.device_get(dict(metrics))["weight"]:
        raise NitrogenError("no sample of a batch is valid: see the warnings above")


def _batches(way: Way, number: int, stack: ExitStack) -> Iterator[Mapping[str, Any]]:
    """Endless batches, or those of a loader that starts with nothing read ahead."""
    built = way.program.built
    config = built.config
    if way.source == RANDOM:
        return _lazily(lambda: repeat(random_batch(built)))
    # NOTE: opened anew at every turn: what was read ahead while others ran would hide the wait.
    source = config.data.open(config.task, config.batch, seed=config.seed + number)
    stack.callback(source.close)
    return source


def _lazily(make: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """What is made allocates on the devices, so not before somebody looks out for errors."""
    yield from make()


def random_batch(built: Built) -> dict[str, jax.Array]:
    """A batch on the devices: noise, all valid, nothing dropped, and all indices 0.

    NOTE: noise and not zeros, with which GPUs need less power and so run faster.
    """
    rng = np.random.default_rng(0)

    def noise(name: str, spec: jax.ShapeDtypeStruct) -> np.ndarray:
        if spec.dtype == bool:
            return np.full(spec.shape, name != "dropped")
        if np.issubdtype(spec.dtype, np.unsignedinteger):
            return rng.integers(0, np.iinfo(spec.dtype).max, spec.shape, spec.dtype, True)
        if np.issubdtype(spec.dtype, np.integer):
            return np.zeros(spec.shape, spec.dtype)
        return rng.random(spec.shape, np.float32).astype(spec.dtype)

    made = {name: noise(name, spec) for name, spec in built.batch.items()}
    return to_devices(built, made)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of the compiler or of a program says that memory does not suffice."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(word in text for word in _FULL)
