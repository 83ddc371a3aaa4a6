"""`nitrogen label bench`: how well labelling works on videos whose truth is known."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.options import STEPS

SUMMARY = "Renders videos with an overlay whose states are known, labels them, and compares."
EXAMPLES = """\
  nitrogen label bench --skins skins/ --traces pads.npz --clips 60 --seconds 20 --out bench/
  nitrogen label bench --skins a/ --overlay-skins a/ b/ --traces pads.npz --out bench/
  nitrogen label bench --skins skins/ --skins-unknown --traces pads.npz --out bench/
  nitrogen label bench --skins skins/ --traces pads.npz --each --out bench/
  nitrogen label bench --skins skins/ --video clip.mp4 --truth clip.parquet --out bench/
Clips are 720p30 at 1.5 Mbit/s to 1080p60 at 6 Mbit/s, H.264 and VP9, a tenth without an overlay, a
tenth with a made-up skin that the locator is not given, a fifth over a static display. Without
--footage, the game's pictures are made up; without --traces, smooth ones are. The same command
again goes on where it was stopped. OUT/bench.json holds everything. Exit code 1: no clip could be
labelled."""


PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"),
    *("veryslow", "placebo"),
)
# What is written down: all that makes a difference and is no place on this machine.
SETTINGS = (
    *("clips", "seconds", "seed", "lag", "travel", "width", "opacity", "none"),
    *("min_confidence", "preset", "skins_unknown", "without", "readers", "each", "parser"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skins", type=Path, nargs="+", required=True, metavar="DIR", help="the locator's library"
    )
    parser.add_argument(
        "--overlay-skins", type=Path, nargs="+", metavar="DIR", help="what is drawn; as --skins"
    )
    parser.add_argument(
        "--skins-unknown", action="store_true", help="the locator is not given what is drawn"
    )
    parser.add_argument("--traces", type=Path, nargs="+", metavar="NPZ", help="pads over time")
    parser.add_argument("--footage", type=Path, metavar="DIR", help="videos and images of games")
    parser.add_argument("--clips", type=int, default=20, metavar="N", help="20")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="of a clip; 20")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="0")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results")
    parser.add_argument("--video", type=Path, nargs="+", metavar="V", help="videos of others")
    parser.add_argument("--truth", type=Path, nargs="+", metavar="T", help="their label tables")
    parser.add_argument("--lag", type=int, default=0, metavar="N", help="frames, at most; 0")
    for name, low, high, what in (
        ("travel", 3.0, 12.0, "pixels that a stick moves"),
        ("width", 100.0, 480.0, "pixels of the overlay"),
        ("opacity", 0.4, 1.0, "of the overlay"),
    ):
        parser.add_argument(
            f"--{name}",
            type=float,
            nargs=2,
            default=(low, high),
            metavar=("LOW", "HIGH"),
            help=f"{what}; {low:g} {high:g}",
        )
    parser.add_argument(
        "--none", type=float, default=0.1, metavar="SHARE", help="of clips without an overlay; 0.1"
    )
    parser.add_argument("--min-confidence", type=float, default=0.5, metavar="C", help="0.5")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=STEPS,
        help="a step that is left out, to see what it is worth; may be repeated",
    )
    parser.add_argument(
        "--each",
        action="store_true",
        help="a second table: without each of these steps, one at a time, and with each reader",
    )
    parser.add_argument(
        "--readers", choices=["auto", "fit", "net", "both"], default="auto", help="auto"
    )
    parser.add_argument(
        "--parser", metavar="FILE", help="the neural reader's parameters, or its training run"
    )
    parser.add_argument(
        "--discover",
        action="store_true",
        help="try to read overlays whose skin is not given, too; --skins-unknown does as well",
    )
    parser.add_argument("--preset", default="veryfast", help="x264's; veryfast")
    parser.add_argument("--keep", action="store_true", help="keep the videos")
    parser.add_argument("--workers", type=int, metavar="N", help="processes; one for each core")
    parser.add_argument("--json", action="store_true", help="print bench.json")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.files import atomic_path
    from nitrogen_jax.labeling import agree
    from nitrogen_jax.labeling.accuracy import report as reports
    from nitrogen_jax.labeling.options import LabelOptions
    from nitrogen_jax.labeling.skins import library

    _check(args)
    known = library.load(args.skins)
    _tell_faults(known)
    agree.net_reader(args.readers, args.parser)  # says at once what it lacks
    options = LabelOptions(
        keep_confidence=args.min_confidence,
        readers=args.readers,
        parser=args.parser,
        without=tuple(sorted(set(args.without))),
        discover=args.discover or args.skins_unknown,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    begun = time.time()
    results = _videos(args, known, options) if args.video else _clips(args, known, options)
    content: dict[str, Any] = reports.report(results)
    content["settings"] = {name: getattr(args, name) for name in SETTINGS}
    content["settings"]["discover"] = options.discover
    content["wall_seconds"] = time.time() - begun
    with atomic_path(args.out / "bench.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(content), markup=False)
    else:
        names = ("", *(f"{title}>" for _, title in reports.COLUMNS))
        screen.print(terminal.table(f"{len(results)} clips", names, reports.rows(content)))
        if content["each"]:
            each = reports.rows_of_each(content)
            screen.print(terminal.table("one thing at a time", names, each))
        cpu = content["cpu_seconds_per_hour"]
        said = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in cpu.items())
        screen.print(f"CPU-seconds per hour of video: {said or '-'}", markup=False)
    good = [one["score"] is not None or one["kind"] == "none" for one in results]
    return 0 if any(good) else 1


def _tell_faults(skins) -> None:
    from nitrogen_jax import terminal

    for path, message in skins.faults:
        terminal.console().print(f"skin {path} is left out: {message}", markup=False)


def _check(args: argparse.Namespace) -> None:
    if bool(args.video) != bool(args.truth) or (args.video and len(args.video) != len(args.truth)):
        raise NitrogenError("--video and --truth: give both, one table for each video")
    if args.each and args.video:
        raise NitrogenError("--each is for clips that are made here: leave out --video")
    for name, least in (("clips", 1), ("workers", 1), ("lag", 0), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise NitrogenError(f"--{name} is {value}, where {least} is the least")
    if not 1 <= args.seconds <= 3600:
        raise NitrogenError(f"--seconds is {args.seconds:g}, where 1 to 3600 is possible")
    for name in ("min_confidence", "none"):
        value = getattr(args, name)
        if not 0 <= value <= 1:
            option = name.replace("_", "-")
            raise NitrogenError(f"--{option} is {value:g}, where 0 to 1 is possible")
    if args.preset not in PRESETS:
        raise NitrogenError(f"--preset {args.preset} is none of {', '.join(PRESETS)}")
    if args.out.exists() and not args.out.is_dir():
        raise NitrogenError(f"--out {args.out} is a file, where a folder is needed")
    for name in ("travel", "width", "opacity"):
        low, high = getattr(args, name)
        if not 0 < low <= high or (name == "opacity" and high > 1):
            raise NitrogenError(f"--{name} is {low:g} {high:g}: a range of sensible numbers")


def _clips(args: argparse.Namespace, known, options) -> list[dict[str, Any]]:
    import numpy as np

    from nitrogen_jax import terminal
    from nitrogen_jax.labeling.accuracy import plans, run
    from nitrogen_jax.labeling.skins import library
    from nitrogen_jax.labeling.synth import traces
    from nitrogen_jax.labeling.synth.clips import Recipe
    from nitrogen_jax.labeling.synth.footage import FromFolder

    drawn = known
    if args.overlay_skins is not None:
        drawn = library.load(args.overlay_skins)
        _tell_faults(drawn)
    if args.traces:
        pads, faults = traces.read(args.traces)
        for message in faults:
            terminal.console().print(f"left out: {message}", markup=False)
    else:
        rng = np.random.default_rng(args.seed)
        pads = [traces.smooth(rng, args.seconds + 10) for _ in range(16)]
    if args.footage is not None:
        FromFolder(args.footage)  # refused before anything is rendered
    recipe = Recipe(
        travel=tuple(args.travel),
        width=tuple(args.width),
        opacity=tuple(args.opacity),
        lag=args.lag,
        none=args.none,
    )
    cases = plans.cases(
        args.clips, args.seconds, args.seed, known, drawn, pads, recipe, args.skins_unknown
    )
    setting = run.Setting(
        known, args.skins_unknown, args.footage, args.preset, args.keep, options, args.out,
        args.each,
    )  # fmt: skip
    workers = min(args.workers or os.cpu_count() or 1, len(cases))
    with terminal.progress("clips", len(cases), "clips") as advance:
        return run.run_all(cases, setting, workers, advance)


def _videos(args: argparse.Namespace, known, options) -> list[dict[str, Any]]:
    from nitrogen_jax import terminal
    from nitrogen_jax.gamepad import COLUMNS
    from nitrogen_jax.labeling.accuracy import run

    results = []
    with terminal.progress("videos", len(args.video), "videos") as advance:
        for path, table in zip(args.video, args.truth, strict=True):
            true = run.read_truth(table)
            buttons = tuple(COLUMNS.values())
            result = run.label_and_score(path, known, options, true, buttons, None)
            skin = result.get("read_as")
            result |= {"name": path.name, "kind": "known", "skin": skin, "core": True}
            result["frames"] = true.number
            results.append(result)
            advance(1)
    return results
