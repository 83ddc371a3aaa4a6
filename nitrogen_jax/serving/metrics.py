"""What a server counts, as plain data and in the text format of Prometheus."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import numpy as np

_QUANTILES = (0.5, 0.9, 0.99)
_RECENT = 4096  # chunks that quantiles are of


class Metrics:
    """Counted by the server's thread, read by others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._batches: Counter[int] = Counter()
        # Seconds of the latest chunks: from arrival to reply, in the queue, in the sampler.
        self._seconds = {part: deque(maxlen=_RECENT) for part in ("total", "queue", "infer")}
        self._sums = dict.fromkeys(self._seconds, 0.0)
        self._gauges: dict[str, float] = {}

    def request(self, kind: str) -> None:
        with self._lock:
            self._requests[kind] += 1

    def error(self, code: str) -> None:
        with self._lock:
            self._errors[code] += 1

    def batch(self, size: int) -> None:
        with self._lock:
            self._batches[size] += 1

    def chunk(self, **seconds: float) -> None:
        """One reply with actions: `total`, `queue` and `infer` seconds."""
        with self._lock:
            for part, value in seconds.items():
                self._seconds[part].append(value)
                self._sums[part] += value

    def gauge(self, **values: float) -> None:
        """What is so at the moment: queue, sessions, ..."""
        with self._lock:
            self._gauges.update(values)

    @property
    def chunks(self) -> int:
        """Replies with actions so far."""
        return sum(size * count for size, count in self._batches.items())

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain data; latencies in milliseconds."""
        with self._lock:
            return {
                "requests": dict(self._requests),
                "errors": dict(self._errors),
                "chunks": self.chunks,
                "batches": {str(size): count for size, count in sorted(self._batches.items())},
                "latency_ms": {
                    part: {f"p{q * 100:g}": value * 1e3 for q, value in self._quantiles(part)}
                    for part in self._seconds
                },
                **self._gauges,
            }

    def prometheus(self) -> str:
        """The text that a scrape gets."""
        with self._lock:
            lines = [*_counter("requests", "type", "Requests by type.", self._requests)]
            lines += _counter("errors", "code", "Error replies by code.", self._errors)
            lines += self._batch_lines()
            name = "nitrogen_seconds"
            lines += _head(name, "summary", "Seconds of a chunk, in all and by part.")
            for part in self._seconds:
                for q, value in self._quantiles(part):
                    lines.append(f'{name}{{part="{part}",quantile="{q:g}"}} {value:.6g}')
                lines.append(f'{name}_sum{{part="{part}"}} {self._sums[part]:.6f}')
                lines.append(f'{name}_count{{part="{part}"}} {self.chunks}')
            for name, value in self._gauges.items():
                lines += _head(f"nitrogen_{name}", "gauge", f"{name.capitalize()} at the moment.")
                lines.append(f"nitrogen_{name} {value:g}")
        return "\n".join(lines) + "\n"

    def _batch_lines(self) -> list[str]:
        name, total, count = "nitrogen_batch_size", 0, 0
        lines = _head(name, "histogram", "Requests to a batch.")
        for size in sorted(self._batches):
            count += self._batches[size]
            total += size * self._batches[size]
            lines.append(f'{name}_bucket{{le="{size}"}} {count}')
        lines.append(f'{name}_bucket{{le="+Inf"}} {count}')
        return [*lines, f"{name}_sum {total}", f"{name}_count {count}"]

    def _quantiles(self, part: str) -> list[tuple[float, float]]:
        seconds = self._seconds[part]
        if not seconds:
            return []
        found = np.quantile(np.fromiter(seconds, float), _QUANTILES)
        return list(zip(_QUANTILES, map(float, found), strict=True))


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _counter(name: str, label: str, about: str, counts: Counter[str]) -> list[str]:
    name = f"nitrogen_{name}_total"
    lines = [f'{name}{{{label}="{key}"}} {count}' for key, count in sorted(counts.items())]
    return [*_head(name, "counter", about), *lines]
