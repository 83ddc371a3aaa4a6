"""The training loop: the same for a laptop, a node and a pod, for a fresh start and a resume.

State and position in the data are saved together, before the next batch is drawn. Metrics are read
one step late, so that the devices never wait for the host.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nitrogen_jax import __version__
from nitrogen_jax.bench import timing
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import build as building
from nitrogen_jax.training import jsonl, logs, run_folder, saved, signals
from nitrogen_jax.training.agreement import everywhere
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.build import Built
from nitrogen_jax.training.checkpoints import Checkpoints
from nitrogen_jax.training.profile import Profile
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.task import Source
from nitrogen_jax.training.throughput import Meter
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.training.trees import combine

log = logging.getLogger(__name__)

NAMED = 3  # samples of a bad batch whose origin is told


class Stopped(NitrogenError):
    """Training cannot go on: what it is given or what it computes is of no use."""


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        state: "finished", or "stopped" by a signal, having saved.
        step: batches seen.
        interrupted: whether it was Ctrl-C that stopped it.
        metrics: the last ones of training and of validation, nested.
    """

    state: str
    step: int
    interrupted: bool
    metrics: dict[str, Any]


@dataclass
class _Run:
    """What the parts of the loop share."""

    config: TrainConfig
    built: Built
    log: logs.QuietLog
    checkpoints: Checkpoints
    provenance: dict[str, Any]
    saved_at: float  # seconds of the clock
    metrics: dict[str, Any] = field(default_factory=dict)
    saved: int | None = None  # the step that was saved last
    skipped: int = 0  # as last read
    in_a_row: int = 0


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    profile: bool = False,
    view: bool = True,
    command: Sequence[str] | None = None,
) -> Result:
    """Trains until `config.steps`, a signal, or an error; everything is in `folder` then.

    Args:
        resume: go on from the newest checkpoint in `folder`; without one, this is a fresh start.
        profile: write a trace of a few steps.
        view: whether to show progress.
        command: how the run was started, for its log.
    """
    began, main = time.monotonic(), jax.process_index() == 0
    config = config.check()
    mesh = building.make_mesh(config)
    looks = config.validation
    building.check_batch(looks.batch or config.batch, 1, mesh, "validation.batch")
    config = dataclasses.replace(config, task=config.data.fit(config.task))
    built = building.build(config, mesh)
    keep = config.checkpoints
    run_folder.open_folder(folder, resume, main)
    done = run_folder.finished(folder, config.steps, main)
    if done is not None:
        if main:
            log.warning("%s has finished: there is nothing to do", folder)
        return Result("finished", done["step"], False, done["metrics"])
    with (
        signals.listening() as requests,
        Checkpoints(
            folder / run_folder.CHECKPOINTS, keep=keep.newest, keep_every=keep.keep_every
        ) as checkpoints,
    ):
        found = checkpoints.restore(saved.like(built)) if resume else None
        if found is None:
            step, where = 0, None
            state, provenance, notices = begin(built)
        else:
            step, state = found.step, saved.state_of(built, found.items)
            about = found.metadata["training"]
            where, provenance, notices = about["data"], about["provenance"], []
        begun, meter = step, _meter(built) if main else Meter(config.batch)
        with (
            config.data.open(
                config.task,
                config.batch,
                seed=config.seed,
                host=jax.process_index(),
                hosts=jax.process_count(),
                state=where,
            ) as source,
            logs.open_log(
                folder,
                config.steps,
                meter=meter,
                start=step,
                main=main,
                command=command,
                view=view,
            ) as told,
        ):
            run = _Run(config, built, told, checkpoints, provenance, time.monotonic())
            run.skipped = int(state.skipped)
            changes = run_folder.write_config(folder, config) if main else []
            if changes and found is not None:
                told.event(step, f"resumed with another config: {'; '.join(changes)}")
            for notice in notices:
                told.event(step, notice)
            trained, total = built.counts
            told.event(step, f"{trained:,} of {total:,} parameters train", False)
            if step < config.steps and everywhere(not requests.stop):
                with told.outside("compiling"):
                    program = built.lower().compile()
                told.compiled(program, step)
                tracer = Profile(folder / "profile" if profile else None, step, config.steps)
                state, step = _steps(run, program, state, step, source, requests, tracer)
            finished = step >= config.steps
            # Before the last validation: whatever happens to that, no step is lost.
            written = step == begun or _save(run, state, step, source)
            if finished:
                _validate(run, state, step, at_end=True)
            if not (checkpoints.wait() and written):
                raise Stopped(f"step {step} is done, and no checkpoint of it could be written")
            run.metrics["skipped"] = run.skipped
        if main and finished:
            seconds = round(time.monotonic() - began, 1)
            result = {"state": "finished", "step": step, "seconds": seconds}
            run_folder.write_json(folder / run_folder.RESULT, {**result, "metrics": run.metrics})
    return Result("finished" if finished else "stopped", step, requests.interrupted, run.metrics)


def _steps(
    run: _Run,
    program: jax.stages.Compiled,
    state: TrainState,
    step: int,
    source: Source,
    requests: signals.Requests,
    tracer: Profile,
) -> tuple[TrainState, int]:
    """All steps that are left; returns early where a process is asked to stop."""
    config, told, built = run.config, run.log, run.built
    keep, validation = config.checkpoints, config.validation
    pending: tuple[int, Any, Any] | None = None  # step, metrics, batch
    try:
        while step < config.steps:
            with told.waiting(pending and pending[1]):
                batch = _next(source, step)
            if batch is None:
                raise Stopped(f"step {step + 1}: there is no more data")
            due = keep.minutes is not None and jax.process_index() == 0
            due = due and time.monotonic() - run.saved_at > 60 * (keep.minutes or 0)
            stop = _stop(built, requests.value(due))
            step += 1
            tracer.before(step)
            state, metrics = program(state, to_devices(built, batch), stop)
            if tracer.after(step, metrics):
                told.event(step, "a trace of a few steps has been written")
            asked = _read(run, source, pending)
            pending = (step, metrics, batch)
            told.step_done()
            last = asked.stop or step == config.steps
            saves = asked.save or (keep.every and step % keep.every == 0)
            validates = validation.every and step % validation.every == 0
            if not last and (saves or validates):
                # What is saved is known to be good, and has been logged.
                asked, pending = _read(run, source, pending), None
                if saves:
                    _save(run, state, step, source)
                if validates and not asked.stop:
                    _validate(run, state, step)
            if asked.stop:
                if step < config.steps:
                    told.event(step, "stopped, as asked to")
                break
        _read(run, source, pending)
    finally:
        tracer.close()
    return state, step


def _next(source: Source, step: int) -> Mapping[str, np.ndarray] | None:
    """A batch, or None at the end of the data."""
    try:
        return next(source, None)
    except NitrogenError as error:
        raise Stopped(f"step {step + 1}: {error}") from error


def to_devices(built: Built, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """This process's part of a batch -> the whole batch, divided over the mesh."""
    return {
        name: jax.make_array_from_process_local_data(one.sharding, batch[name])
        for name, one in built.batch.items()
    }


def _stop(built: Built, value: int) -> jax.Array:
    here = np.full(len(built.mesh.local_devices), value, np.int32)
    return jax.make_array_from_process_local_data(built.stop.sharding, here)


def _read(run: _Run, source: Source, pending: tuple[int, Any, Any] | None) -> signals.Asked:
    """Reads the metrics of a step that was dispatched, and what was asked for before it."""
    if pending is None:
        return signals.Asked(False, False)
    step, metrics, batch = pending
    config = run.config
    found = {name: value.item() for name, value in jax.device_get(metrics).items()}
    asked = signals.read(found.pop("stop"))
    finite, weight, skipped = found.pop("finite"), found["weight"], found["skipped"]
    if not weight:
        raise Stopped(
            f"step {step}: no sample of the batch is valid, so no record of it could be read: "
            f"see the warnings above; it was {_origin(source, batch)}"
        )
    if not finite:
        told = (
            f"step {step}: the loss is {found['loss']} and the norm of its gradient "
            f"{found['grad_norm']}; the batch was {_origin(source, batch)}"
        )
        if config.nonfinite == "stop":
            raise Stopped(told)
        if skipped > run.skipped:
            run.in_a_row += 1
            run.log.event(step, f"skipped: {told}")
        if run.in_a_row >= config.max_skipped:
            raise Stopped(f"{run.in_a_row} updates in a row were skipped, the last one at {told}")
    else:
        run.in_a_row = 0
    run.skipped = skipped
    if step % config.log_every == 0 or step in (1, config.steps):
        run.log.train(step, found)
        run.metrics["train"] = jsonl.plain(found)
    return asked


def _validate(run: _Run, state: TrainState, step: int, at_end: bool = False) -> None:
    """Looks at held-out data, and at the end also at training data, as far as the config says."""
    config, built = run.config, run.built
    counts = {"validation": config.validation.batches}
    if at_end:
        counts["trained"] = config.validation.trained
    for name, count in counts.items():
        size = config.validation.batch or config.batch
        source = count and config.data.open_once(
            config.task,
            size,
            held_out=name == "validation",
            host=jax.process_index(),
            hosts=jax.process_count(),
        )
        if not source:
            continue
        with run.log.outside("validation"), source:
            batches = (to_devices(built, one) for one in itertools.islice(source, count))
            params = combine(state.ema, state.frozen)
            found = dict(built.task.evaluate(params, batches, built.mesh))
        run.metrics[name] = jsonl.plain(found)
        run.log.validation(step, found if name == "validation" else {name: found})


def _save(run: _Run, state: TrainState, step: int, source: Source) -> bool:
    """Starts to write a checkpoint; whether it could, for all processes."""
    metadata = {
        "nitrogen_jax": run.built.task.metadata(step, run.provenance),
        "training": {
            "step": step,
            "data": source.state(),
            "config": run_folder.plain(run.config),
            "provenance": run.provenance,
            "version": __version__,
        },
    }
    failures = run.checkpoints.failures
    with run.log.outside("saving"):
        done = run.checkpoints.save(step, saved.items(run.built, state), metadata)
    run.saved_at = time.monotonic()
    if run.checkpoints.failures > failures:
        run.log.event(step, "a checkpoint could not be written", False)
    if done and run.saved != step:
        run.log.saved(step)
        run.saved = step
    return done


def _origin(source: Source, batch: Mapping[str, np.ndarray]) -> str:
    """The first samples of this process's part of a batch, in words."""
    count = len(next(iter(batch.values())))
    named = []
    for at in range(min(count, NAMED)):
        about = source.provenance(batch, at)
        named.append(", ".join(f"{name} {value}" for name, value in about.items()))
    return f"{'; '.join(named)}{f'; and {count - NAMED} more' if count > NAMED else ''}"


def _meter(built: Built) -> Meter:
    """Measures against the rate at which the devices multiply, which is measured too."""
    dtype = getattr(getattr(built.config.task, "compute", None), "dtype", "float32")
    batch = built.config.batch
    return Meter(batch, built.flops / batch, timing.matmul_flops(dtype))
