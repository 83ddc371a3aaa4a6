"""`nitrogen bench serve`: the speed of the server."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Measures the server: chunks a second and latency, in batches and one at a time."
EXAMPLES = """\
  nitrogen bench serve --policy random:nitrogen --clients 16 --max-batch 8
  nitrogen bench serve --policy random:test --clients 32 --max-batch 32 --seconds 5 --json
Clients ask over loopback, each again as soon as it is answered. Both ways are measured in turn."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.weights.policies import add_policy_arguments

    add_policy_arguments(parser, default="random:test")
    parser.add_argument("--clients", type=int, default=16, help="that ask at once; default 16")
    parser.add_argument("--max-batch", type=int, default=8, metavar="N", help="default 8")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement; default 5")
    parser.add_argument("--rounds", type=int, default=3, help="of both ways; default 3")
    parser.add_argument("--steps", type=int, help="Euler steps; default the policy's")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by device")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    for name in ("clients", "max_batch", "seconds", "rounds"):
        if not getattr(args, name) > 0:
            option = name.replace("_", "-")
            raise NitrogenError(f"--{option} is {getattr(args, name)}, where more than 0 is needed")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise NitrogenError(f"the folder {args.out.absolute().parent} does not exist")

    from nitrogen_jax import terminal
    from nitrogen_jax.bench import serve
    from nitrogen_jax.files import atomic_path
    from nitrogen_jax.serving.agent import make_engine
    from nitrogen_jax.weights.policies import load_policy

    policy = load_policy(args.policy, args.vision)
    engine = make_engine(policy, steps=args.steps, dtype=args.dtype, batch=args.max_batch)
    engine.warm_up()
    size = engine.facts.image_size
    found = serve.compare(engine, engine.largest, args.clients, args.seconds, args.rounds, size)
    data = {
        "policy": args.policy,
        "results": [dataclasses.asdict(one) for one in found],
        "ratio": found[1].chunks_s / found[0].chunks_s,
    }
    if args.out is not None:
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(data), markup=False)
        return 0
    columns = ["batches of", "chunks/s>", "p50 ms>", "p99 ms>", "mean batch>"]
    numbers = ("chunks_s", "p50_ms", "p99_ms", "mean_batch")
    rows = [
        (f"at most {one.batch}", *(f"{getattr(one, name):.1f}" for name in numbers))
        for one in found
    ]
    screen.print(terminal.table(f"{args.policy}, {args.clients} clients", columns, rows))
    screen.print(f"in batches: {data['ratio']:.2f} times as many chunks", markup=False)
    return 0
