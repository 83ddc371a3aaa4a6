"""`nitrogen label run`: a label tree from videos with a controller overlay."""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Reads what players pressed off the controller overlays of videos, into a label tree."
EXAMPLES = """\
  nitrogen label run --videos videos/ --skins skins/ --out labels/
  nitrogen label run --videos list.txt --skins a/ b/ --out labels/ --games games.csv --workers 32
  nitrogen label run --videos videos/ --skins skins/ --out labels/ --box 20,560,240,140 --retry
  nitrogen label run --videos /nfs/v/ --skins /nfs/s/ --out /nfs/labels --cluster auto
The same command again goes on where it was stopped and takes up videos that have come since;
those that failed are tried again with --retry. TREE/label_report.json tells of all of them.
Exit code 0: all videos of this command have labels; 1: some have failed; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--videos",
        type=Path,
        required=True,
        metavar="DIR_OR_LIST",
        help="a folder, one video, or a text file of paths (one a line, # comments)",
    )
    parser.add_argument(
        "--skins", type=Path, nargs="+", required=True, metavar="DIR", help="folders of skins"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="TREE", help="the label tree")
    parser.add_argument("--game", default="", metavar="NAME", help="of all videos")
    parser.add_argument(
        "--games",
        type=Path,
        metavar="CSV",
        help="columns video_id, game and perhaps source, url; goes before --game",
    )
    parser.add_argument(
        "--remap",
        type=Path,
        metavar="FILE",
        help="JSON {game: {BUTTON: BUTTON}}, or CSV game, button, to; for actions_processed",
    )
    parser.add_argument(
        "--box", type=_box, metavar="X,Y,W,H", help="where the overlay lies, in pixels"
    )
    parser.add_argument(
        "--discover",
        action="store_true",
        help="try to read overlays whose skin is not given, too; --box does as well",
    )
    parser.add_argument(
        "--samples", type=int, default=25, metavar="N", help="frames in which it is sought; 25"
    )
    parser.add_argument(
        "--min-confidence", type=float, default=0.5, metavar="C", help="of a usable frame; 0.5"
    )
    parser.add_argument(
        "--readers", choices=["auto", "fit", "net", "both"], default="auto", help="auto"
    )
    parser.add_argument(
        "--parser", metavar="FILE", help="the neural reader's parameters, or its training run"
    )
    parser.add_argument("--retry", action="store_true", help="also videos that failed before")
    parser.add_argument("--workers", type=int, metavar="N", help="processes; one for each core")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="a Ray cluster: host:port, auto, or local (a new one)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.labeling import agree, pipeline, remap
    from nitrogen_jax.labeling.label_video import label_video
    from nitrogen_jax.labeling.skins import library

    _check(args)
    agree.net_reader(args.readers, args.parser)  # says at once what it lacks
    skins = library.load(args.skins)
    for path, message in skins.faults:
        terminal.console().print(f"skin {path} is left out: {message}", markup=False)
    plan = pipeline.Plan(
        videos=_videos(args.videos),
        options=_options(args),
        game=args.game,
        facts=remap.read_facts(args.games) if args.games else {},
        remaps=remap.read_remaps(args.remap) if args.remap else {},
        retry=args.retry,
    )
    runner = _runner(args, skins, label_video)

    def bar(hours: float):
        return terminal.progress("videos", hours, "hours")

    report = pipeline.label_videos(plan, args.out, runner, bar)
    if args.json:
        terminal.out().print(json.dumps(report), markup=False)
    else:
        _show(args.out, report)
    videos = report["videos"]
    return 1 if videos["asked_and_failed"] or videos["not_yet"] else 0


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    whole = len(numbers) == 4 and all(map(math.isfinite, numbers))
    if not (whole and min(numbers[:2]) >= 0 and min(numbers[2:]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,W,H in pixels, as in 20,560,240,140")
    return numbers


def _check(args: argparse.Namespace) -> None:
    for name, value in (("--workers", args.workers), ("--samples", args.samples)):
        if value is not None and value < 1:
            raise NitrogenError(f"{name} is {value}, where at least 1 is needed")
    if not 0 <= args.min_confidence <= 1:
        raise NitrogenError(f"--min-confidence is {args.min_confidence}, where 0 to 1 is possible")


def _options(args: argparse.Namespace):
    from nitrogen_jax.labeling.options import LabelOptions

    return LabelOptions(
        box=args.box,
        samples=args.samples,
        keep_confidence=args.min_confidence,
        readers=args.readers,
        parser=args.parser,
        threads=1,
        discover=args.discover or args.box is not None,
    )


def _videos(path: Path) -> list[Path]:
    from nitrogen_jax.data import video
    from nitrogen_jax.labeling import pipeline

    if path.is_dir():
        return video.find(path)
    if not path.exists():
        raise NitrogenError(f"{path} does not exist: a folder of videos, or a list, is needed")
    return [path] if path.suffix.lower() in video.SUFFIXES else pipeline.read_list(path)


def _runner(args: argparse.Namespace, skins, labeller):
    given: dict[str, Any] = {"library": skins, "labeller": labeller, "workers": args.workers}
    if args.cluster is not None:
        from nitrogen_jax.labeling import cluster

        cluster.load()  # where it is missing, that is said before anything is begun
        return functools.partial(cluster.run, address=args.cluster, **given)
    from nitrogen_jax.labeling import processes

    given["workers"] = args.workers or os.cpu_count() or 1
    return functools.partial(processes.run, **given)


def _show(tree: Path, report: dict[str, Any]) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.labeling.label_report import REPORT

    screen, videos = terminal.out(), report["videos"]
    rows = [
        ("videos done", f"{videos['done']:,}"),
        ("videos failed", f"{videos['failed']:,}"),
        ("hours", f"{report['hours']:.2f}"),
        ("frames", f"{report['frames']:,}"),
        ("frames with labels", f"{report['labelled_frames']:,} ({report['coverage']:.1%})"),
        ("chunks", f"{report['chunks']:,}"),
        ("CPU seconds per hour of video", f"{report['cpu_seconds_per_hour_in_all']:,.0f}"),
    ]
    screen.print(terminal.table(f"labels {tree}", ("", "value>"), rows))
    if report["failed"]:
        causes = [(cause, f"{number:,}") for cause, number in report["failed"].items()]
        screen.print(terminal.table("", ("failed", "videos>"), causes))
    notes = terminal.console()
    shown = [f"{one['cause']}: {one['message']}" for one in report["problems"][:10]]
    shown += [f"{one['video_id']}: {one['message']}" for one in report["warnings"][:5]]
    if videos["done_with_other_options"]:
        shown.append(
            f"{videos['done_with_other_options']:,} videos were labelled before with other options "
            "and are left as they are: label into another tree to have them done again"
        )
    if videos["foreign"]:
        shown.append(f"{videos['foreign']:,} videos have labels in the tree that are not of it")
    for line in shown:
        notes.print(line, markup=False)
    rest = videos["failed"] + report["warnings_in_all"] - 15
    if rest > 0:
        notes.print(f"more in {tree / REPORT}", markup=False)
