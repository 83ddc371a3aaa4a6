"""`nitrogen eval compare`: two evaluations of the same episodes."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Compares two evaluations episode by episode: A - B, how sure that is, and (A - B) / B."
EXAMPLES = """\
  nitrogen eval compare evals/mine evals/random
  nitrogen eval compare evals/mine evals/other --measure progress --tasks
  nitrogen eval compare A B --json
Both must be played with the same --seed. Intervals are of a paired bootstrap over episodes.
Exit code 0: compared; 1: they have no judged episode in common; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, metavar="A", help="results of 'nitrogen eval'")
    parser.add_argument("b", type=Path, metavar="B", help="others: the baseline")
    parser.add_argument(
        "--measure", choices=["success", "progress"], help="this one alone; default both"
    )
    parser.add_argument("--tasks", action="store_true", help="also task by task")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import paired, results, tables

    a, b = results.read(args.a), results.read(args.b)
    if a.about["seed"] != b.about["seed"]:
        raise NitrogenError(
            f"{args.a} was played with --seed {a.about['seed']} and {args.b} with "
            f"{b.about['seed']}, where both must have the same"
        )
    measures = [args.measure] if args.measure else list(paired.MEASURES)
    tags = {**b.tags, **a.tags}
    found = {name: paired.differences(a.episodes, b.episodes, tags, name) for name in measures}
    pairs = sum(one.pairs for one in found[measures[0]].get("overall", []))
    screen = terminal.out()
    if args.json:
        told = {
            "a": {"folder": str(args.a), "policy": a.about["policy"]},
            "b": {"folder": str(args.b), "policy": b.about["policy"]},
            "pairs": pairs,
            "differences": {
                name: {kind: [dataclasses.asdict(one) for one in of] for kind, of in some.items()}
                for name, some in found.items()
            },
        }
        screen.print(json.dumps(told), markup=False)
        return 0 if pairs else 1
    if not pairs:
        terminal.console().print("they have no judged episode in common", markup=False)
        return 1
    for side, one in (("A", a), ("B", b)):
        screen.print(f"{side}: {one.about['policy']['name']} ({one.folder})", markup=False)
    for name, some in found.items():
        kinds = [kind for kind in some if args.tasks or kind != "task"]
        rows = [tables.difference_row(one) for kind in kinds for one in some[kind]]
        table = terminal.table(f"{name}, in per cent (95 %)", tables.DIFFERENCE, rows)
        screen.print(tables.light(table))
    return 0
