"""`nitrogen sim check`: whether a game keeps the simulator's promises here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Plays a game some times over: does it boot, stand still, obey the pad, repeat exactly?"
EXAMPLES = """\
  nitrogen sim check supertux
  nitrogen sim check freedoom --level E1M3 --steps 600 --load
  nitrogen sim check vizdoom --json
Exit code 0: all promises are kept; 1: one is not; 2: bad usage, or the game is not installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", metavar="GAME", help="a name of 'nitrogen sim list'")
    parser.add_argument("--level", metavar="NAME", help="the game's first one")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="of each episode; 300")
    parser.add_argument(
        "--pause", type=float, default=2.0, metavar="S", help="how long it must stand still; 2"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the episode; 0")
    parser.add_argument("--load", action="store_true", help="repeat beside a busy process")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.sim import check

    if args.steps < 2 or not 0 <= args.pause <= 3600:
        raise NitrogenError("--steps needs at least 2 and --pause 0 to 3600 seconds")
    options = {} if args.level is None else {"level": args.level}
    with terminal.progress(f"checking {args.game}", 1.0) as advance:
        found = check.check(
            args.game, args.steps, args.pause, args.seed, args.load, options, advance
        )
    if args.json:
        terminal.out().print(json.dumps([asdict(one) for one in found]), markup=False)
    else:
        words = {True: "yes", False: "NO", None: "not promised"}
        rows = [(one.promise, words[one.kept], one.value) for one in found]
        terminal.out().print(terminal.table(args.game, ("promise", "kept", "seen"), rows))
    return 1 if any(one.kept is False for one in found) else 0
