"""A small made-up data set for tests and demonstrations: real videos and a real label tree.

What is in the videos, the rule that the pad follows, and how rows and frames belong together are
explained in demo_world.py, which has no file in it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.data import digits, label_tree, labels
from nitrogen_jax.data.demo_world import THEMES, Theme, Trace, draw, make_trace
from nitrogen_jax.data.video_write import VideoWriter
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import pack

SMALLEST = (160, 90)  # width, height
SHORTEST = 0.5  # seconds that the last chunk of a video needs to be one


@dataclass(frozen=True, eq=False)
class DemoVideo:
    """One video of a demo.

    Attributes:
        path: None where it was left out.
        overlay: in pixels.
        number_box: of the frame number, x, y, width and height in 0..1 of the picture.
        actions: (N, 25) float32 buttons_first, as in the labels.
    """

    video_id: str
    game: str
    path: Path | None
    overlay: labels.Box
    number_box: digits.RelativeBox
    trace: Trace
    actions: np.ndarray
    chunks: tuple[labels.ChunkMeta, ...]


@dataclass(frozen=True, eq=False)
class DemoInfo:
    """A demo as it was written: its folders `videos` and `labels`, and what is in them."""

    root: Path
    size: tuple[int, int]  # width, height
    rate: float
    seed: int
    videos: tuple[DemoVideo, ...]

    def to_json(self) -> dict:
        """What demo.json holds."""
        return {
            "size": list(self.size),
            "rate": self.rate,
            "seed": self.seed,
            "videos": [
                {
                    "video_id": video.video_id,
                    "game": video.game,
                    "file": None if video.path is None else f"videos/{video.path.name}",
                    "frames": len(video.actions),
                    "seconds": round(float(video.trace.times[-1]), 6),
                    "chunks": len(video.chunks),
                    "overlay": list(video.overlay),
                    "number_box": list(video.number_box),
                }
                for video in self.videos
            ],
        }


def make_demo(
    out: str | Path,
    videos: int = 4,
    seconds: float = 30.0,
    rate: float = 60.0,
    size: tuple[int, int] = (320, 180),
    seed: int = 0,
    games: int = 2,
    chunk_seconds: float = 20.0,
    variable: Collection[int] = (),
    leave_out: Collection[int] = (),
    preset: str = "veryfast",
) -> DemoInfo:
    """Writes OUT/videos/<video_id>.mp4, OUT/labels/actions/SHARD_0000/... and OUT/demo.json.

    The same arguments give the same files; videos of different seeds have different names.

    Args:
        out: a folder that does not exist yet or is empty.
        videos: how many.
        seconds: of each. Less than half a second after the last whole chunk has no labels.
        rate: frames per second.
        size: (width, height), even numbers.
        seed: of everything that is random.
        games: how many looks, up to 4; videos take turns.
        chunk_seconds: of the label tree's chunks.
        variable: the videos, from 0, whose frame rate varies.
        leave_out: the videos of which there are labels and no file.
        preset: of the encoder.
    """
    out = Path(out)
    _check(out, size, seconds, rate)
    for name, value, least, most in (
        ("videos", videos, 1, 1000),
        ("games", games, 1, len(THEMES)),
        ("chunk seconds", chunk_seconds, 1, 36_000),
        ("seed", seed, 0, 2**31),
        *(("a video whose rate varies", index, 0, videos - 1) for index in variable),
        *(("a video to leave out", index, 0, videos - 1) for index in leave_out),
    ):
        _check_range(name, value, least, most)
    made = []
    with atomic_path(out) as temporary:
        (temporary / "videos").mkdir(parents=True)
        for index in range(videos):
            theme, video_id = THEMES[index % games], f"demo-{seed}-{index:02}"
            rng = np.random.default_rng([seed, index])
            trace = make_trace(rng, _times(rng, seconds, rate, index in variable), theme)
            path = None if index in leave_out else Path("videos") / f"{video_id}.mp4"
            if path is not None:
                options = {"preset": preset, "total": len(trace.times)}
                if index in variable:
                    options["times"] = trace.times
                with VideoWriter(temporary / path, size, rate, **options) as writer:
                    for frame in draw(trace, theme, size):
                        writer.write(frame)
            video = DemoVideo(
                video_id=video_id,
                game=theme.game,
                path=None if path is None else out / path,
                overlay=theme.overlay(size),
                number_box=theme.number_box,
                trace=trace,
                actions=pack(trace.pad),
                chunks=tuple(_chunks(video_id, theme, trace, size, rate, chunk_seconds)),
            )
            for number, meta in enumerate(video.chunks):
                first = meta.video.start_frame
                rows = video.actions[first : first + meta.chunk_size]
                # The public labels have the processed table for about half of their chunks.
                processed = rows if number % 2 == 0 else None
                label_tree.write_chunk(temporary / "labels", meta, rows, processed=processed)
            made.append(video)
        info = DemoInfo(out, tuple(size), rate, seed, tuple(made))
        (temporary / "demo.json").write_text(json.dumps(info.to_json(), indent=1))
    return info


def _times(rng: np.random.Generator, seconds: float, rate: float, variable: bool) -> np.ndarray:
    count = round(seconds * rate)
    if not variable:
        return np.arange(count) / rate
    # Whole milliseconds, which every container can hold.
    steps = np.rint(1000 / rate * rng.uniform(0.6, 1.6, 2 * count)).clip(1) / 1000
    times = np.concatenate([[0], np.cumsum(steps)])
    return times[times < seconds]


def _chunks(
    video_id: str,
    theme: Theme,
    trace: Trace,
    size: tuple[int, int],
    rate: float,
    chunk_seconds: float,
) -> Iterator[labels.ChunkMeta]:
    """The metadata of a video's chunks."""
    number = np.floor(trace.times / chunk_seconds + 1e-9).astype(int)
    for chunk in range(number[-1] + 1):
        rows = np.flatnonzero(number == chunk)
        begin = float(trace.times[rows[0]])
        after = rows[-1] + 1
        end = float(trace.times[after] if after < len(number) else trace.times[-1] + 1 / rate)
        if chunk == number[-1] and end - begin < SHORTEST:
            return
        yield labels.ChunkMeta(
            uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{video_id}/{chunk}/{size}/{rate}")),
            chunk_id=str(chunk),
            chunk_size=len(rows),
            game=theme.game,
            controller_type="xboxone",
            overlay=theme.overlay(size),
            game_area=None,
            video=labels.OriginalVideo(
                video_id=video_id,
                resolution=(size[1], size[0]),
                source="demo",
                start_time=begin,
                end_time=end,
                duration=end - begin,
                start_frame=int(rows[0]),
                end_frame=int(after),
            ),
        )


def _check(out: Path, size: tuple[int, int], seconds: float, rate: float) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NitrogenError(f"{out} exists and is not an empty folder: a demo needs a new one")
    for name, value, least in zip(("width", "height"), size, SMALLEST, strict=True):
        _check_range(name, value, least, 4096)
        if value % 2:
            raise NitrogenError(f"demo: {name} is {value}, where an even number is needed")
    _check_range("rate", rate, 10, 240)
    _check_range("seconds", seconds, 1, digits.LARGEST / rate)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise NitrogenError(f"demo: {name} is {value}, where {least} to {most:g} is possible")
