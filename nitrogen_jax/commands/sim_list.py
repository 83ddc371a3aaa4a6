"""`nitrogen sim list`: what can be played here."""

from __future__ import annotations

import argparse
import json

SUMMARY = "Lists all games: which are installed, and the line that installs the others."
EXAMPLES = """\
  nitrogen sim list
  nitrogen sim list --levels
  nitrogen sim list --json
Exit code 0, also where nothing is installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--levels", action="store_true", help="also the names of all levels")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.sim import catalogue
    from nitrogen_jax.sim.game import Game

    found = [catalogue.get(slug) for slug in catalogue.slugs()]
    rows = [
        {
            "game": one.slug,
            "title": one.title,
            "id": one.env_id,
            "installed": one.missing() is None,
            "lacks": one.missing(),
            "install": one.install,
            "fps": one.fps,
            "display": one.display if isinstance(one, Game) else None,
            "levels": list(one.levels),
            "repeats": one.repeats,
            "notes": one.notes,
        }
        for one in found
    ]
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(rows), markup=False)
        return 0
    shown = [
        (
            row["game"],
            row["title"],
            row["id"],
            "yes" if row["installed"] else "no",
            f"{row['fps']:g}",
        )
        for row in rows
    ]
    columns = ("game", "title", "Gymnasium's id", "installed", "fps>")
    screen.print(terminal.table("", columns, shown))
    for row in rows:
        if not row["installed"]:
            screen.print(row["lacks"], markup=False)
    if args.levels:
        for row in rows:
            if row["levels"]:
                screen.print(f"{row['game']}: {' '.join(row['levels'])}", markup=False)
    return 0
