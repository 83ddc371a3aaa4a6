"""`nitrogen data build`: training records from labels and videos."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Builds training records from a label tree and a folder of videos, and their index."
EXAMPLES = """\
  nitrogen data build --labels labels/ --videos videos/ --out records/
  nitrogen data build --labels shards/ --videos videos/ --out records/ --codec h264 --workers 32
  nitrogen data build --labels labels/ --videos videos/ --out r/ --holdout Celeste
Videos are named <video_id>.<ext>. Those that are missing, unreadable or shorter than their labels
are left out and reported. The same command again goes on where it was stopped, and takes up the
videos that have come since. JPEG records are read at random; H.264 takes a seventh of the room."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.commands.data_index import add_filters

    parser.add_argument(
        "--labels", type=Path, required=True, metavar="TREE", help="folders, or tarballs of shards"
    )
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="their videos")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the records")
    parser.add_argument("--codec", choices=["jpeg", "h264"], default="jpeg")
    parser.add_argument(
        "--frame-stride", type=int, default=4, metavar="N", help="a picture every N frames; 4"
    )
    parser.add_argument("--size", type=int, default=256, help="pixels a side; 256")
    parser.add_argument(
        "--mask", choices=["black", "mean", "blur", "none"], default="black", help="the overlay"
    )
    parser.add_argument("--crop", action="store_true", help="to the game's area where it is known")
    parser.add_argument(
        "--table", choices=["processed", "raw"], default="processed", help="preferred actions"
    )
    parser.add_argument("--no-fallback", action="store_true", help="never the other table")
    parser.add_argument("--keep-partial", action="store_true", help="what there is of short videos")
    parser.add_argument(
        "--record-seconds", type=float, metavar="S", help="a record's length; 2 (jpeg), 20 (h264)"
    )
    parser.add_argument("--chunks-per-file", type=int, metavar="N", help="100 (jpeg), 800 (h264)")
    parser.add_argument(
        "--split",
        action="append",
        metavar="NAME=SHARE",
        help="share of the videos, of which one at least, may be repeated; val=0.02",
    )
    parser.add_argument(
        "--holdout", action="append", default=[], metavar="GAME", help="to the split holdout"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the division into splits; 0")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_filters(parser)


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.commands import data_index
    from nitrogen_jax.data import build, window_index
    from nitrogen_jax.data.build_plan import BuildOptions
    from nitrogen_jax.data.build_video import RecordOptions
    from nitrogen_jax.data.splits import Splits

    options = BuildOptions(
        records=RecordOptions(
            codec=args.codec,
            frame_stride=args.frame_stride,
            record_seconds=args.record_seconds,
            size=args.size,
            mask=args.mask,
            crop=args.crop,
            table=args.table,
            fallback=not args.no_fallback,
            keep_partial=args.keep_partial,
        ),
        splits=Splits(_shares(args.split), tuple(sorted(set(args.holdout))), args.seed),
        chunks_per_file=args.chunks_per_file,
    )
    if args.chunks_per_file is not None and args.chunks_per_file < 1:
        raise NitrogenError(f"--chunks-per-file is {args.chunks_per_file}: 1 is the least")
    index = data_index.options(args)
    bars = build.Bars(
        labels=lambda total, unit: terminal.progress("labels", total, unit),
        hours=lambda total: terminal.progress("videos", total, "hours"),
    )
    summary = build.build(args.labels, args.videos, args.out, options, args.workers, bars)
    samples = {}
    for split in summary.splits:
        with contextlib.suppress(KeyError):
            if summary.splits[split]["records"]:
                about = window_index.write_index(args.out, split, options=index)
                samples[split] = about
    if args.json:
        found = {**asdict(summary), "index": samples}
        terminal.out().print(json.dumps(found), markup=False)
    else:
        _show(args.out, summary, samples)
    return 0 if any(split["records"] for split in summary.splits.values()) else 1


def _shares(given: list[str] | None) -> Mapping[str, float]:
    shares = {}
    for text in given or ["val=0.02"]:
        name, _, share = text.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise NitrogenError(f"--split is {text!r}, where NAME=SHARE is needed") from None
    return shares


def _show(out: Path, summary, samples) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.data.build import REPORT

    screen = terminal.out()
    rows = [
        (
            name,
            one["videos"],
            f"{one['seconds'] / 3600:.2f}",
            one["chunks"],
            one["records"],
            f"{one['pictures']:,}",
            f"{one['num_bytes'] / 1e6:,.1f}",
            f"{samples[name]['samples']:,}" if name in samples else "-",
        )
        for name, one in sorted(summary.splits.items())
    ]
    names = ("videos>", "hours>", "chunks>", "records>", "pictures>", "MB>", "samples>")
    screen.print(terminal.table(f"records {out}", ("split", *names), rows))
    left = [(f"video {k}", v) for k, v in summary.videos.items() if k != "done"]
    left += [(f"chunks left out: {k}", v) for k, v in sorted(summary.left_out.items())]
    for split, about in samples.items():
        left += [(f"pictures of {split} filtered: {k}", v) for k, v in about["left_out"].items()]
    if left := [(name, f"{number:,}") for name, number in left if number]:
        screen.print(terminal.table("", ("left out", "number>"), left))
    shown = [problem["message"] for problem in summary.problems[:10]]
    shown += [warning["message"] for warning in summary.warnings[:5]]
    for line in shown:
        terminal.console().print(line, markup=False)
    rest = len(summary.problems) + len(summary.warnings) - len(shown)
    if rest:
        terminal.console().print(f"... and {rest} more in {out / REPORT}", markup=False)
