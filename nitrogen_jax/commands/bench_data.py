"""`nitrogen bench data`: the speed of the loader."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Measures the loader by number of workers, beside plain decoding of the same pictures."
EXAMPLES = """\
  nitrogen bench data records/
  nitrogen bench data records/ --workers 0,2,8 --batch 256 --window 256 --out loader.json
A worker decodes on one core. Ratios are to cv2.imdecode of the same pictures as JPEG of quality
90 on one core, measured in turn in the same run. Mixing tells how batches are made up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", help="a folder of records")
    parser.add_argument("--split", default="train")
    parser.add_argument("--index", default="default", help="which samples; default")
    parser.add_argument("--workers", default="0,1,2", help="numbers of processes; 0,1,2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=1, help="context frames; 1")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--window", type=int, default=64, help="chunks open at a time; 64")
    parser.add_argument("--run", type=int, default=32, help="samples taken from a chunk; 32")
    parser.add_argument("--spread", type=int, default=2, help="runs' worth to draw them from; 2")
    parser.add_argument("--seconds", type=float, default=5.0, help="each way at each turn; 5")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.bench import data
    from nitrogen_jax.data.loader import Dataset, LoaderConfig
    from nitrogen_jax.data.order import Shuffle
    from nitrogen_jax.files import atomic_path

    try:
        workers = [int(part) for part in args.workers.split(",")]
    except ValueError:
        raise NitrogenError(f"--workers is {args.workers!r}: numbers such as 0,1,2") from None
    if not args.seconds > 0 or args.turns < 1:
        raise NitrogenError("--seconds must be above 0 and --turns at least 1")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise NitrogenError(f"the folder {args.out.absolute().parent} does not exist")
    config = LoaderConfig(
        datasets=(Dataset(args.records, args.split, args.index),),
        batch=args.batch,
        frames=args.frames,
        size=args.size,
        shuffle=Shuffle(0, args.window, args.run, args.spread),
    )
    mixed = data.mixing(config, 50)
    with terminal.progress("measuring", None, "turns") as advance:
        rates = data.measure(config, workers, args.seconds, args.turns, advance)
    found = {
        "rates": [dataclasses.asdict(rate) for rate in rates],
        "ratios": {rate.way: rate.per_second / rates[0].per_second for rate in rates[1:]},
        "mixing": dataclasses.asdict(mixed),
    }
    if args.out is not None:
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(found), markup=False)
        return 0
    rows = [
        (
            rate.way,
            f"{rate.per_second:,.0f}",
            f"{rate.slowest:,.0f} - {rate.fastest:,.0f}",
            f"{rate.per_second / rates[0].per_second:.2f}",
        )
        for rate in rates
    ]
    columns = ("way", "per second>", "range>", "to imdecode>")
    screen.print(terminal.table(f"loading {args.records}", columns, rows))
    screen.print(
        f"mixing: a batch of {mixed.batch} is of {mixed.chunks:.1f} chunks; from one video at most "
        f"{mixed.mean_video:.1%} on average and {mixed.largest_video:.1%} ever, of "
        f"{mixed.videos} videos (independent draws: {mixed.ideal:.1%})",
        markup=False,
    )
    return 0
