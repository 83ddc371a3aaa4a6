"""`nitrogen predict`: actions for pictures, videos or records, in batches."""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nitrogen_jax.data.example import Source
    from nitrogen_jax.models.configs import PolicyConfig
    from nitrogen_jax.serving.offline import Settings
    from nitrogen_jax.serving.parts import Parts
    from nitrogen_jax.serving.sampler import Sampler
    from nitrogen_jax.weights.checkpoint import Checkpoint

SUMMARY = "Predicts action chunks for pictures, videos or records, in batches."
EXAMPLES = """\
  nitrogen predict --policy ng.pt --images shot.png --draw shot_actions.png
  nitrogen predict --policy ng.pt --images screenshots/ --out chunks.parquet
  nitrogen predict --policy ng.pt --videos clips/ --labels labels/ --every 6 --out chunks.parquet
  nitrogen predict --policy ng.pt --records dataset/ --split val --json
With --out an interrupted run continues when it is started again. Each row of the file is one
example: source, frame, time in seconds, and the steps' 25 action values one after the other."""

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from nitrogen_jax.weights.policies import add_policy_arguments

    add_policy_arguments(parser)
    inputs = parser.add_argument_group("inputs, exactly one of")
    inputs.add_argument("--images", nargs="+", metavar="PATH", help="pictures, or folders of them")
    inputs.add_argument("--videos", metavar="DIR", help="a folder of videos")
    inputs.add_argument("--records", metavar="DIR", help="a dataset folder of records")
    parser.add_argument(
        "--every", type=int, metavar="K", help="predict at every K-th frame; default the horizon"
    )
    parser.add_argument(
        "--labels",
        metavar="DIR",
        help="with --videos: <video stem>.parquet, what was really pressed at every frame",
    )
    parser.add_argument("--split", help="with --records: one split, e.g. val; default all")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a parquet file")
    parser.add_argument("--restart", action="store_true", help="replace what --out holds")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="default 16")
    parser.add_argument("--seed", type=int, default=0, help="of the starting noise; default 0")
    parser.add_argument("--steps", type=int, help="Euler steps; default the policy's")
    parser.add_argument("--guidance", type=float, metavar="S", help="guidance scale; default none")
    parser.add_argument("--game", metavar="NAME", help="one of the policy's games; default none")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by device")
    parser.add_argument(
        "--forbid", metavar="NAMES", default="", help="never press these, e.g. START,GUIDE,BACK"
    )
    parser.add_argument(
        "--draw", type=Path, metavar="FILE", help="with one picture: draw the chunk into a PNG"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Predicts, writes and reports."""
    forbidden = check(args)

    from nitrogen_jax import terminal
    from nitrogen_jax.serving import offline
    from nitrogen_jax.serving.parts import Parts
    from nitrogen_jax.serving.sampler import Sampler, default_compute
    from nitrogen_jax.weights import policies

    with terminal.progress(f"reading {args.policy}", None, "bytes") as advance:
        policy = policies.load_policy(args.policy, args.vision, advance)
    cfg = policy.meta.config
    offline.check_gamepad(cfg)
    source = open_source(args, cfg)
    batch = min(args.batch, len(source.names)) if args.images else args.batch
    game = game_row(args.game, policy)
    if game and args.guidance is not None:
        log.warning("guided sampling does not know the game: --game has no effect")
    settings = offline.Settings(args.seed, batch, game, forbidden)
    compute = default_compute(args.dtype)
    sampling = {
        "steps": args.steps or cfg.euler_steps,
        "guidance": args.guidance,
        "dtype": compute.dtype,
    }

    def make_sampler() -> Sampler:
        return Sampler(
            cfg,
            policy.params,
            compute=compute,
            steps=args.steps,
            guidance=args.guidance,
            buckets=(batch,),
        )

    about = describe_run(policy, settings, sampling)
    one_picture = bool(args.images) and len(source.names) == 1
    started = time.monotonic()
    if args.out is None:
        shown, result = show(args, make_sampler, source, settings)
    else:
        job = offline.describe_job(policy, sampling, source, settings)
        result = fill(make_sampler, source, settings, Parts(args.out, job), about, args.restart)
        result["out"] = str(args.out)
        shown = read_chunks(args.out) if one_picture else []
    result = {**about, **result, "seconds": round(time.monotonic() - started, 3)}
    if args.labels is not None and result["metrics"] is None:
        log.warning("the label tables cover none of the predicted steps: there are no metrics")
    if args.draw is not None:
        draw(args.draw, shown[0][1], source)
    if args.json:
        if shown:
            result["chunks"] = [describe_row(name, actions) for name, actions in shown]
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        if one_picture:
            show_chunk(shown[0][1])
        report(result)
    return 0 if result["examples"] else 1


# ---------------------------------------------------------------------------------------------
# Before


def check(args: argparse.Namespace) -> frozenset[str]:
    """Refuses bad options before anything is loaded; returns the forbidden buttons."""
    from nitrogen_jax import gamepad

    given = [name for name in ("images", "videos", "records") if getattr(args, name) is not None]
    if len(given) != 1:
        found = " and ".join(f"--{name}" for name in given) or "none"
        raise NitrogenError(
            f"{found} is given, where exactly one of --images, --videos, --records is needed"
        )
    for name, least in (("batch", 1), ("steps", 1), ("every", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise NitrogenError(f"--{name} is {value}, where at least {least} is needed")
    if args.seed >= 2**64:
        raise NitrogenError(f"--seed is {args.seed}, where less than 2**64 is needed")
    if args.guidance is not None and not math.isfinite(args.guidance):
        raise NitrogenError(f"--guidance is {args.guidance}, where a finite number is needed")
    belongs = {"every": "videos or --records", "labels": "videos", "split": "records"}
    for name, wanted in belongs.items():
        if getattr(args, name) is not None and given[0] not in wanted:
            raise NitrogenError(f"--{name} belongs to --{wanted} and not to --{given[0]}")
    for path in map(Path, args.images or ()):
        if not path.exists():
            raise NitrogenError(f"picture or folder {path} does not exist")
    for name in ("videos", "records", "labels"):
        if getattr(args, name) is not None and not Path(getattr(args, name)).is_dir():
            raise NitrogenError(f"--{name} is {getattr(args, name)}, where a folder is needed")
    for path in filter(None, (args.out, args.draw)):
        if not path.absolute().parent.is_dir():
            raise NitrogenError(f"cannot write {path}: its folder does not exist")
    if args.draw is not None and args.draw.suffix.lower() != ".png":
        raise NitrogenError(f"--draw is {args.draw}, where a name ending in .png is needed")
    return gamepad.button_set([name.strip().upper() for name in args.forbid.split(",") if name])


def open_source(args: argparse.Namespace, cfg: PolicyConfig) -> Source:
    """The examples that the options name."""
    from nitrogen_jax.data import sources

    if args.images is not None:
        source = sources.images(args.images, cfg)
    elif args.videos is not None:
        source = sources.videos(args.videos, cfg, args.every, args.labels)
    else:
        source = sources.records(args.records, cfg, args.every, args.split)
    if args.draw is not None and (args.images is None or len(source.names) != 1):
        raise NitrogenError("--draw draws one chunk and needs exactly one picture")
    return source


def game_row(name: str | None, policy: Checkpoint) -> int:
    """The row of the game embedding that a name means; 0 is no game."""
    games = policy.meta.games or {}
    if name is None:
        return 0
    if not games:
        raise NitrogenError(f"--game is {name!r} and the policy knows no games by name")
    if name not in games:
        raise NitrogenError(f"--game {name!r} is not one of {', '.join(sorted(games))}")
    return games[name]


def describe_run(policy: Checkpoint, settings: Settings, sampling: dict) -> dict[str, Any]:
    """What a reader of the predictions must know."""
    from nitrogen_jax import gamepad
    from nitrogen_jax.serving.offline import LAYOUT

    return {
        "layout": LAYOUT,
        "dimensions": list(gamepad.layout_names(LAYOUT)),
        "horizon": policy.meta.config.horizon,
        "shift": policy.meta.config.action_shift,
        "seed": settings.seed,
        "game": settings.game,
        "forbidden": sorted(settings.forbidden),
        **sampling,
        "policy": {"step": policy.meta.step, "provenance": dict(policy.meta.provenance)},
    }


# ---------------------------------------------------------------------------------------------
# During


def show(
    args: argparse.Namespace,
    make_sampler: Callable[[], Sampler],
    source: Source,
    settings: Settings,
) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Predicts without a file: prints line by line, or collects (name, actions (T, 25)).

    Returns what was collected, and the outcome.
    """
    from nitrogen_jax import gamepad, terminal
    from nitrogen_jax.evaluation.action_metrics import ActionSums, merge
    from nitrogen_jax.serving import offline

    screen, shown, sums, after = terminal.out(), [], ActionSums(), offline.Position()
    lines = not args.json and not (args.images and len(source.names) == 1)
    # NOTE: no bar here: the lines show the progress, and a bar would tear them.
    for predicted in offline.predict(make_sampler(), source, settings):
        sums, after = merge(sums, predicted.sums), predicted.after
        for name, frame, at, actions in zip(
            predicted.sources, predicted.frames, predicted.times, predicted.actions, strict=True
        ):
            full = name if args.images else f"{name} frame {frame} ({at:.2f} s)"
            if lines:
                first = gamepad.describe(gamepad.decode(actions[0]))
                screen.print(f"{full}: {first}", markup=False)
            else:
                shown.append((full, actions))
    return shown, offline.outcome(after, sums)


def fill(
    make_sampler: Callable[[], Sampler],
    source: Source,
    settings: Settings,
    parts: Parts,
    about: dict[str, Any],
    restart: bool,
) -> dict[str, Any]:
    """Predicts into a file, unless that is done; returns the file's metadata."""
    from nitrogen_jax import terminal
    from nitrogen_jax.serving import offline

    finished = parts.begin(restart)
    if finished is not None:
        terminal.console().print(f"{parts.out} is complete already", markup=False)
        return finished
    try:
        sampler = make_sampler()
        with terminal.progress("predicting", source.total, "examples") as advance:
            return offline.predict_to_file(sampler, source, settings, parts, about, advance)
    except KeyboardInterrupt:
        terminal.console().print(
            f"{len(parts.finished())} finished parts are kept in {parts.folder}: the same command "
            "continues",
            markup=False,
        )
        raise


# ---------------------------------------------------------------------------------------------
# After


def read_chunks(out: Path) -> list[tuple[str, Any]]:
    """The rows of a small file: (source, actions (T, 25))."""
    import numpy as np
    import pyarrow.parquet as pq

    from nitrogen_jax.gamepad import ACTION_DIM

    rows = pq.read_table(out).to_pylist()
    return [
        (row["source"], np.array(row["actions"], np.float32).reshape(-1, ACTION_DIM))
        for row in rows
    ]


def describe_row(name: str, actions: Any) -> dict[str, Any]:
    """A chunk as plain data, in words and in numbers."""
    from nitrogen_jax import gamepad

    words = gamepad.describe_chunk(gamepad.decode(actions))
    return {"source": name, "words": words, "actions": actions.tolist()}


def show_chunk(actions: Any) -> None:
    """One chunk in words and as a grid."""
    from nitrogen_jax import gamepad, terminal
    from nitrogen_jax.report.chunk import text_grid

    screen, pad = terminal.out(), gamepad.decode(actions)
    for line in [*gamepad.describe_chunk(pad), "", *text_grid(pad)]:
        screen.print(line, markup=False)


def draw(path: Path, actions: Any, source: Source) -> None:
    """One chunk into a PNG file, beside its picture in full size."""
    import cv2

    from nitrogen_jax import gamepad
    from nitrogen_jax.data import images
    from nitrogen_jax.files import atomic_path
    from nitrogen_jax.report import chunk

    drawn = chunk.draw(images.read(Path(source.names[0])), gamepad.decode(actions))
    encoded = cv2.imencode(".png", drawn[..., ::-1])[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def report(result: dict[str, Any]) -> None:
    """Metrics, problems and a closing line."""
    from nitrogen_jax import terminal
    from nitrogen_jax.report.metrics import metric_tables

    screen = terminal.out()
    if result["metrics"] is not None:
        for table in metric_tables(result["metrics"]):
            screen.print(table)
    for problem in result["problems"]:
        screen.print(
            f"not read to its end: {problem['source']}: {problem['reason']}; "
            f"{problem['read']} frames were read",
            markup=False,
        )
    if "out" in result:
        screen.print(
            f"{result['out']}: {result['examples']} chunks of {result['horizon']} steps",
            markup=False,
        )
