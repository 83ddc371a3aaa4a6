"""What the command line draws: progress bars with an ETA, tables, the two output streams."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PROGRESS = "NITROGEN_PROGRESS"  # the variable that names a file which is told what bars show
TELL_S = 0.25  # from one time that the file is written to the next


def out():
    """The rich console on standard output: results."""
    from rich.console import Console

    # NOTE: a pipe or a log file has no width, and rich would squeeze tables into 80 columns.
    width = None if sys.stdout.isatty() else 200
    # NOTE: with emoji, ":heart:" in a path would be printed as a picture.
    return Console(highlight=False, soft_wrap=True, width=width, emoji=False)


def console():
    """The rich console on standard error: progress, notices, errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


@contextlib.contextmanager
def progress(
    description: str, total: float | None, unit: str = ""
) -> Iterator[Callable[[float], None]]:
    """Yields `advance(amount)`; draws a bar with rate and ETA on standard error.

    Only where standard error is a terminal: nothing is drawn into a log file. A process that has
    started this one can read how far it is, see PROGRESS and `read_progress`.

    Args:
        description: what is being done.
        total: the amount that is all of it, None where nobody knows.
        unit: what is counted; "bytes" is written with SI prefixes.
    """
    from rich import progress as bars

    class Rate(bars.ProgressColumn):
        def render(self, task: bars.Task) -> str:
            speed = task.finished_speed or task.speed
            return "" if speed is None else f"{speed:.1f}/s"

    in_bytes = unit == "bytes"
    columns = [
        bars.TextColumn("{task.description}", markup=False),  # it names files, "a[/b]" too
        bars.BarColumn(),
        bars.DownloadColumn() if in_bytes else bars.MofNCompleteColumn(),
        bars.TextColumn("" if in_bytes else unit),
        bars.TransferSpeedColumn() if in_bytes else Rate(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("ETA"),
        bars.TimeRemainingColumn(),
    ]
    screen = console()
    with bars.Progress(
        *columns, console=screen, disable=not screen.is_terminal, redirect_stdout=False
    ) as bar:
        task = bar.add_task(description, total=total)
        tell = _teller(total)

        def advance(amount: float = 1) -> None:
            bar.advance(task, amount)
            tell(amount)

        yield advance


def read_progress(path: Path) -> float | None:
    """How much is done of what another process is at, 0 to 1; None where that is not known."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads(path.read_bytes())
        return min(1.0, max(0.0, told["done"] / told["total"]))
    return None


def _teller(total: float | None) -> Callable[[float], None]:
    """Is told amounts, and tells the file of PROGRESS their sum now and then."""
    path = os.environ.get(PROGRESS)
    if not path or not total:
        return lambda amount: None
    done, last = 0.0, 0.0

    def tell(amount: float) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last > TELL_S:
            last = now
            with contextlib.suppress(OSError):  # nobody listens any more
                half = f"{path}.{os.getpid()}"
                Path(half).write_text(json.dumps({"done": done, "total": total}))
                os.replace(half, path)

    return tell


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]):
    """A rich table; columns whose name ends in '>' are right-aligned (numbers)."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(title) if title else None, title_justify="left")
    for name in columns:
        right = name.endswith(">")
        drawn.add_column(name.rstrip(">"), justify="right" if right else "left")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    return drawn
