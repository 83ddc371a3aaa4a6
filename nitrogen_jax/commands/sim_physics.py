"""`nitrogen sim physics`: does stopping a game change it?"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

SUMMARY = "Plays the same pad in lockstep, with long pauses, and in real time, and compares."
EXAMPLES = """\
  nitrogen sim physics supertux
  nitrogen sim physics freedoom --level E1M2 --seconds 20 --pad random --out physics.html
It takes about four times the given seconds and more. --out writes a page with the table, a plot of
the differences and pictures of the same moments. Of freedoom and supertux, numbers
that judges read (where the player is) are compared as well.
Exit code 0: pauses change nothing (or the game never repeats exactly); 1: they do; 2: bad usage."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", metavar="GAME", help="a name of 'nitrogen sim list', of apt's")
    parser.add_argument("--level", metavar="NAME", help="the game's first one")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of game time; 10")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all; 0")
    parser.add_argument(
        "--pad", default="scripted", metavar="PAD", help="scripted, random or a file; scripted"
    )
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="write a page")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import states
    from nitrogen_jax.report import physics_page
    from nitrogen_jax.sim import games, physics, play

    options = {} if args.level is None else {"level": args.level}
    (source,) = play.sources([args.pad])
    total = len(physics.RUNS) * round(args.seconds * games.get(args.game).fps)
    read = states.reader(args.game)
    with terminal.progress(f"playing {args.game}", total, "steps") as advance:
        found = physics.measure(args.game, args.seconds, args.seed, source, options, read, advance)
    if args.out is not None:
        physics_page.write(found, args.out, shlex.join(["nitrogen", "sim", *sys.argv[2:]]))
    if args.json:
        terminal.out().print(json.dumps(_figures(found)), markup=False)
    else:
        table = terminal.table(found.slug, physics_page.COLUMNS, physics_page.rows(found))
        terminal.out().print(table)
        if found.comparisons[0].state_difference:
            columns = ("run", "number of the game", "largest difference>")
            terminal.out().print(terminal.table("", columns, physics_page.state_rows(found)))
        for line in physics_page.verdict(found):
            terminal.out().print(line, markup=False)
    return 1 if found.pauses_change_nothing is False else 0


def _figures(found) -> dict[str, object]:
    return {
        "game": found.slug,
        "level": found.level,
        "pauses_change_nothing": found.pauses_change_nothing,
        "real_share": found.real_share if found.real_share == found.real_share else None,
        "runs": [
            {
                "name": one.name,
                "equal": one.equal,
                "first_other": one.first,
                "mean": float(one.difference.mean()),
                "largest": float(one.difference.max()),
                "state": dict(one.state_difference),
            }
            for one in found.comparisons
        ],
    }
