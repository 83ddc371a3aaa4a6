"""`nitrogen data validate`: every violation of the label format."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from functools import partial

SUMMARY = "Lists everything in a label tree that is not as the format says, with its path."
EXAMPLES = """\
  nitrogen data validate labels/
  nitrogen data validate SHARD_0000.tar.gz --limit 20
  nitrogen data validate labels/ --json > violations.json
Exit code 0: nothing found; 1: something is, be it only a warning; 2: no tree to check.
A chunk is usable if it can be read for training all the same."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "tree", metavar="TREE", help="a folder with actions/, shards or tarballs, or one tarball"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument(
        "--limit", metavar="N", type=int, help="list only the first N; all are counted"
    )


def run(args: argparse.Namespace) -> int:
    from collections import Counter

    from nitrogen_jax import terminal
    from nitrogen_jax.data.label_check import check_tree
    from nitrogen_jax.data.label_fields import shown
    from nitrogen_jax.data.label_tree import open_tree
    from nitrogen_jax.errors import NitrogenError

    if args.limit is not None and args.limit < 0:
        raise NitrogenError(f"--limit is {args.limit}, where at least 0 is needed")
    tree, name = open_tree(args.tree), shown(args.tree)
    screen = terminal.out()
    listed, counts, levels, chunks = [], Counter(), Counter(), Counter()
    # NOTE: on a terminal, lines would be written into the progress bar.
    held: list[str] = []
    show = held.append if sys.stdout.isatty() else partial(screen.print, markup=False)
    try:
        with terminal.progress(f"checking {name}", tree.size(), tree.size_unit) as advance:
            for violation in check_tree(tree, advance, chunks):
                counts[violation.level, violation.cause, violation.usable] += 1
                levels[violation.level] += 1
                if args.limit is not None and levels.total() > args.limit:
                    continue
                if args.json:
                    listed.append(dataclasses.asdict(violation))
                else:
                    usable = "usable" if violation.usable else "not usable"
                    show(f"{violation.level} {violation.cause} ({usable}): {violation.message}")
    finally:
        for line in held:
            screen.print(line, markup=False)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0]))
    if args.json:
        by_cause: Counter[str] = Counter()
        for (_, cause, _), count in ordered:
            by_cause[cause] += count
        data = {
            "tree": name,
            "chunks": chunks.total(),
            "usable": chunks[True],
            "errors": levels["error"],
            "warnings": levels["warning"],
            "by_cause": by_cause,
            "violations": listed,
        }
        screen.print(json.dumps(data), markup=False)
    else:
        rows = [
            (level, cause, "yes" if usable else "no", f"{count:,}")
            for (level, cause, usable), count in ordered
        ]
        columns = ("level", "cause", "usable", "violations>")
        if rows:
            screen.print(terminal.table("", columns, rows))
        summary = f"{levels['error']:,} errors and {levels['warning']:,} warnings"
        usable = f"{chunks[True]:,} of {chunks.total():,} chunks are usable"
        screen.print(f"{name}: {summary}, {usable}", markup=False)
    return 1 if counts else 0
