"""What is written of play: a recording such as `nitrogen sim record` makes, and more.

    OUT/videos/<video>.mp4          the game's pictures, the first one that of the reset
    OUT/debug/<video>.mp4           the same with pad and chunk drawn below, see `sketch`
    OUT/actions/<video>.jsonl       a line for each step: who held what, from which chunk, how fast
    OUT/actions/<video>.npz         the pads alone, for `nitrogen sim record --pad`
    OUT/labels/actions/SHARD_.../   the label tree: row i is the pad whose step produced frame i
    OUT/play.json                   how it was made

Each file appears when it is whole; in real time the debug video comes last. An episode that ends
early, for whatever reason, is written up to there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.data.video_write import VideoWriter
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import BUTTONS, Pad
from nitrogen_jax.play.seen import PERSON, Seen
from nitrogen_jax.play.sketch import Sketch
from nitrogen_jax.sim import actions, play, record

log = logging.getLogger(__name__)

ABOUT = "play.json"
FOLDERS = ("videos", "debug", "actions")
_MOST_WAITING = 90  # pictures that wait to be written
_NO_PICTURE = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Take:
    """What is recorded.

    Attributes:
        video_id: its files' name without the ending.
        game: the game's title.
        rate: steps a second.
        shift: control steps from a chunk's frame to its first action.
        hurry: the game does not wait: as little as possible is done while it goes on, and the debug
            video is drawn afterwards, over the pictures of the clean one.
    """

    video_id: str
    game: str
    rate: float
    shift: int
    hurry: bool = False


def begin(out: Path) -> Path:
    """Makes the folder, which must not exist yet or be empty."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NitrogenError(f"{out} exists and is not an empty folder: a recording needs a new one")
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise NitrogenError(f"cannot make {out}: {error.strerror}") from None
    return out


def write_about(out: Path, about: Mapping[str, Any]) -> None:
    """Writes play.json, in place of an older one."""
    with atomic_path(out / ABOUT) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


class Recorder:
    """Writes one episode, in a thread of its own; use it in a `with` block.

    However the block ends, what was seen until then is written.
    """

    def __init__(self, out: Path, take: Take):
        self._out, self._take = Path(out), take
        self._waiting: queue.Queue[Seen | None] = queue.Queue(_MOST_WAITING)
        self._failed: BaseException | None = None
        self._told = False  # that writing failed
        self._pads: list[Pad] = []
        self._later: list[Seen] = []  # steps without pictures, for a debug video that is to come
        self._size = (0, 0)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self.chunks = 0  # of the label tree, when all is written

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        try:
            if not self._told:
                self._check()
                self._finish()
        except Exception as worse:
            if error is None:
                raise
            log.error("%s", worse)

    def see(self, seen: Seen) -> bool:
        """Takes the next step, the reset's frame first; waits where writing is too slow."""
        self._check()
        picture = seen.picture
        if seen.step == 0:
            self._size = picture.shape[1::-1]
        else:
            record.same_size(picture, self._size)
            self._pads.append(seen.pad)
        self._waiting.put(seen)
        return True

    # Parts ----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._failed is not None:
            self._told = True
            raise self._failed

    def _work(self) -> None:
        over = False
        try:
            with contextlib.ExitStack() as stack:
                first, seen = self._waiting.get(), None
                over = first is None
                if not over:
                    seen = self._waiting.get()
                    over = seen is None
                if seen is None:
                    return  # a reset alone is no play
                writers = _Writers(self._out, self._take, self._size, stack, self._later)
                writers.write(first)
                while seen is not None:
                    writers.write(seen)
                    seen = self._waiting.get()
                over = True
        except BaseException as error:
            self._failed = error
            while not over:
                over = self._waiting.get() is None

    def _finish(self) -> None:
        if not self._pads:
            return
        take, pads = self._take, play.take(iter(self._pads), len(self._pads))
        actions.write(self._out / "actions" / f"{take.video_id}.npz", pads)
        about = record.Labelled(
            take.video_id, take.game, take.rate, self._size, None, "nitrogen play"
        )
        self.chunks = record.write_tree(self._out / "labels", about, pads)
        if self._later:
            self._draw()

    def _draw(self) -> None:
        """The debug video of a take in a hurry."""
        name, take = f"{self._take.video_id}.mp4", self._take
        sketch = Sketch(self._size, take.shift)
        width, height = self._size
        path, total = self._out / "debug" / name, len(self._later)
        frames = video.frames(self._out / "videos" / name)
        with VideoWriter(path, sketch.size, take.rate, preset="veryfast", total=total) as writer:
            for frame, seen in zip(frames, self._later, strict=True):
                # A video has sides of even length.
                picture = frame.picture()[:height, :width]
                writer.write(sketch.draw(replace(seen, picture=picture)))


class _Writers:
    """The files that take each step."""

    def __init__(
        self,
        out: Path,
        take: Take,
        size: tuple[int, int],
        stack: contextlib.ExitStack,
        later: list[Seen],
    ):
        for name in FOLDERS:
            (out / name).mkdir(exist_ok=True)
        name = f"{take.video_id}.mp4"
        self._sketch = Sketch(size, take.shift)
        path = stack.enter_context(atomic_path(out / "actions" / f"{take.video_id}.jsonl"))
        self._lines: TextIO = stack.enter_context(path.open("w", encoding="utf-8"))
        self._later = later
        preset = "ultrafast" if take.hurry else "veryfast"
        clean = VideoWriter(out / "videos" / name, size, take.rate, preset=preset)
        self._clean, self._debug = stack.enter_context(clean), None
        if not take.hurry:
            debug = VideoWriter(out / "debug" / name, self._sketch.size, take.rate, preset=preset)
            self._debug = stack.enter_context(debug)

    def write(self, seen: Seen) -> None:
        self._clean.write(seen.picture)
        if self._debug is None:
            self._later.append(replace(seen, picture=_NO_PICTURE))
        else:
            self._debug.write(self._sketch.draw(seen))
        if seen.step:
            self._lines.write(json.dumps(line(seen)) + "\n")


def line(seen: Seen) -> dict[str, Any]:
    """A step as plain data."""
    decision = seen.decision
    found = {
        "step": seen.step,
        "time": round(seen.time, 6),
        "wall": round(seen.wall, 6),
        "by": seen.by,
        "pad": _plain(seen.pad),
        "chunk": None if decision.chunk is None else decision.asked,
        "reward": seen.reward,
        "latency_ms": {part: round(value, 4) for part, value in seen.parts.items()},
    }
    if seen.by == PERSON:
        found["policy"] = _plain(decision.pad)
    return found


def _plain(pad: Pad) -> dict[str, Any]:
    names = [BUTTONS[index] for index in np.flatnonzero(pad.pressed)]
    return {"buttons": names, "left": _rounded(pad.left), "right": _rounded(pad.right)}


def _rounded(stick: np.ndarray) -> list[float]:
    return np.round(stick.astype(float), 6).tolist()
