"""Being asked to stop: SIGTERM (preemption) and Ctrl-C let the run save; a second Ctrl-C does not.

Several processes tell each other through an array that goes through the step: what one process
puts in, all of them read at the same step.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NamedTuple

_SAVE = 1 << 16  # more than there are devices in a mesh


class Asked(NamedTuple):
    """What all processes are to do."""

    stop: bool
    save: bool


class Requests:
    """What this process has been asked for since it started."""

    def __init__(self) -> None:
        self.stop, self.interrupted = False, False

    def value(self, save: bool) -> int:
        """What this process puts into the array; `save`: it wants a checkpoint."""
        return int(self.stop) + (_SAVE if save else 0)


def read(total: int) -> Asked:
    """The sum over all devices -> what at least one process has been asked for."""
    return Asked(stop=total % _SAVE > 0, save=total >= _SAVE)


@contextlib.contextmanager
def listening() -> Iterator[Requests]:
    """Handlers that note requests; those that were there before come back."""
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests  # only the main thread may have handlers
        return

    def stop(number: int, frame: object) -> None:
        if number == signal.SIGINT:
            if requests.interrupted:
                raise KeyboardInterrupt
            requests.interrupted = True
        requests.stop = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
