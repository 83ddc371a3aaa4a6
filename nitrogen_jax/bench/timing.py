"""Timing calls in turn, and the machine's own matmul rate to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax


def in_turn(
    calls: Sequence[Callable[[], Any]], rounds: int, tick: Callable[[], None] = lambda: None
) -> list[list[float]]:
    """Milliseconds of every call in every round, after one round that does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for index in range(1 + rounds):
        for row, call in zip(times, calls, strict=True):
            start = time.perf_counter()
            call()
            if index:
                row.append(1e3 * (time.perf_counter() - start))
        tick()
    return times


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


def matmul_flops(dtype: str) -> float:
    """FLOP/s of all devices together, if all multiply as fast as the default one."""
    # NOTE: the devices of a process on a CPU are the same cores.
    count = jax.process_count() if jax.default_backend() == "cpu" else jax.device_count()
    return matmul_tflops(dtype) * 1e12 * count


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
