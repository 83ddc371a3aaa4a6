"""`nitrogen data demo`: a small made-up data set."""

from __future__ import annotations

import argparse
import json
import re

SUMMARY = "Makes a small data set to try things with: real H.264 videos and a real label tree."
EXAMPLES = """\
  nitrogen data demo demo/
  nitrogen data demo demo/ --videos 8 --seconds 60 --games 4
  nitrogen data demo held_out/ --seed 1              other videos, the same rule
  nitrogen data build --labels demo/labels --videos demo/videos --out records/
A player follows a target with the left stick, SOUTH is pressed while it is red, the right stick
points at a dot on a dial: a policy can learn it from what is visible."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="a folder, new or empty")
    parser.add_argument("--videos", type=int, default=4, metavar="N", help="default 4")
    parser.add_argument(
        "--seconds", type=float, default=30.0, metavar="S", help="of each video; default 30"
    )
    parser.add_argument(
        "--rate", type=float, default=60.0, metavar="HZ", help="frames per second; default 60"
    )
    parser.add_argument("--size", default="320x180", metavar="WxH", help="default 320x180")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("--games", type=int, default=2, metavar="N", help="looks; default 2")
    parser.add_argument(
        "--chunk-seconds", type=float, default=20.0, metavar="S", help="of a label; default 20"
    )
    parser.add_argument(
        "--variable",
        type=int,
        action="append",
        metavar="I",
        help="a video, from 0, whose frame rate varies",
    )
    parser.add_argument(
        "--leave-out",
        type=int,
        action="append",
        metavar="I",
        help="a video, from 0, that has labels and no file",
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data import demo
    from nitrogen_jax.errors import NitrogenError

    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", args.size)
    if size is None:
        raise NitrogenError(
            f"--size is {args.size!r}, where WIDTHxHEIGHT such as 320x180 is needed"
        )
    info = demo.make_demo(
        args.out,
        videos=args.videos,
        seconds=args.seconds,
        rate=args.rate,
        size=(int(size[1]), int(size[2])),
        seed=args.seed,
        games=args.games,
        chunk_seconds=args.chunk_seconds,
        variable=args.variable or (),
        leave_out=args.leave_out or (),
    )
    if args.json:
        terminal.out().print(json.dumps(info.to_json()), markup=False)
        return 0
    rows = [
        (
            video.video_id,
            video.game,
            len(video.actions),
            len(video.chunks),
            "left out" if video.path is None else f"{video.path.stat().st_size:,}",
        )
        for video in info.videos
    ]
    screen = terminal.out()
    screen.print(
        terminal.table(
            str(info.root), ("video", "game", "frames>", "chunks>", "bytes of the file>"), rows
        )
    )
    screen.print(f"labels: {info.root / 'labels'}", markup=False)
    screen.print(f"videos: {info.root / 'videos'}", markup=False)
    return 0
