"""`nitrogen eval list`: the tasks."""

from __future__ import annotations

import argparse
import json

SUMMARY = "Lists the tasks of the suite, and what would have to be installed to play them."
EXAMPLES = """\
  nitrogen eval list
  nitrogen eval list combat --goals
  nitrogen eval list --json
Exit code 0, also where nothing is installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "suite", nargs="?", default="default", metavar="SUITE", help="as --suite; default all tasks"
    )
    parser.add_argument("--goals", action="store_true", help="also what is to be reached")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import results, suite, tables

    screen, chosen = terminal.out(), suite.chosen(args.suite)
    lacking = {task.name: task.missing() for task in chosen}
    if args.json:
        rows = [
            {
                "task": task.name,
                "game": task.game,
                **results.tags_of(task),
                "level": task.level,
                "frame_skip": task.frame_skip,
                "expert": task.expert is not None,
                "scripted": task.scripted,
                "installed": lacking[task.name] is None,
                "lacks": lacking[task.name],
            }
            for task in chosen
        ]
        screen.print(json.dumps(rows), markup=False)
        return 0
    shown = [tables.task_row(task) for task in chosen]
    games = {task.game for task in chosen}
    title = f"{len(chosen)} tasks in {len(games)} games"
    screen.print(tables.light(terminal.table(title, tables.TASK, shown)))
    if args.goals:
        for task in chosen:
            screen.print(f"{task.name}: {task.goal}", markup=False)
    for line in sorted({why for why in lacking.values() if why}):
        screen.print(line, markup=False)
    return 0
