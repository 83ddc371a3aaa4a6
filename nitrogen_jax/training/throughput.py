"""How fast training goes and what it waits for.

Time is divided into steps (with the wait for data within them) and what is not training:
compiling, validation, saving. Rates are over the steps alone; the rest is told apart.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Span:
    """What happened since a moment."""

    since: float
    steps: int = 0
    waited: float = 0.0  # s without data, the devices idle
    apart: dict[str, float] = field(default_factory=dict)  # s of what is no training, by name


class Meter:
    """Is told what the loop does, and answers with rates, since it was last asked and overall.

    Time counts from the first wait for a batch.

    with meter.outside("compiling"): ...
    with meter.waiting(metrics_of_the_last_step): batch = next(source)
    meter.step_done()            # once the results of a step are known, not when it is dispatched
    meter.window()

    Args:
        samples: of one step, all devices and accumulated batches together.
        flops_per_sample: of training (forward and backward), counted by hand.
        peak: FLOP/s of all devices together at the precision of the matrix products.
    """

    def __init__(
        self,
        samples: int,
        flops_per_sample: float | None = None,
        peak: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._samples, self._flops, self._peak, self._clock = samples, flops_per_sample, peak, clock
        now = clock()
        self._window, self._whole = _Span(now), _Span(now)
        self._within: str | None = None  # what is going on that is no step
        self._begun = False

    @contextlib.contextmanager
    def waiting(self, in_flight: Any = None) -> Iterator[None]:
        """Around the wait for a batch.

        Args:
            in_flight: results of the last step that was dispatched. Where the devices still
                compute them when the batch has come, waiting cost nothing and does not count.
        """
        start = self._clock()
        self._begin(start)
        try:
            yield
        finally:
            if self._within is None and not _busy(in_flight):
                waited = self._clock() - start
                for span in (self._window, self._whole):
                    span.waited += waited

    @contextlib.contextmanager
    def outside(self, name: str) -> Iterator[None]:
        """Around what is no training: "compiling", "validation", "saving"."""
        if self._within is not None:  # the outer one counts
            yield
            return
        self._within, start = name, self._clock()
        try:
            yield
        finally:
            self._within, took = None, self._clock() - start
            for span in (self._window, self._whole):
                span.apart[name] = span.apart.get(name, 0.0) + took

    def step_done(self, steps: int = 1) -> None:
        """So many more steps have been done."""
        for span in (self._window, self._whole):
            span.steps += steps

    def window(self) -> dict[str, Any]:
        """The rates since the last call, as metrics.

        Returns:
            samples_per_s, step_ms, data_wait (0..1, the share of the steps' time), mfu (0..1 of
            the peak) - None where it cannot be known - and seconds_apart: {name: s}.
        """
        answer = self._rates(self._window)
        self._window = _Span(self._clock())
        return answer

    def total(self) -> dict[str, Any]:
        """The same since the beginning, and the number of steps."""
        return {"steps": self._whole.steps, **self._rates(self._whole)}

    def _begin(self, now: float) -> None:
        """Training begins where it first waits for a batch; what was before is no slow step."""
        if self._within is None and not self._begun:
            self._begun = True
            for span in (self._window, self._whole):
                span.since = now - sum(span.apart.values())

    def _rates(self, span: _Span) -> dict[str, Any]:
        busy = self._clock() - span.since - sum(span.apart.values())
        known = span.steps > 0 and busy > 0
        rate = span.steps * self._samples / busy if known else None
        possible = rate is not None and self._flops and self._peak
        return {
            "samples_per_s": rate,
            "step_ms": 1e3 * busy / span.steps if known else None,
            "data_wait": min(span.waited / busy, 1.0) if known else None,
            "mfu": rate * self._flops / self._peak if possible else None,
            "seconds_apart": dict(span.apart),
        }


def _busy(in_flight: Any) -> bool:
    """Are the devices still computing any of these arrays?"""
    if in_flight is None:
        return False
    import jax

    return not all(leaf.is_ready() for leaf in jax.tree.leaves(in_flight) if _is_array(leaf))


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "is_ready")
