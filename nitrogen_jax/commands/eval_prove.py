"""`nitrogen eval prove`: the judges, proved on this machine."""

from __future__ import annotations

import argparse
import contextlib
import json
from typing import TYPE_CHECKING, Any

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.evaluation.task import Task

SUMMARY = (
    "Plays each task twice, by its proof and by nobody: its judge must say success and failure."
)
EXAMPLES = """\
  nitrogen eval prove
  nitrogen eval prove supertux/igloo neverball/goal
  nitrogen eval prove --suite combat --json
A proof is a file of recorded actions, or a scripted player for games that do not repeat exactly.
Exit code 0: all are right; 1: one is wrong, or a task has no proof; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="*", metavar="TASK", help="default all that can be played")
    parser.add_argument("--suite", default="default", metavar="NAME", help="as in 'nitrogen eval'")
    parser.add_argument("--strict", action="store_true", help="refuse if a game is not installed")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import suite

    chosen = suite.chosen(args.suite, args.task)
    lacking = suite.lacking(chosen, args.strict)
    rows = []
    ready = [task for task in chosen if task.name not in lacking]
    with terminal.progress("proofs", len(ready), "tasks") as advance:
        for task in ready:
            rows.append(_prove(task))
            advance(1)
    wrong = [row["task"] for row in rows if not row["holds"]]
    _show(args, rows, lacking)
    return 1 if wrong or not rows else 0


def _prove(task: Task) -> dict[str, Any]:
    """What came of it, for JSON."""
    from nitrogen_jax.evaluation import proof

    row: dict[str, Any] = {"task": task.name, "holds": False, "why": ""}
    try:
        with contextlib.closing(task.make()) as env:
            found = proof.prove(task, env)
    except NitrogenError as error:
        return row | {"why": str(error)}
    for name, one in (("proof", found.reached), ("idle", found.idle)):
        row[name] = {
            "outcome": one.outcome,
            "progress": one.verdict.progress,
            "facts": dict(one.verdict.facts),
            "steps": one.steps,
            "seconds": one.seconds,
            "wall": round(one.wall, 3),
            "why": one.why,
        }
    why = found.reached.why or found.idle.why
    return row | {"holds": found.holds, "seed": found.seed, "why": why}


def _show(args: argparse.Namespace, rows: list[dict[str, Any]], lacking: dict[str, str]) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import tables

    screen, notes = terminal.out(), terminal.console()
    if args.json:
        screen.print(json.dumps({"tasks": rows, "skipped": lacking}), markup=False)
        return
    shown = []
    for row in rows:
        cells = [row["task"], "holds" if row["holds"] else "WRONG"]
        for name in ("proof", "idle"):
            one = row.get(name)
            cells.append(f"{one['outcome']} {one['progress']:.2f}" if one else "-")
        seconds = sum(row[name]["wall"] for name in ("proof", "idle") if name in row)
        shown.append((*cells, f"{seconds:.0f}"))
    table = terminal.table("", ("task", "judge", "proof", "idle", "s>"), shown)
    screen.print(tables.light(table))
    for row in rows:
        if row["why"]:
            notes.print(f"{row['task']}: {row['why']}", markup=False)
    for task, why in lacking.items():
        notes.print(f"skipped {task}: {why}", markup=False)
