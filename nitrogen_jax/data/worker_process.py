"""What every process that reads or decodes for another one does when it starts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from multiprocessing.connection import wait

import cv2


def start(*_: int) -> None:
    """To be called in the process: one core for each, no Ctrl-C, an end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the parent, which then stops us
    cv2.setNumThreads(1)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # NOTE: nothing may be imported here, as `parent.join` would: while the main thread imports
    # TFDS, whose modules are lazy, names imported by any other thread are lazy modules too.
    parent = multiprocessing.parent_process()
    while os.getppid() == parent.pid:
        wait([parent.sentinel], 1)
    os._exit(1)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started in here inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Processes started in here never see Ctrl-C, not even before `start` is called in them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
