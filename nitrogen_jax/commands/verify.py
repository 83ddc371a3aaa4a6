"""`nitrogen verify`: our network against recorded outputs of the original."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

SUMMARY = "Compares our network with recorded outputs of the original, in float32."
EXAMPLES = """\
  nitrogen verify tests/data/golden/tiny
A folder holds ng.pt, io.npz, grad_norms.json and vision.json. The last line of standard output is
JSON. Exit code 0: everything agrees within 1e-4; 1: something does not; 2: the folder is broken."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.weights.policies import add_vision_argument

    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of recordings")
    add_vision_argument(parser)


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.weights.verify import verify

    screen = terminal.out()
    with terminal.progress(f"verifying {args.folder}", None) as advance:
        report = verify(args.folder, args.vision, tick=advance)
    rows = []
    for row in report.rows:
        worst = max(row.arrays, key=lambda name: _ordered(row.arrays[name]))
        mark = "ok" if row.ok else "DIFFERS"
        rows.append((row.name, f"{row.error:.2e}", f"{row.tolerance:.0e}", mark, worst))
    columns = ("quantity", "error>", "tolerance>", "", "largest error in")
    screen.print(terminal.table(str(args.folder), columns, rows))
    for notice in report.notices:
        screen.print(f"notice: {notice}", markup=False)
    if report.skipped:
        screen.print(f"not recorded, skipped: {', '.join(report.skipped)}", markup=False)
    data = {
        "ok": report.ok,
        "rows": [
            {
                "name": row.name,
                "error": _number(row.error),
                "tolerance": row.tolerance,
                "ok": row.ok,
            }
            for row in report.rows
        ],
        "skipped": list(report.skipped),
    }
    screen.print(json.dumps(data), markup=False)
    return 0 if report.ok else 1


def _ordered(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _number(value: float) -> float | None:
    """JSON has no infinity: an error that is no number is null."""
    return value if math.isfinite(value) else None
