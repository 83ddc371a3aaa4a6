"""What the command line draws: progress bars with an ETA, tables, the two output streams."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence


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

    Only where standard error is a terminal: nothing is drawn into a log file.

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
        yield lambda amount=1: bar.advance(task, amount)


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
