"""The one object that a training loop tells what happens; it writes, draws and measures.

    with open_log(folder, steps, meter=Meter(batch, flops, peak), main=is_main()) as log:
        with log.outside("compiling"):
            compiled = ...
        log.compiled(compiled)
        for step in ...:
            with log.waiting(metrics):
                batch = next(source)
            state, metrics = compiled(state, batch)
            log.step_done()
            log.train(step, metrics)

In a run's folder: log.jsonl, tensorboard/, and at the end curves.html.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nitrogen_jax
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import compiled as compiled_step
from nitrogen_jax.training import jsonl, live
from nitrogen_jax.training.tensorboard import EventFile
from nitrogen_jax.training.throughput import Meter

LOG, TENSORBOARD = "log.jsonl", "tensorboard"
SMOOTH = 0.98  # of the last smoothed loss that stays in the next one, after each logged step
HEADLINE, SHOWN = ("loss", "micro_f1", "r2"), 4  # of a validation, what there is room for

log = logging.getLogger(__name__)


def open_log(
    folder: Path,
    steps: int,
    *,
    meter: Meter,
    start: int = 0,
    main: bool = True,
    command: Sequence[str] | None = None,
    every: float = 30.0,
    view: bool = True,
) -> RunLog | QuietLog:
    """The log of a run, on process 0; a twin that keeps silent on all others.

    Args:
        folder: the run's, which exists.
        steps: how many the run will have.
        meter: measures the speed; started with the run.
        start: steps that are done already; what was logged of later ones is dropped.
        main: whether this is process 0.
        command: how the run was started; None: as this process was.
        every: seconds between lines where there is no terminal.
        view: whether to show anything.
    """
    if not main:
        return QuietLog()
    return RunLog(
        folder, steps, meter, start, sys.argv if command is None else command, every, view
    )


class QuietLog:
    """Does nothing: the log of every process but the first, and the base of the other."""

    @contextlib.contextmanager
    def outside(self, name: str) -> Iterator[None]:
        """Around what is no training: "compiling", "validation", "saving"."""
        yield

    @contextlib.contextmanager
    def waiting(self, in_flight: Any = None) -> Iterator[None]:
        """Around the wait for a batch; see `Meter.waiting`."""
        yield

    def step_done(self, steps: int = 1) -> None:
        """So many more steps have been done."""

    def train(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Logs a step, with the speed since the last one logged; reads the metrics' arrays."""

    def validation(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Logs what a validation after `step` steps found."""

    def saved(self, step: int) -> None:
        """A checkpoint of this step is complete."""

    def event(self, step: int, text: str, show: bool = True, **fields: Any) -> None:
        """Logs that something happened, and shows it unless it goes without saying."""

    def compiled(self, program: Any, step: int = 0) -> None:
        """Logs what the compiler says of the step, before the first one runs."""

    def close(self, page: bool = True) -> None:
        """Restores the terminal, closes the files and writes the page of curves."""

    def __enter__(self):
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Who presses Ctrl-C does not want to wait for plots.
        self.close(page=kind is None or issubclass(kind, Exception))


class RunLog(QuietLog):
    """Writes log.jsonl and event files, and draws the view. Methods as in `QuietLog`."""

    def __init__(
        self,
        folder: Path,
        steps: int,
        meter: Meter,
        start: int,
        command: Sequence[str],
        every: float,
        view: bool,
    ) -> None:
        self.meter = meter
        self.status = live.Status(steps=steps, step=start)
        self._folder, self._closed = folder, False
        self._lines = jsonl.Writer(folder / LOG, start)
        self._events = EventFile(folder / TENSORBOARD, start)
        self._smooth, self._weight = 0.0, 0.0
        self._first: tuple[int, float] | None = None
        self._view = live.open_view(self.status, every) if view else None
        self.event(
            start, "resumed" if start else "started", False, command=list(command), **machine()
        )

    @contextlib.contextmanager
    def outside(self, name: str) -> Iterator[None]:
        before, self.status.phase = self.status.phase, name
        try:
            with self.meter.outside(name):
                yield
        finally:
            self.status.phase = before

    def waiting(self, in_flight: Any = None) -> contextlib.AbstractContextManager[None]:
        return self.meter.waiting(in_flight)

    def step_done(self, steps: int = 1) -> None:
        self.meter.step_done(steps)
        self.status.step += steps

    def train(self, step: int, metrics: Mapping[str, Any]) -> None:
        metrics = jsonl.plain(metrics)  # NOTE: waits for the devices, so before the clock is read
        line = self._write("train", step, {**metrics, **self.meter.window(), **self._memory()})
        self.status.values = jsonl.numbers(line)
        self._pace(step)
        self._smoothed(line.get("loss"))
        self._show()

    def validation(self, step: int, metrics: Mapping[str, Any]) -> None:
        line = self._write("validation", step, metrics)
        self.status.validation = (step, headline(line))
        self._note(f"validation after step {step}: {headline(line)}")

    def saved(self, step: int) -> None:
        self.status.checkpoint = step
        self.event(step, "saved", show=False)
        self._show()

    def event(self, step: int, text: str, show: bool = True, **fields: Any) -> None:
        self._lines.write("event", step, {"text": text, **fields})
        if show:
            self._note(f"step {step}: {text}")

    def compiled(self, program: Any, step: int = 0) -> None:
        found = compiled_step.describe_compiled(program)
        self.event(step, "compiled", show=False, **found)
        mib = {name.removesuffix("_mib"): value for name, value in found.items() if "_mib" in name}
        parts = [f"{name} {value:,.1f} MiB" for name, value in mib.items() if value is not None]
        if found["flops"] is not None:
            parts.insert(0, f"{found['flops']:.4g} FLOPs")
        self._note(f"a compiled step, per device: {', '.join(parts) or 'nothing is known'}")

    def close(self, page: bool = True) -> None:
        if self._closed:
            return
        self._closed = True
        if self._view is not None:
            self._view.close()
            self._view = None
        self.event(self.status.step, "ended", show=False, **self.meter.total())
        self._lines.close()
        self._events.close()
        if page:
            from nitrogen_jax.report.curves import write_curves

            try:
                write_curves(self._folder)
            except (OSError, NitrogenError, ImportError) as error:
                log.warning("no page of curves: %s", error)

    def _write(self, kind: jsonl.Kind, step: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
        line = self._lines.write(kind, step, metrics)
        values = {f"{kind}/{name}": value for name, value in jsonl.numbers(line).items()}
        self._events.scalars(step, values)
        return line

    def _memory(self) -> dict[str, float]:
        return {name: round(value, 1) for name, value in compiled_step.memory().items()}

    def _pace(self, step: int) -> None:
        """From the second logged step on: the first one's time has compiling in it."""
        now = time.monotonic()
        self.status.step = max(step, self.status.step)
        if self._first is None:
            self._first = (step, now)
        elif step > self._first[0]:
            self.status.pace = (now - self._first[1]) / (step - self._first[0])

    def _smoothed(self, loss: Any) -> None:
        if isinstance(loss, int | float) and math.isfinite(loss):
            self._smooth = SMOOTH * self._smooth + (1 - SMOOTH) * loss
            self._weight = SMOOTH * self._weight + (1 - SMOOTH)
            self.status.smooth_loss = self._smooth / self._weight

    def _show(self) -> None:
        if self._view is not None:
            self._view.update()

    def _note(self, text: str) -> None:
        if self._view is not None:
            self._view.note(text)


def headline(metrics: Mapping[str, Any]) -> str:
    """The metrics of a validation that say most, or its first ones where those are not there."""
    found = {
        name: value for name, value in jsonl.numbers(metrics).items() if isinstance(value, float)
    }
    best = [name for name in found if name.split("/")[-1] in HEADLINE]
    shown = (best or list(found))[:SHOWN]
    return ", ".join(f"{name} {found[name]:.4g}" for name in shown) or "no metrics"


def machine() -> dict[str, Any]:
    """What a run runs on: its devices, this host, and the versions that matter."""
    from importlib.metadata import PackageNotFoundError, version

    import jax

    versions = {"nitrogen_jax": nitrogen_jax.__version__, "python": platform.python_version()}
    for name in ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    devices = jax.devices()
    return {
        "machine": {
            "devices": len(devices),
            "device_kind": devices[0].device_kind,
            "platform": devices[0].platform,
            "processes": jax.process_count(),
            "host": platform.node(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "versions": versions,
    }
