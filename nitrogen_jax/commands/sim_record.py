"""`nitrogen sim record`: plays a game and writes videos, actions and labels."""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nitrogen_jax.commands import looks
from nitrogen_jax.commands.sizes import size
from nitrogen_jax.errors import NitrogenError

SUMMARY = "Plays a game with a scripted, random or recorded pad; writes what was seen and pressed."
EXAMPLES = """\
  nitrogen sim record supertux --pad scripted --out rec/
  nitrogen sim record freedoom --pad random --episodes 4 --seconds 60 --overlay --out rec/
  nitrogen sim record freedoom --pad play.npz --skins skins/ --skin xbox-one --out rec/
  nitrogen sim record supertux --pad human --seconds 300 --out rec/
  nitrogen label run --videos rec/videos --skins rec/skins --out labels/
  nitrogen data build --labels rec/labels --videos rec/videos --out records/
A human plays in a window, which needs the extra [window], or on an X display of their own with
--display :0; closing the window ends the episode. Row i of the labels is the pad whose step
produced frame i; row 0 is idle. The same command gives the same files, but for people and for
games that do not repeat exactly.
Exit code 0: all is written; 1: an episode crashed or hung; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", metavar="GAME", help="a name of 'nitrogen sim list'")
    parser.add_argument(
        "--pad",
        nargs="+",
        default=["scripted"],
        metavar="PAD",
        help="scripted, random, human (a gamepad), actions files (.npz), devices such as "
        "/dev/input/js1; each plays all episodes; scripted",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--level", metavar="NAME", help="the game's first one")
    parser.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="of game time at most; 20"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first episode; 0")
    parser.add_argument(
        "--episodes", type=int, default=1, metavar="N", help="of each pad, seeds counting on; 1"
    )
    parser.add_argument(
        "--window", type=size, metavar="WxH", help="at which the game draws; its own"
    )
    parser.add_argument("--display", metavar="D", help="where it draws, as for 'sim run'; its own")
    parser.add_argument(
        "--frame-skip", type=int, default=1, metavar="N", help="frames of the game to one; 1"
    )
    looks.add_arguments(parser)
    parser.add_argument("--no-labels", action="store_true", help="no label tree, only actions")
    parser.add_argument("--json", action="store_true", help="print what was recorded as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.sim import catalogue, human, play, record

    if args.episodes < 1:
        raise NitrogenError(f"--episodes is {args.episodes}, where at least 1 is needed")
    about = catalogue.get(args.game)
    sources = play.sources(args.pad)
    plan = record.Plan(
        slug=args.game,
        sources=sources,
        seconds=args.seconds,
        seed=args.seed,
        episodes=args.episodes,
        options=_options(args),
        look=looks.look(args),
        tree=not args.no_labels,
    )
    frames = len(plan.sources) * args.episodes * (1 + args.seconds * about.fps / args.frame_skip)
    with contextlib.ExitStack() as stack:
        if args.display is None and any(source.kind == "human" for source in sources):
            plan = replace(plan, show=stack.enter_context(human.Window(about.title)).show)
        bar = terminal.progress(f"recording {args.game}", round(frames), "frames")
        takes = record.record(plan, args.out, stack.enter_context(bar))
    if args.json:
        terminal.out().print(json.dumps([vars(take) for take in takes]), markup=False)
    else:
        rows = [
            (
                take.video_id,
                f"{take.frames:,}",
                f"{take.size[0]}x{take.size[1]}",
                f"{take.rate:g}",
                f"{take.total:g}",
                take.reason or "time",
            )
            for take in takes
        ]
        columns = ("video", "frames>", "size", "fps>", "reward>", "ended by")
        terminal.out().print(terminal.table(str(args.out), columns, rows))
    bad = {"timeout", "crashed"}
    return 1 if any(take.reason in bad for take in takes) else 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    names = ("level", "window", "display", "frame_skip")
    found = {name: getattr(args, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
