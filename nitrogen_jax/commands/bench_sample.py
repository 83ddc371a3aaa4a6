"""`nitrogen bench sample`: the speed of the sampler."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Measures the sampler: ms per call, compile time, FLOPs, memory, beside other ways."
EXAMPLES = """\
  nitrogen bench sample --policy random:nitrogen --naive --torch
  nitrogen bench sample --batches 1,8,64 --steps 1,4,16 --dtype bfloat16 --out bench.json
  nitrogen bench sample --tpu v5e:2x2 --no-run       compiled for a TPU on any Linux machine
Ratios are within one run. 'naive' is the same jitted network without caching; 'pytorch' an eager
module of the same sizes and weights that computes as the original does (extra [parity])."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.weights.policies import add_policy_arguments

    add_policy_arguments(parser, default="random:nitrogen")
    parser.add_argument("--batches", default="1", help="batch sizes, comma-separated")
    parser.add_argument("--steps", help="Euler steps, comma-separated; default the config's")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by device")
    parser.add_argument("--attention", choices=["xla", "cudnn"], default="xla")
    parser.add_argument("--guidance", type=float, help="guidance scale; default none")
    parser.add_argument("--runs", type=int, default=7, help="counted calls of each")
    parser.add_argument("--naive", action="store_true", help="also without any caching")
    parser.add_argument("--torch", action="store_true", help="also in PyTorch")
    parser.add_argument("--parts", action="store_true", help="also each part alone")
    parser.add_argument("--tpu", metavar="TOPOLOGY", help="also compile for a TPU, e.g. v5e:2x2")
    parser.add_argument("--no-run", action="store_true", help="with --tpu: compile only")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.bench import report

    batches, steps = _sizes(args.batches, "--batches"), _sizes(args.steps, "--steps")
    if args.runs < 1:
        raise NitrogenError(f"--runs is {args.runs}, where at least 1 is needed")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise NitrogenError(f"the folder {args.out.absolute().parent} does not exist")
    done = report.run(args, batches, steps)
    data = {**done.about, "results": [dataclasses.asdict(r) for r in done.results]}
    data["ratios"] = report.ratios(done.results)
    if args.out is not None:
        from nitrogen_jax.files import atomic_path

        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(data), markup=False)
        return 0
    screen.print(report.table(done))
    for line in report.ratio_lines(done.results):
        screen.print(line, markup=False)
    return 0


def _sizes(text: str | None, option: str) -> list[int]:
    if text is None:
        return []
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise NitrogenError(
            f"{option} is {text!r}, where numbers such as 1,8,64 are needed"
        ) from None
    if min(sizes) < 1:
        raise NitrogenError(f"{option} is {text!r}, where every number must be at least 1")
    return sizes
