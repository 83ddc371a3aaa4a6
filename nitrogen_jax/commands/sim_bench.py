"""`nitrogen sim bench`: how fast games step here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nitrogen_jax.commands.sizes import size
from nitrogen_jax.errors import NitrogenError

SUMMARY = "Measures games: steps a second, what a frame costs them, and what our side adds."
EXAMPLES = """\
  nitrogen sim bench
  nitrogen sim bench supertux freedoom --window 256x256 --steps 1000
  nitrogen sim bench vizdoom --json
Without a name, all games that are installed are measured. 'game ms' is the processor time of the
game's process for one frame; 'ours ms' is the median of what is left of a step: waking the game,
waiting for it, reading and resizing its frame, which is 'picture ms' of it. On a busy machine
'our cpu ms', the processor time of our process, says more. Exit code 0, or 2 for bad usage."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("games", nargs="*", metavar="GAME", help="names of 'nitrogen sim list'")
    parser.add_argument("--steps", type=int, default=600, metavar="N", help="of each game; 600")
    parser.add_argument(
        "--window",
        type=size,
        nargs="+",
        default=[(256, 256), (640, 480)],
        metavar="WxH",
        help="at which it draws; 256x256 640x480",
    )
    parser.add_argument(
        "--size", type=size, default=(256, 256), metavar="WxH", help="of observations; 256x256"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.sim import bench, catalogue

    slugs = args.games or [one for one in catalogue.slugs() if not catalogue.get(one).missing()]
    if not slugs:
        raise NitrogenError("no game is installed: 'nitrogen sim list' says how to install one")
    cases = [(slug, window) for slug in slugs for window in bench.windows(slug, tuple(args.window))]
    total = len(cases) * (args.steps + bench.WARM_UP)
    with terminal.progress("measuring", total, "steps") as advance:
        found = [
            bench.measure(slug, window, args.steps, args.size, advance=advance)
            for slug, window in cases
        ]
    if args.json:
        terminal.out().print(json.dumps([asdict(one) for one in found]), markup=False)
        return 0
    rows = [
        (
            one.slug,
            f"{one.drawn[0]}x{one.drawn[1]}",
            f"{one.steps:,}",
            f"{one.reset_s:.2f}",
            f"{one.steps_per_s:,.0f}",
            f"{one.step_ms:.2f}",
            "" if one.cpu_ms is None else f"{one.cpu_ms:.2f}",
            "" if one.ours_ms is None else f"{one.ours_ms:.2f}",
            "" if one.picture_ms is None else f"{one.picture_ms:.2f}",
            f"{one.own_cpu_ms:.2f}",
        )
        for one in found
    ]
    columns = ("game", "draws at", "steps>", "reset s>", "steps/s>", "step ms>", "game ms>")
    ours = ("ours ms>", "picture ms>", "our cpu ms>")
    terminal.out().print(terminal.table("", (*columns, *ours), rows))
    return 0
