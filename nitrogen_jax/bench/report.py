"""Runs what `nitrogen bench sample` was asked for, and lays the results out."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from nitrogen_jax import __version__, terminal
from nitrogen_jax.bench import parts, sample, timing, tpu
from nitrogen_jax.bench.sample import Result
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.serving.sampler import Sampler, default_compute
from nitrogen_jax.weights.policies import RANDOM, load_policy, random_config

OTHERS = ("naive", "pytorch")


@dataclass(frozen=True)
class Done:
    """All results of one run, and what they were measured on."""

    about: dict[str, Any]
    results: list[Result]


def run(args: argparse.Namespace, batches: Sequence[int], steps: Sequence[int]) -> Done:
    """Everything that the options ask for, in one process."""
    compute = dataclasses.replace(default_compute(args.dtype), attention=args.attention)
    results: list[Result] = []
    about: dict[str, Any] = {
        "nitrogen_jax": __version__,
        "jax": jax.__version__,
        "policy": args.policy,
        "dtype": compute.dtype,
    }
    if not args.no_run:
        loaded = load_policy(args.policy, args.vision)
        cfg, params = loaded.meta.config, loaded.params
        steps = list(steps) or [cfg.euler_steps]
        rate = timing.matmul_tflops(compute.dtype)
        about |= {
            "device": jax.devices()[0].device_kind,
            "devices": jax.device_count(),
            "matmul_tflops": rate,
        }
        cells = len(batches) * len(steps)
        with terminal.progress("measuring", cells * (args.runs + 1)) as advance:
            for count in steps:
                sampler = Sampler(
                    cfg,
                    params,
                    compute=compute,
                    steps=count,
                    guidance=args.guidance,
                    buckets=batches,
                )
                for batch in batches:
                    ways = [sample.cached_way(cfg, sampler, batch, count)]
                    if args.parts:
                        ways += parts.part_ways(cfg, params, batch, count, compute)
                    if args.naive:
                        ways.append(sample.naive_way(cfg, params, batch, count, compute))
                    if args.torch:
                        ways.append(sample.torch_way(cfg, params, batch, count, compute))
                    results += sample.measured(ways, rate, args.runs, partial(advance, 1))
    else:
        cfg = config_of(args.policy, args.vision)
        steps = list(steps) or [cfg.euler_steps]
    if args.tpu:
        with terminal.progress(f"compiling for {args.tpu}", len(batches) * len(steps)) as advance:
            for count in steps:
                for batch in batches:
                    results.append(tpu.compile_sampler(cfg, batch, count, args.tpu))
                    advance(1)
    return Done(about, results)


def config_of(spec: str, vision: str | None) -> PolicyConfig:
    """The sizes of a policy; a random one's parameters are not made for that."""
    if spec.startswith(RANDOM):
        return random_config(spec.removeprefix(RANDOM))
    return load_policy(spec, vision).meta.config


def ratios(results: Sequence[Result]) -> list[dict[str, Any]]:
    """How many times as long the other ways take, at the same batch and steps."""
    rows = []
    for other in results:
        for ours in results:
            same = (ours.batch, ours.steps) == (other.batch, other.steps)
            if ours.variant == "cached" and other.variant in OTHERS and same:
                rows.append(
                    {
                        "other": other.variant,
                        "batch": ours.batch,
                        "steps": ours.steps,
                        "speedup": speedup(ours, other),
                    }
                )
    return rows


def speedup(ours: Result, other: Result) -> float:
    """The median over the rounds of the other way's time over ours in the same round."""
    return float(np.median(np.divide(other.times_ms, ours.times_ms)))


def ratio_lines(results: Sequence[Result]) -> list[str]:
    """The ratios as sentences."""
    return [
        f"batch {row['batch']}, {row['steps']} steps: "
        f"{row['speedup']:.2f} x as fast as {row['other']}"
        for row in ratios(results)
    ]


def table(done: Done) -> Any:
    """The results as a table."""
    rate = done.about.get("matmul_tflops")
    measured = "" if rate is None else f", matmul rate {rate:.3g} TFLOP/s"
    title = f"{done.about['policy']} on {done.about.get('device', 'no device')}{measured}"
    columns = (
        "way",
        "batch>",
        "steps>",
        "type",
        "median ms>",
        "p95 ms>",
        "chunks/s>",
        "compile s>",
        "GFLOP compiler>",
        "by hand>",
        "TFLOP/s>",
        "of matmul>",
        "MiB>",
    )
    rows = []
    for r in done.results:
        speed = None if not r.median_ms else 1e3 * r.batch / r.median_ms
        share = "" if r.matmul_share is None else f"{r.matmul_share:.0%}"
        rows.append(
            (
                r.variant,
                r.batch,
                r.steps,
                r.dtype,
                *map(_short, (r.median_ms, r.p95_ms, speed, r.compile_s)),
                *map(_short, (r.gflop_compiler, r.gflop_by_hand, r.tflops)),
                share,
                _short(r.peak_mib),
            )
        )
    return terminal.table(title, columns, rows)


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
