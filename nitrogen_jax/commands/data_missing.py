"""`nitrogen data missing`: which videos a label tree names and a folder lacks."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Lists the videos of a label tree that are not in a folder, to feed any downloader."
EXAMPLES = """\
  nitrogen data missing labels/ --videos videos/ --csv
  nitrogen data missing labels/ --videos videos/ --max-per-game 20 --out missing.csv
  nitrogen data missing labels/ --source youtube --max-per-creator 5 --json
Columns: url, start, end (seconds into the video that its labels cover), file (the name that a build
looks for; .mkv, .webm, .avi and .mov serve too), video_id, source, game, hours, creator. The label
format does not name creators: --creators takes a CSV of video_id,creator."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tree", type=Path, help="a label tree, as folders or tarballs")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="what is there already")
    parser.add_argument("--source", help="only of this source, e.g. youtube")
    parser.add_argument("--game", action="append", default=[], help="only this; may be repeated")
    parser.add_argument("--max-per-game", type=float, metavar="HOURS", help="hours of a game")
    parser.add_argument("--max-per-creator", type=float, metavar="HOURS", help="hours of a creator")
    parser.add_argument("--creators", type=Path, metavar="FILE", help="CSV of video_id,creator")
    parser.add_argument("--max-hours", type=float, metavar="HOURS", help="in all")
    parser.add_argument("--csv", action="store_true", help="print as CSV")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the CSV to a file")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data import build_plan, label_tree, missing
    from nitrogen_jax.data.label_fields import shown
    from nitrogen_jax.files import atomic_path

    for name in ("max_per_game", "max_per_creator", "max_hours"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise NitrogenError(f"--{name.replace('_', '-')} is {value}, where hours are needed")
    if args.max_per_creator is not None and args.creators is None:
        raise NitrogenError("--max-per-creator needs --creators: labels do not name creators")
    if args.videos is not None and not args.videos.is_dir():  # known before labels are read
        raise NitrogenError(f"folder {args.videos} of videos does not exist")
    if args.out is not None and (args.out.is_dir() or not args.out.absolute().parent.is_dir()):
        raise NitrogenError(f"--out is {args.out}, where a file in a folder that exists is needed")
    tree = label_tree.open_tree(args.tree)
    creators = missing.read_creators(args.creators) if args.creators else {}
    with terminal.progress("labels", tree.size(), tree.size_unit) as advance:
        found = build_plan.survey(tree, advance=advance)
    named = {game for one in found.videos.values() for game in one.games}
    for game in args.game:
        if game not in named:
            raise NitrogenError(f"--game is {game!r}, of which {shown(args.tree)} has no labels")
    there = build_plan.find_videos(args.videos, found.videos) if args.videos else {}
    caps = missing.Caps(args.max_per_game, args.max_per_creator, args.max_hours)
    rows = missing.select(
        [one for name, one in found.videos.items() if name not in there],
        caps,
        creators,
        set(args.game),
        args.source,
        already=[found.videos[name] for name in there],
    )
    if args.out is not None:
        with atomic_path(args.out) as temporary:
            temporary.write_text(missing.as_csv(rows), encoding="utf-8")
    if args.json:
        terminal.out().print(json.dumps([row._asdict() for row in rows]), markup=False)
    elif args.csv:
        sys.stdout.write(missing.as_csv(rows))
    else:
        columns = ("video", "game", "hours>", "url")
        lines = [
            (shown(row.video_id), shown(row.game), f"{row.hours:.2f}", shown(row.url))
            for row in rows[:30]
        ]
        title = f"{len(rows)} of {len(found.videos)} videos, {sum(r.hours for r in rows):.1f} hours"
        terminal.out().print(terminal.table(title, columns, lines))
        if len(rows) > len(lines):
            terminal.out().print(f"... and {len(rows) - len(lines)} more: --csv lists all")
    return 0
