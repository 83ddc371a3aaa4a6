"""`nitrogen study transfer`: pre-training on other games against learning from scratch."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.chain.stages import Stage

OVERRIDES = True
SUMMARY = "Does pre-training on other games help on one that is new? Plays, trains and compares."
EXAMPLES = """\
  nitrogen study transfer --out runs/transfer
  nitrogen study transfer --out runs/transfer --list          every stage and its command
  nitrogen study transfer --out runs/transfer --only 'train-*'     on a machine with a GPU, say
  nitrogen study transfer --out runs/transfer-3 --seeds='(0, 1, 2)' --episodes=50
  nitrogen study transfer --short --out runs/transfer-short   all of it in the small, for nothing
The same command again goes on where it was stopped. --a=value changes a value of the recipe. The
folder may be moved to another machine between two stages. In --out/report are report.html,
RESULTS.md, plot.svg and results.json, of what is done so far.
Exit code 0: all stages are done; 1: a stage failed, or some are left; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.chain.transfer import CONFIGS

    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="all that is made")
    parser.add_argument(
        "--recipe",
        type=Path,
        default=CONFIGS / "study.py",
        metavar="FILE",
        help="what is compared; configs/transfer/study.py",
    )
    parser.add_argument("--short", action="store_true", help="short.py beside the recipe instead")
    parser.add_argument("--list", action="store_true", help="show stages and commands, run nothing")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="STAGE",
        help="run these alone, by their names in --list, * for any letters",
    )
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import config as configs
    from nitrogen_jax import terminal
    from nitrogen_jax.chain import stages, transfer, transfer_results, view
    from nitrogen_jax.report import transfer_page

    recipe = args.recipe.with_name("short.py") if args.short else args.recipe
    study = configs.load(recipe, args.overrides)
    if not isinstance(study, transfer.Study):
        raise NitrogenError(f"{recipe}: its config() is a {type(study).__name__}, not a Study")
    every = transfer.stages(study.check())
    if args.list:
        _list(every, args.out)
        return 0
    chosen = _chosen(every, args.only)
    # Trainings of one kind are one program: compiled once, it is kept for the others.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(args.out.absolute() / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    with view.watching([one for one in every if one.name in chosen], "transfer study") as watch:
        try:
            done = stages.run(every, args.out, watch, chosen)
            failed = None
        except stages.StageFailed as error:
            done, failed = stages.read(args.out), error
    found = transfer_results.collect(study, args.out)
    written = transfer_page.write(found, args.out / "report")
    if args.json:
        terminal.out().print(json.dumps(found.plain()), markup=False)
    else:
        for table in transfer_page.tables(found)[1:]:
            terminal.out().print(terminal.table(*table))
    if failed is not None:
        terminal.console().print(str(failed), markup=False)
    left = [one.name for one in every if one.name not in done or not done[one.name].done]
    if left:
        terminal.console().print(f"{len(left)} stages are left: {', '.join(left)}", markup=False)
    terminal.console().print(f"report: {written}", markup=False)
    return 1 if failed or left else 0


def _chosen(every: Sequence[Stage], patterns: Sequence[str] | None) -> list[str]:
    names = [one.name for one in every]
    if patterns is None:
        return names
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise NitrogenError(f"--only {pattern}: there is no such stage; --list shows them")
    return [name for name in names if any(fnmatch.fnmatchcase(name, one) for one in patterns)]


def _list(every: Sequence[Stage], out: Path) -> None:
    from nitrogen_jax import terminal

    for stage in every:
        terminal.out().print(f"# {stage.name}: {stage.title}", markup=False, soft_wrap=True)
        terminal.out().print(stage.command(out), markup=False, highlight=False, soft_wrap=True)
