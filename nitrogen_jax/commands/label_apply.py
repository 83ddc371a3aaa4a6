"""`nitrogen label apply`: corrections of a review into a label tree."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Merges corrections that were exported from review pages into a label tree."
EXAMPLES = """\
  nitrogen label apply labels/ abc_chunk_0003.corrections.json --dry-run
  nitrogen label apply labels/ *.corrections.json
  nitrogen label apply labels/ abc_chunk_0003.corrections.json --remap remap.json
All files are checked before anything is written, and applying one twice changes nothing. Tables as
they were before the first correction, and a log, are kept in TREE/corrections/. A range that is not
valid gets confidence 0, one that is certainly valid 1: training filters by it.
Exit code 0: done, or nothing to do; 1: with --dry-run, there is something to do; 2: refused."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tree", type=Path, metavar="TREE", help="the folder that holds actions/")
    parser.add_argument(
        "corrections", type=Path, nargs="+", metavar="CORRECTIONS.json", help="as exported"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and stop")
    parser.add_argument("--remap", type=Path, metavar="FILE", help="as given to 'label run'")
    parser.add_argument(
        "--raw-only", action="store_true", help="leave actions_processed.parquet as it is"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data.label_fields import shown
    from nitrogen_jax.labeling import remap, review_apply, review_corrections

    root = review_apply.tree_root(args.tree)
    files = []
    for path in args.corrections:
        data = _read(path, review_corrections.MAX_BYTES)
        files.append((shown(path), review_corrections.parse(data, shown(path))))
    pairs = {} if args.remap is None else remap.read_remaps(args.remap)
    changes = review_apply.plan(root, files, pairs, args.raw_only)
    if not args.dry_run:
        review_apply.carry_out(changes)
    left = any(change.after for change in changes)
    if args.json:
        chunks = [
            {
                "corrections": name,
                "chunk": shown(change.where),
                "changed": bool(change.after),
                "cells": {
                    table: {column: list(rows) for column, rows in cells.items()}
                    for table, cells in change.cells.items()
                },
            }
            for (name, _), change in zip(files, changes, strict=True)
        ]
        report = {"dry_run": args.dry_run, "chunks": chunks}
        terminal.out().print(json.dumps(report), markup=False)
    else:
        _print(files, changes, "would change" if args.dry_run else "changed")
    return 1 if args.dry_run and left else 0


def _print(files, changes, verb: str) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.data.label_fields import shown

    screen = terminal.out()
    for (name, _), change in zip(files, changes, strict=True):
        if not change.after:
            screen.print(f"{name}: nothing to do, {shown(change.where)} has it", markup=False)
        for table, cells in change.cells.items():
            rows = [(column, _ranges(found), len(found)) for column, found in sorted(cells.items())]
            title = f"{name}: {verb} in {shown(change.where / table)}"
            screen.print(terminal.table(title, ("column", "rows", "cells>"), rows))


def _ranges(rows: tuple[int, ...], most: int = 8) -> str:
    """Ascending rows as "3, 10-12"."""
    found: list[list[int]] = []
    for row in rows:
        if found and found[-1][1] == row - 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    more = [f"and {len(words) - most} more"] if len(words) > most else []
    return ", ".join(words[:most] + more)


def _read(path: Path, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise NitrogenError(f"{path} cannot be read: {error.strerror}") from None
