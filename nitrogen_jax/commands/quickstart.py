"""`nitrogen quickstart`: watch, label, learn, play and score in one command."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.chain.quickstart import Plan
    from nitrogen_jax.chain.stages import Stage

SUMMARY = (
    "The whole chain on one game: records an expert's play with a controller overlay, reads the "
    "overlay, trains a small policy on it, lets it play, and writes one page about all of it."
)
EXAMPLES = """\
  nitrogen quickstart                                  a quarter of an hour on two cores
  nitrogen quickstart --short --out /tmp/short         the same stages in a minute or two
  nitrogen quickstart --list                           the command of every stage
  nitrogen quickstart --task vizdoom/defend-the-center --out centre/ --minutes 6 --steps 6000
  nitrogen quickstart --only eval-policy report        these stages, where the others are done
./launch/quickstart.sh does it in an environment that it makes. The same command again goes on where
it was stopped, and ends with the same numbers; a stage that is asked for differently is made anew,
with all that reads it. Exit code 0: the page is written, whatever it says; 1: a stage failed;
2: bad usage or input, or something is not installed."""

SIZES = ("task", "minutes", "steps", "episodes", "execute", "seed", "workers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sizes(parser, Path("quickstart"))


def add_sizes(parser: argparse.ArgumentParser, out: Path) -> None:
    """The options of a quick start, and of a study that has its stages.

    Args:
        out: the folder where none is given.
    """
    parser.add_argument(
        "--out", type=Path, default=out, metavar="DIR", help=f"all that is made; {out}/"
    )
    parser.add_argument(
        "--short", action="store_true", help="as little of everything as works: nothing is learnt"
    )
    parser.add_argument("--task", metavar="NAME", help="one of 'nitrogen eval list' with an expert")
    parser.add_argument("--minutes", type=float, metavar="M", help="of play that is recorded")
    parser.add_argument("--steps", type=int, metavar="N", help="of training")
    parser.add_argument("--episodes", type=int, metavar="N", help="that each player plays")
    parser.add_argument("--execute", type=int, metavar="K", help="actions played of each chunk")
    parser.add_argument("--seed", type=int, metavar="S", help="of everything; 0")
    parser.add_argument("--workers", type=int, metavar="N", help="games at a time; 2")
    parser.add_argument("--only", nargs="+", metavar="STAGE", help="run no other stages")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print the stages and stop")
    what.add_argument(
        "--report", action="store_true", help="write the page anew, of what is there already"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax.chain import quickstart

    def write() -> None:
        from nitrogen_jax.report import quickstart_page

        quickstart_page.write(args.out)

    return go(args, quickstart.stages, "report", write, lambda: _tell(args))


def go(
    args: argparse.Namespace,
    chain_of: Callable[[Plan], list[Stage]],
    last: str,
    write: Callable[[], None],
    tell: Callable[[], int],
) -> int:
    """Does what the options of `add_sizes` ask for.

    Args:
        last: the stage that writes the page.
        write: what that stage does.
        tell: shows the numbers of the page; the exit code.
    """
    from nitrogen_jax import terminal
    from nitrogen_jax.chain import quickstart, stages, view

    if args.report:
        write()
        return tell()
    plan = _plan(args)
    chain = chain_of(plan)
    names = [stage.name for stage in chain]
    if unknown := [name for name in args.only or () if name not in names]:
        raise NitrogenError(f"there is no stage {unknown[0]!r}: {', '.join(names)} are there")
    if args.list:
        for stage in chain:
            terminal.out().print(f"# {stage.name}: {stage.title}", markup=False)
            terminal.out().print(stage.command(args.out), markup=False)
        return 0
    quickstart.check(plan)  # before anything is imported that may not be installed
    from nitrogen_jax.chain import quickstart_results

    quickstart_results.write_plan(plan, args.out)
    try:
        with view.watching(chain, str(args.out)) as watch:
            done = stages.run(chain, args.out, watch, args.only)
    except stages.StageFailed as error:
        terminal.console().print(str(error), markup=False)
        return 1
    if last not in done:
        left = [name for name in names if name not in done]
        terminal.console().print(f"still to be done: {', '.join(left)}", markup=False)
        return 0
    return tell()


def _plan(args: argparse.Namespace) -> Plan:
    from nitrogen_jax.chain import quickstart

    given = {name: getattr(args, name) for name in SIZES}
    given = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(quickstart.SHORT if args.short else quickstart.Plan(), **given)


def _tell(args: argparse.Namespace) -> int:
    from nitrogen_jax.chain import quickstart

    return tell(
        args,
        quickstart.RESULTS,
        quickstart.REPORT,
        lambda numbers: (numbers["verdict"], numbers["progress_verdict"]),
    )


def tell(
    args: argparse.Namespace,
    results: str,
    report: str,
    verdicts: Callable[[Mapping[str, Any]], Iterable[str]],
) -> int:
    """Shows the players and what may be said of them; the exit code.

    Args:
        results, report: names of the files in `args.out`.
        verdicts: of the numbers, a line each.
    """
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation.scores import Score, counted, progressed

    screen = terminal.out()
    try:
        found = json.loads((args.out / results).read_bytes())
    except (OSError, ValueError) as error:
        raise NitrogenError(f"{args.out / results} cannot be read: {error}") from None
    if args.json:
        screen.print(json.dumps(found), markup=False)
        return 0
    numbers = found["numbers"]
    players = [Score(**one) for one in numbers["players"].values()]
    rows = [(one.name, counted(one), progressed(one)) for one in players]
    screen.print(
        terminal.table(numbers["plan"]["task"], ("who", "successes", "mean progress"), rows)
    )
    for line in verdicts(numbers):
        screen.print(line, markup=False)
    screen.print(f"the page: {args.out / report}", markup=False)
    return 0
