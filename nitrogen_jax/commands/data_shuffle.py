"""`nitrogen data shuffle`: a label tree whose actions change places, as a control."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Copies a label tree whose actions change places: what training on labels is compared to."
EXAMPLES = """\
  nitrogen data shuffle --labels labels/ --out shuffled/
  nitrogen data build --labels shuffled/ --videos videos/ --out records_shuffled/
The same actions are there as often; none of them belongs to its picture any more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--labels", type=Path, required=True, metavar="TREE", help="is read")
    parser.add_argument("--out", type=Path, required=True, metavar="TREE", help="a new one")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the new places; 0")
    parser.add_argument(
        "--block", type=float, default=1.0, metavar="S", help="seconds that stay together; 1"
    )


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data import shuffle

    chunks = shuffle.shuffle_tree(args.labels, args.out, args.seed, args.block)
    terminal.out().print(f"wrote {chunks:,} chunks to {args.out}", markup=False)
    return 0
