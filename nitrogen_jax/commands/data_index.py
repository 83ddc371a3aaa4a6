"""`nitrogen data index`: which samples of records to train on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

SUMMARY = "Makes an index of records: which samples to train on. Filters change it, not records."
EXAMPLES = """\
  nitrogen data index records/                                  the defaults, as after a build
  nitrogen data index records/ --name lively --min-active 0.8
  nitrogen data index records/ --name nvidia --shift 3 --min-confidence 0.9
  nitrogen data index records/ --name slow --control-rate 30 --split val"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", type=Path, help="a folder of records")
    parser.add_argument("--name", default="default", help="of the index; default")
    parser.add_argument("--split", help="one split; all of them if not said")
    parser.add_argument("--json", action="store_true", help="print what is in it as JSON")
    add_filters(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The options that decide what is in an index."""
    group = parser.add_argument_group("samples")
    group.add_argument("--horizon", type=int, default=18, help="actions in a chunk; 18")
    group.add_argument(
        "--shift", type=int, default=1, help="control steps from the frame to the first action; 1"
    )
    group.add_argument("--control-rate", type=float, metavar="HZ", help="the video's if not said")
    group.add_argument(
        "--min-active", type=float, default=0.5, metavar="SHARE", help="of steps, not idle; 0.5"
    )
    group.add_argument("--dead-zone", type=float, default=0.1, help="of sticks; 0.1")
    group.add_argument(
        "--min-confidence", type=float, default=0.0, metavar="C", help="of every step; 0"
    )
    group.add_argument("--game", action="append", default=[], help="only this; may be repeated")


def options(args: argparse.Namespace):
    """The IndexOptions that the arguments ask for, checked."""
    from nitrogen_jax.data.control import Steps
    from nitrogen_jax.data.window_index import Filters, IndexOptions

    filters = Filters(args.min_active, args.dead_zone, args.min_confidence, tuple(args.game))
    steps = Steps(args.horizon, args.shift, args.control_rate)
    return IndexOptions(steps.check(), filters.check())


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data import records, window_index

    wanted = options(args)
    known = records.splits(args.records)
    if args.split is not None and args.split not in known:
        records.shard_files(args.records, args.split)  # says which there are
    names = [args.split] if args.split else sorted(known)
    made = {}
    with terminal.progress("index", None, "chunks") as advance:
        for split in names:
            made[split] = window_index.write_index(args.records, split, args.name, wanted, advance)
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(made), markup=False)
    else:
        causes = sorted({cause for about in made.values() for cause in about["left_out"]})
        rows = [
            (
                split,
                about["chunks"],
                f"{about['samples']:,}",
                *(f"{about['left_out'].get(cause, 0):,}" for cause in causes),
            )
            for split, about in made.items()
        ]
        columns = ("split", "chunks>", "samples>", *(f"not: {cause}>" for cause in causes))
        screen.print(terminal.table(f"index {args.name} of {args.records}", columns, rows))
    return 0 if any(about["samples"] for about in made.values()) else 1
