"""A trace of a few steps, for TensorBoard's or Perfetto's view of what the devices did when."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

SETTLED = 10  # steps until everything is compiled, allocated and read ahead
TRACED = 5

log = logging.getLogger(__name__)


class Profile:
    """Traces steps `first` to `last` (of this process, counted as the loop counts them).

    profile.before(step); state, metrics = train_step(state, batch); profile.after(step, metrics)
    """

    def __init__(self, folder: Path | None, start: int = 0, steps: int = 10**9) -> None:
        """For a loop that does the steps `start` + 1 to `steps`; without a folder, does nothing.

        The trace begins after ten steps, or after fewer where the run is that short.
        """
        self._folder = folder
        done = max(steps - start, 1)
        skipped = max(min(SETTLED, done - TRACED), 0)
        self.first = start + 1 + skipped
        self.last = min(self.first + TRACED - 1, start + done)
        self._tracing = False
        self._annotation: Any = None

    def before(self, step: int) -> None:
        """Step number `step` is about to be dispatched."""
        if self._folder is None or not self.first <= step <= self.last:
            return
        import jax

        if step == self.first and not self._tracing:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                jax.profiler.start_trace(self._folder)
                self._tracing = True
            except Exception as error:  # libraries of the maker's that are not there, a full disk
                log.warning("no trace in %s: %s", self._folder, error)
        if self._tracing:
            self._annotation = jax.profiler.StepTraceAnnotation("train", step_num=step)
            self._annotation.__enter__()

    def after(self, step: int, results: Any) -> bool:
        """Step number `step` was dispatched.

        With the last one, waits for its results and writes the trace. Returns whether it did.
        """
        self._end_annotation()
        if not self._tracing or step < self.last:
            return False
        import jax

        jax.block_until_ready(results)
        return self.close()

    def close(self) -> bool:
        """Writes the trace, if one is being taken. Returns whether it did."""
        self._end_annotation()
        if not self._tracing:
            return False
        import jax

        self._tracing = False
        try:
            jax.profiler.stop_trace()
        except Exception as error:
            log.warning("no trace in %s: %s", self._folder, error)
            return False
        return True

    def _end_annotation(self) -> None:
        if self._annotation is not None:
            self._annotation.__exit__(None, None, None)
            self._annotation = None
