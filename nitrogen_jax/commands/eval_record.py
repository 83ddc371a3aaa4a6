"""`nitrogen eval record`: plays tasks of the suite and writes videos, actions and labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nitrogen_jax.commands import looks
from nitrogen_jax.errors import NitrogenError

SUMMARY = "Records how a scripted player plays tasks of the suite: videos, actions, labels."
EXAMPLES = """\
  nitrogen eval record vizdoom/take-cover --minutes 4 --overlay --out rec/
  nitrogen eval record procgen/maze procgen/heist --episodes 20 --only-success --out rec/
  nitrogen eval record vizdoom/defend-the-line --player random --minutes 1 --out rec/
  nitrogen label run --videos rec/videos --skins rec/skins --out labels/
  nitrogen data build --labels rec/labels --videos rec/videos --out records/
The folder is that of 'nitrogen sim record'; the game of its labels is the task's name. The same
command again goes on where it was stopped, and in games that repeat it gives the same files. A
shorter recording of the same seed is the beginning of a longer one.
Exit code 0: all is written; 1: hardly an episode is worth keeping; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="+", metavar="TASK", help="names of 'nitrogen eval list'")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the recording")
    parser.add_argument(
        "--player",
        default="expert",
        choices=("idle", "random", "hold", "expert"),
        help="who plays; expert",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="of game time of each task; the last episode is cut there",
    )
    parser.add_argument(
        "--episodes", type=int, metavar="N", help="that are kept of each task, instead of minutes"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all episodes; 0")
    parser.add_argument(
        "--only-success", action="store_true", help="keep only episodes that reach the goal"
    )
    parser.add_argument(
        "--frame-skip", type=int, metavar="N", help="frames of the game to one; the task's own"
    )
    parser.add_argument("--no-labels", action="store_true", help="no label tree, only actions")
    parser.add_argument("--json", action="store_true", help="print what was recorded as JSON")
    looks.add_arguments(parser, corners=True)


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import recording, suite

    if args.seed < 0:
        raise NitrogenError(f"--seed is {args.seed}, where at least 0 is needed")
    if args.minutes is None and args.episodes is None:
        raise NitrogenError("--minutes or --episodes is needed: how much is to be recorded?")
    plan = recording.Plan(
        tasks=tuple(suite.chosen(names=args.task)),
        player=args.player,
        episodes=args.episodes,
        minutes=args.minutes,
        seed=args.seed,
        only_success=args.only_success,
        frame_skip=args.frame_skip,
        looks=looks.looks(args),
        tree=not args.no_labels,
    )
    try:
        with terminal.progress("recording", round(recording.seconds(plan)), "s of play") as advance:
            takes = recording.record_tasks(plan, args.out, advance)
    except recording.Hopeless as error:
        terminal.console().print(f"nitrogen eval record: {error}", markup=False)
        return 1
    if args.json:
        terminal.out().print(json.dumps([vars(take) for take in takes]), markup=False)
        return 0
    rows = []
    for task in plan.tasks:
        own = [take for take in takes if take.task == task.name]
        kept = [take for take in own if take.kept]
        rows.append(
            (
                task.name,
                len(own),
                sum(take.outcome == "success" for take in own),
                len(kept),
                f"{sum(take.frames for take in kept):,}",
                f"{sum(take.frames / take.rate for take in kept) / 60:.2f}",
            )
        )
    columns = ("task", "episodes>", "successes>", "kept>", "frames>", "minutes>")
    terminal.out().print(terminal.table(str(args.out), columns, rows))
    return 0
