"""What a person sees of a training: a live view on a terminal, plain lines anywhere else."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import logging
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nitrogen_jax import terminal

UNKNOWN = "-"


@dataclass
class Status:
    """All that is shown. Numbers that nobody knows yet are None.

    Attributes:
        values: the last logged metrics, flat ("loss", "rate", "samples_per_s", ...).
        phase: what is going on beside steps: "compiling", "validation"; "" in a step.
        pace: seconds that a step takes with all that comes between steps.
    """

    steps: int
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    smooth_loss: float | None = None
    phase: str = ""
    validation: tuple[int, str] | None = None
    checkpoint: int | None = None
    pace: float | None = None


class View(Protocol):
    """How a `RunLog` shows a status that it goes on changing."""

    def update(self) -> None:
        """The status has changed."""

    def note(self, text: str) -> None:
        """Something worth a line of its own."""

    def close(self) -> None:
        """Shows the last status and leaves the terminal as it was."""


def open_view(status: Status, every: float = 30.0) -> View:
    """The live view where standard error is a terminal, else a line every so many seconds."""
    console = terminal.console()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(status, console)
    return PlainView(status, console, every)


class PlainView:
    """A line for the first status, for one every so many seconds, and for the last."""

    def __init__(self, status: Status, console: Any, every: float) -> None:
        self._status, self._console, self._every = status, console, every
        self._shown_at, self._shown_step = -math.inf, -1

    def update(self) -> None:
        if time.monotonic() - self._shown_at >= self._every:
            self._show()

    def note(self, text: str) -> None:
        self._print(text)

    def close(self) -> None:
        if self._status.step != self._shown_step:
            self._show()

    def _show(self) -> None:
        if self._status.values:
            self._print(one_line(self._status))
            self._shown_at, self._shown_step = time.monotonic(), self._status.step

    def _print(self, text: str) -> None:
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError, ValueError):  # who watched is gone; training is not
            self._console.print(f"{now} {text}", markup=False, highlight=False)


class LiveView:
    """A bar and the figures below it, drawn four times a second by a thread."""

    def __init__(self, status: Status, console: Any) -> None:
        from rich.live import Live

        self._status, self._console = status, console
        self._live = Live(
            get_renderable=lambda: drawing(status),
            console=console,
            redirect_stdout=False,
            vertical_overflow="visible",
        )
        self._stream = sys.stderr
        self._live.start()
        # NOTE: logging's handlers hold the real standard error, which would write into the view.
        self._handlers = _handlers_on(self._stream)
        for handler in self._handlers:
            handler.setStream(sys.stderr)
        # A cursor that stays hidden is a nuisance: also where nobody closes.
        atexit.register(self.close)

    def update(self) -> None:
        """Nothing to do: the thread draws."""

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        atexit.unregister(self.close)
        for handler in self._handlers:
            handler.setStream(self._stream)
        self._handlers = []
        self._live.stop()


def drawing(status: Status) -> Any:
    """The live view as something that rich draws."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    top = Table.grid(padding=(0, 1))
    share = status.step / status.steps if status.steps else 1.0
    top.add_row(
        Text(f"step {status.step:,}/{status.steps:,}"),
        ProgressBar(total=max(status.steps, 1), completed=status.step, width=40),
        Text(f"{share:.1%}"),
        Text(f"ETA {eta(status)}"),
        Text(status.phase, style="yellow"),
    )
    grid = Table.grid(padding=(0, 2))
    cells = [
        part for name, text in figures(status) for part in (Text(name, style="dim"), Text(text))
    ]
    for row in range(0, len(cells), 6):
        grid.add_row(*cells[row : row + 6])
    below = Table.grid(padding=(0, 2))
    for name, text in marks(status):
        below.add_row(Text(name, style="dim"), Text(text))
    return Group(top, grid, below)


def one_line(status: Status) -> str:
    """The same on one line."""
    share = f"{status.step / status.steps:.1%}" if status.steps else "100%"
    parts = [f"step {status.step}/{status.steps} ({share})"]
    parts += [f"{name} {text}" for name, text in figures(status) if text != UNKNOWN]
    parts += [f"{name} {text}" for name, text in marks(status) if text != UNKNOWN]
    return ", ".join([*parts, f"ETA {eta(status)}"])


def figures(status: Status) -> list[tuple[str, str]]:
    """(name, text) of every number."""
    values = status.values

    def shown(name: str, form: str) -> str:
        value = values.get(name)
        return UNKNOWN if value is None else format(value, form)

    used, limit = values.get("device_memory_mib"), values.get("device_limit_mib")
    where = "device" if used is not None else "host"
    used = values.get("host_memory_mib") if used is None else used
    memory = UNKNOWN if used is None else f"{used / 1024:.1f} GiB"
    if limit:
        memory += f" of {limit / 1024:.0f}"
    smooth = status.smooth_loss
    return [
        ("loss", shown("loss", ".4g")),
        ("smooth", UNKNOWN if smooth is None else f"{smooth:.4g}"),
        ("gradient", shown("grad_norm", ".3g")),
        ("rate", shown("rate", ".3g")),
        ("samples/s", shown("samples_per_s", ",.4g")),
        ("step ms", shown("step_ms", ",.4g")),
        ("data wait", shown("data_wait", ".1%")),
        ("MFU", shown("mfu", ".1%")),
        (f"{where} memory", memory),
        ("skipped", shown("skipped", ".0f")),
    ]


def marks(status: Status) -> list[tuple[str, str]]:
    """(name, text) of what happened last."""
    validation = UNKNOWN
    if status.validation is not None:
        step, text = status.validation
        validation = f"{text} (step {step})"
    saved = UNKNOWN if status.checkpoint is None else f"step {status.checkpoint}"
    return [("validation", validation), ("checkpoint", saved)]


def eta(status: Status) -> str:
    """Time until the last step, at the pace so far."""
    if status.pace is None:
        return UNKNOWN
    seconds = (status.steps - status.step) * status.pace
    return str(datetime.timedelta(seconds=max(round(seconds), 0)))


def _handlers_on(stream: Any) -> list[logging.StreamHandler]:
    found = logging.getLogger().handlers
    return [h for h in found if isinstance(h, logging.StreamHandler) and h.stream is stream]
