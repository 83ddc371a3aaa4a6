"""Scalars as event files for TensorBoard."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class EventFile:
    """One new file of events in a folder; nested names make TensorBoard's groups.

    NOTE: tensorboardX's file writer and not its SummaryWriter, which hands events to a thread
    over a queue of ten: once the disk is full, that thread has died and the queue blocks.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        """For a run that has applied `step` updates: what earlier files say of later ones goes."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        folder.mkdir(parents=True, exist_ok=True)
        earlier = any(folder.iterdir())
        # Two files of one second would have one name.
        suffix = f".{os.getpid()}.{time.monotonic_ns()}"
        self._event = event_pb2.Event
        self._writer = EventsWriter(str(folder / "events"), suffix)
        self._folder = folder
        self._failed = False
        if earlier:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write([event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=start)])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers such as {"train/loss": 0.5}, and flushes."""
        from tensorboardX.summary import scalar

        now = time.time()
        self._write(
            [
                self._event(wall_time=now, step=step, summary=scalar(name, value))
                for name, value in values.items()
            ]
        )

    def close(self) -> None:
        """Closes the file."""
        try:
            self._writer.close()
        except OSError as error:
            self._warn(error)

    def _write(self, events: list) -> None:
        try:
            for event in events:
                self._writer.write_event(event)
            self._writer.flush()
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._failed:
            log.warning("cannot write %s: %s; training goes on", self._folder, error)
        self._failed = True
