"""Timing one call many times, and the machine's own matmul rate to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True)
class Timing:
    """Wall times of the counted calls, in milliseconds."""

    median_ms: float
    p95_ms: float
    runs: int


def measure(
    call: Callable[[], Any], runs: int, warm: int = 1, tick: Callable[[], None] = lambda: None
) -> Timing:
    """Times `runs` calls after `warm` uncounted ones; `call` must return when its work is done."""
    times = []
    for index in range(warm + runs):
        start = time.perf_counter()
        call()
        if index >= warm:
            times.append(1e3 * (time.perf_counter() - start))
        tick()
    return Timing(float(np.median(times)), float(np.percentile(times, 95)), runs)


def matmul_tflops(dtype: str) -> float:
    """TFLOP/s of the best of several large square products on the default device."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    x = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
    product = jax.jit(lambda a: a @ a)
    product(x).block_until_ready()
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        product(x).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e12


def compiled_flops(lowered_step: Any, compiled: Any, steps: int) -> float | None:
    """FLOPs of a sampler as the compiler counts them.

    NOTE: the compiler counts the body of the Euler loop once, so what one step costs (from the
    step's own program) is added for the others.
    """
    whole, step = _flops(compiled), _flops(lowered_step)
    return None if whole is None or step is None else whole + (steps - 1) * step


def peak_mib(compiled: Any) -> float | None:
    """MiB that a program holds at its peak: arguments, results and temporaries."""
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return (held + memory.temp_size_in_bytes - memory.alias_size_in_bytes) / 2**20


def _flops(program: Any) -> float | None:
    cost = program.cost_analysis()
    if cost is None:  # a program for an absent device is counted only once it is compiled
        cost = program.compile().cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return None if not cost or "flops" not in cost else float(cost["flops"])
