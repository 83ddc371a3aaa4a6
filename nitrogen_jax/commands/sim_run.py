"""`nitrogen sim run`: any program, step by step."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from nitrogen_jax.commands import sizes
from nitrogen_jax.errors import NitrogenError

SUMMARY = "Runs a program in lockstep: a number of frames, with given actions, and what came out."
EXAMPLES = """\
  nitrogen sim run --steps 300 --hashes frames.txt -- supertux2 --renderer sdl level.stl
  nitrogen sim run --display dummy --actions play.npz --video play.mp4 -- chocolate-doom -nosound
  nitrogen sim run --steps 60 --fps 30 --size 256x256 --seed 7 --json -- ./my_game
An actions file (.npz) holds `buttons` (N, 21) and `sticks` (N, 4), a row for each step; further
steps have an idle pad. --hashes writes a line for each step: the SHA-256 of the RGB bytes of its
frame. Same program, seed and actions: same hashes.
Exit code 0: all steps were made; 1: the program ended or hung before; 2: bad usage or input."""

DEFAULT_STEPS = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --: the program")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help=f"frames to step; as many as there are actions, else {DEFAULT_STEPS}",
    )
    parser.add_argument("--fps", type=float, default=60.0, metavar="F", help="of game time; 60")
    parser.add_argument(
        "--size", type=sizes.size, default=(640, 480), metavar="WxH", help="of the display; 640x480"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of the program's randomness; 0"
    )
    parser.add_argument("--actions", type=Path, metavar="FILE", help="what the pad does, .npz")
    parser.add_argument("--hashes", type=Path, metavar="OUT", help="write a SHA-256 for each step")
    parser.add_argument("--video", type=Path, metavar="OUT.mp4", help="write the frames as a video")
    parser.add_argument(
        "--display", default="auto", metavar="D", help="auto, dummy, offscreen, xvfb or :N; auto"
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="a folder to copy as its HOME")
    parser.add_argument("--log", type=Path, metavar="FILE", help="takes what the program prints")
    parser.add_argument(
        "--boot-timeout", type=float, default=60.0, metavar="S", help="for the first frame; 60"
    )
    parser.add_argument(
        "--step-timeout", type=float, default=10.0, metavar="S", help="for each further one; 10"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.sim import actions
    from nitrogen_jax.sim.errors import GameExited, StepTimeout
    from nitrogen_jax.sim.launch import Launch
    from nitrogen_jax.sim.session import Session

    pads = actions.read(args.actions) if args.actions else None
    steps = args.steps if args.steps is not None else pads.shape[0] if pads else DEFAULT_STEPS
    if steps < 1:
        raise NitrogenError(f"--steps is {steps}, where at least 1 is needed")
    launch = Launch(
        command=tuple(args.command),
        size=args.size,
        fps=args.fps,
        display=args.display,
        seed=args.seed,
        home=args.home,
        log=args.log,
        cwd=Path.cwd(),
        boot_timeout=args.boot_timeout,
        step_timeout=args.step_timeout,
    )
    ended = None
    with contextlib.ExitStack() as stack:
        outputs = _Outputs(args.hashes, args.video, args.fps, stack)
        session = stack.enter_context(Session(launch))
        with terminal.progress(Path(args.command[0]).name, steps, "frames") as advance:
            began, cpu, done = time.monotonic(), session.cpu_seconds, 0
            try:
                for done in range(steps):
                    _set_pad(session, pads, done)
                    session.step()
                    outputs.take(session.frame)
                    advance(1)
                done = steps
            except (GameExited, StepTimeout) as error:
                ended = error
        seconds = time.monotonic() - began
        result = _result(session, done, seconds, cpu if ended is None else None)
    result |= {"steps": steps, "ended": str(ended) if ended else None}
    _show(args, result)
    return 1 if ended else 0


class _Outputs:
    """The files that take the frames; they appear when all is over."""

    def __init__(
        self, hashes: Path | None, video: Path | None, fps: float, stack: contextlib.ExitStack
    ):
        from nitrogen_jax.files import atomic_path

        self._hashes, self._video, self._writer = None, video, None
        self._fps, self._stack = fps, stack
        if video is not None:
            import nitrogen_jax.data.video_write  # says at once what it lacks  # noqa: F401
        if hashes is not None:
            path = stack.enter_context(atomic_path(hashes))
            self._hashes = stack.enter_context(path.open("w"))

    def take(self, get_frame) -> None:
        if self._hashes is None and self._video is None:
            return
        frame = get_frame()
        if self._hashes is not None:
            self._hashes.write(hashlib.sha256(frame.tobytes()).hexdigest() + "\n")
        if self._video is not None:
            self._write(frame)

    def _write(self, frame) -> None:
        from nitrogen_jax.data.video_write import VideoWriter

        height, width, _ = frame.shape
        if self._writer is None:
            writer = VideoWriter(self._video, (width, height), self._fps, preset="veryfast")
            self._writer = self._stack.enter_context(writer)
        if self._writer.size != (width, height):
            import cv2

            frame = cv2.resize(frame, self._writer.size, interpolation=cv2.INTER_AREA)
        self._writer.write(frame)


def _set_pad(session, pads, step: int) -> None:
    from nitrogen_jax.gamepad import decode, neutral

    if pads is None or step > pads.shape[0]:
        return
    session.set_pad(pads[step] if step < pads.shape[0] else decode(neutral()))


def _result(session, done: int, seconds: float, cpu: float | None) -> dict[str, Any]:
    stats = session.stats
    return {
        "frames": done,
        "virtual_seconds": session.time,
        "seconds": round(seconds, 3),
        "frames_per_second": round(done / seconds, 1) if seconds > 0 else None,
        "cpu_ms_per_frame": None
        if cpu is None or not done
        else round((session.cpu_seconds - cpu) / done * 1e3, 3),
        "exit_code": session.exit_code,
        **{name: value for name, value in stats.items() if name not in ("frames",)},
    }


def _show(args: argparse.Namespace, result: dict[str, Any]) -> None:
    from nitrogen_jax import terminal

    if args.json:
        terminal.out().print(json.dumps(result), markup=False)
        return
    rows = [
        ("frames", f"{result['frames']:,} of {result['steps']:,}"),
        ("presented through", result["kind"]),
        ("virtual seconds", f"{result['virtual_seconds']:.3f}"),
        ("seconds", f"{result['seconds']:.2f}"),
        ("frames per second", result["frames_per_second"]),
        ("CPU ms per frame", result["cpu_ms_per_frame"]),
        ("pad attached", "yes" if result["pad_attached"] else "no"),
    ]
    title = " ".join(args.command)[:80]
    terminal.out().print(terminal.table(title, ("", "value>"), rows))
    if result["ended"]:
        terminal.console().print(result["ended"], markup=False)
