"""Runs what `nitrogen bench sample` was asked for, and lays the results out."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from nitrogen_jax import __version__, terminal
from nitrogen_jax.bench import parts, sample, timing, tpu
from nitrogen_jax.bench.sample import Result
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.sampler import default_compute
from nitrogen_jax.weights.policies import RANDOM, load_policy

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
        device = jax.devices()[0]
        rate = timing.matmul_tflops(compute.dtype)
        about |= {"device": device.device_kind, "devices": jax.device_count()}
        about["matmul_tflops"] = rate
        ways = 1 + args.naive + args.torch + args.parts
        with terminal.progress("measuring", len(batches) * len(steps) * ways) as advance:
            for count in steps:
                run_one = sample.bench_cached(
                    cfg, params, batches, count, compute, rate, args.runs, args.guidance
                )
                for result in run_one:
                    results.append(result)
                    advance(1)
                for batch in batches:
                    if args.parts:
                        results += parts.bench_parts(
                            cfg, params, batch, count, compute, rate, args.runs
                        )
                        advance(1)
                    for wanted, way in ((args.naive, "naive"), (args.torch, "torch")):
                        if wanted:
                            function = getattr(sample, f"bench_{way}")
                            results.append(
                                function(cfg, params, batch, count, compute, rate, args.runs)
                            )
                            advance(1)
    else:
        cfg = (
            policy_preset(args.policy.removeprefix(RANDOM))
            if args.policy.startswith(RANDOM)
            else load_policy(args.policy, args.vision).meta.config
        )
        steps = list(steps) or [cfg.euler_steps]
    if args.tpu:
        with terminal.progress(f"compiling for {args.tpu}", len(batches) * len(steps)) as advance:
            for count in steps:
                for batch in batches:
                    results.append(tpu.compile_sampler(cfg, batch, count, args.tpu))
                    advance(1)
    return Done(about, results)


def ratios(results: Sequence[Result]) -> list[dict[str, Any]]:
    """How many times slower the other ways are than ours, at the same batch and steps."""
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
                        "speedup": other.median_ms / ours.median_ms,
                    }
                )
    return rows


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
