"""`nitrogen eval POLICY`: plays what is not played yet, and writes the report."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import math
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.evaluation.opened import Opened
    from nitrogen_jax.evaluation.results import Results
    from nitrogen_jax.evaluation.task import Task

EXAMPLES = """\
  nitrogen eval random --episodes 1                         every task that can be played here
  nitrogen eval ng_converted/ --suite default --episodes 5 --workers 2 --out evals/ng
  nitrogen eval tcp://127.0.0.1:5556 --suite combat         what 'nitrogen serve' serves
  nitrogen eval expert --task supertux/igloo neverball/goal
The same command again goes on where it was stopped. Of a checkpoint, one call answers all workers.
Exit code 0: all is played; 1: it had to stop, or nothing could be judged; 2: bad usage or input."""

SHOWN = 10  # lines of what went wrong


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is played")
    what.add_argument(
        "--suite",
        default="default",
        metavar="NAME",
        help="default (all tasks), combat, navigation, game-specific, 2d, 3d, fixed, procedural, "
        "or a game",
    )
    what.add_argument(
        "--task", nargs="+", default=[], metavar="NAME", help="these tasks instead of a suite"
    )
    what.add_argument("--episodes", type=int, default=5, metavar="N", help="of each task; 5")
    what.add_argument("--seed", type=int, default=0, metavar="S", help="of all episodes; 0")
    what.add_argument("--out", type=Path, metavar="DIR", help="results; default evals/POLICY")
    what.add_argument("--workers", type=int, default=2, metavar="N", help="processes; 2")
    what.add_argument("--strict", action="store_true", help="refuse if a game is not installed")
    what.add_argument("--no-clips", action="store_true", help="write no videos")
    what.add_argument("--json", action="store_true", help="print what came of it as JSON")
    policy = parser.add_argument_group("checkpoints and servers")
    policy.add_argument(
        "--execute", type=int, metavar="K", help="actions played of each chunk; default all"
    )
    policy.add_argument(
        "--batch", type=int, metavar="N", help="of a checkpoint's calls; default as many as workers"
    )
    policy.add_argument("--vision", metavar="FILE", help="sizes of a checkpoint's vision tower")
    policy.add_argument(
        "--patience", type=float, default=60.0, metavar="S", help="with a silent server; 60"
    )
    policy.add_argument("--token-file", type=Path, metavar="FILE", help="a server's token")
    policy.add_argument("--curve", type=Path, metavar="DIR", help="a server's keys")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import policies, results, suite
    from nitrogen_jax.evaluation.opened import opened
    from nitrogen_jax.report import eval_page
    from nitrogen_jax.serving import binding

    _check(args)
    is_checkpoint = policies.kind_of(args.policy) == policies.CHECKPOINT
    chosen = suite.chosen(args.suite, args.task)
    lacking = suite.lacking(chosen, args.strict)
    args.out = args.out or Path("evals") / re.sub(r"[^\w.-]+", "-", args.policy).strip("-")
    given = {
        "batch": args.batch or _batch_before(args.out) or args.workers,
        "execute": args.execute,
        "vision": args.vision,
        "patience": args.patience,
        "token": None if args.token_file is None else binding.read_token(args.token_file),
        "curve": args.curve,
    }
    with contextlib.ExitStack() as stack:
        if is_checkpoint:
            with terminal.progress(f"reading {args.policy}", None, "bytes") as advance:
                who = stack.enter_context(opened(args.policy, **given, advance=advance))
        else:
            who = stack.enter_context(opened(args.policy, **given))
        stopped = _play(args, chosen, lacking, who)
    found = results.read(args.out)
    page = eval_page.write(args.out)
    _show(args, found, stopped, page)
    judged = any(one.outcome in ("success", "failure") for one in found.episodes)
    return 1 if stopped or not judged else 0


def _play(
    args: argparse.Namespace, chosen: list[Task], lacking: dict[str, str], who: Opened
) -> str | None:
    """Plays what is open; why it had to stop, None where it had not."""
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import machine, results, runner
    from nitrogen_jax.evaluation.results_write import Writer

    unable = {task.name: why for task in chosen if (why := who.source.lacks(task))}
    skipped = lacking | unable
    about = {
        "policy": dict(who.policy),
        "suite": None if args.task else args.suite,
        "tasks": [task.name for task in chosen],
        "tags": {task.name: results.tags_of(task) for task in chosen},
        "skipped": skipped,
        "episodes": args.episodes,
        "seed": args.seed,
        "play": dict(who.play),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(args),
        "machine": machine.machine() | {"workers": args.workers},
        "versions": machine.versions(task.game for task in chosen),
    }
    plan = runner.Plan(
        tasks=tuple(task for task in chosen if task.name not in skipped),
        episodes=args.episodes,
        seed=args.seed,
        source=who.source,
        workers=args.workers,
        clips=not args.no_clips,
    )
    with Writer(args.out, about) as writer:
        left = plan.open(writer)
        seconds = sum(task.seconds for task, _ in left)
        label = f"{len(left)} episodes"
        with terminal.progress(label, math.ceil(seconds), "s of play") as advance:
            return runner.run(plan, writer, advance)


def _show(args: argparse.Namespace, found: Results, stopped: str | None, page: Path) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import statistics, tables

    screen, notes = terminal.out(), terminal.console()
    groups = statistics.summaries(found.episodes, found.tags)
    if args.json:
        told = {
            "out": str(args.out),
            "report": str(page),
            "stopped": stopped,
            "missing": len(found.missing),
            "about": found.about,
            "summaries": {
                kind: [dataclasses.asdict(one) for one in of] for kind, of in groups.items()
            },
        }
        screen.print(json.dumps(told), markup=False)
    else:
        shown = [one for one in groups["task"] if one.episodes]
        parts = [shown, *(groups[kind] for kind in ("category", "dimensions", "place", "overall"))]
        title = f"{found.about['policy']['name']}: {args.out}"
        rows = tables.summary_rows(parts)
        screen.print(tables.light(terminal.table(title, tables.SUMMARY, rows)))
    for task, why in found.about["skipped"].items():
        notes.print(f"skipped {task}: {why}", markup=False)
    odd = [one for one in found.episodes if one.outcome in statistics.APART]
    for one in odd[:SHOWN]:
        notes.print(f"{one.outcome}: {one.task}, episode {one.episode}: {one.why}", markup=False)
    if len(odd) > SHOWN:
        notes.print(f"and {len(odd) - SHOWN} more, in {args.out / 'episodes.jsonl'}", markup=False)
    if stopped:
        notes.print(
            f"stopped, with {len(found.missing)} episodes left: {stopped}; what is finished is "
            "saved, and the same command goes on",
            markup=False,
        )
    notes.print(f"report: {page}", markup=False)


def _check(args: argparse.Namespace) -> None:
    least = {"episodes": 1, "workers": 1, "batch": 1, "execute": 1, "seed": 0}
    for name, number in least.items():
        value = getattr(args, name)
        if value is not None and value < number:
            raise NitrogenError(f"--{name} is {value}, where at least {number} is needed")
    if not (math.isfinite(args.patience) and args.patience > 0):
        raise NitrogenError(f"--patience is {args.patience}, where more than 0 s are needed")


def _batch_before(out: Path) -> int | None:
    """The batch size of the run that is gone on with, whatever the number of workers is now."""
    from nitrogen_jax.evaluation import results

    if not (out / results.ABOUT).exists():
        return None
    batch = results.read_about(out).get("play", {}).get("batch")
    return batch if type(batch) is int and batch > 0 else None


def _command(args: argparse.Namespace) -> str:
    """The line that does the same again."""
    words = ["nitrogen", "eval", args.policy]
    words += ["--task", *args.task] if args.task else ["--suite", args.suite]
    for name in ("episodes", "seed", "workers", "execute", "batch", "vision", "out"):
        value = getattr(args, name)
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)
