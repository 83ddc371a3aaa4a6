"""A labeller for tests of the pipeline: it decodes a video and makes up what is pressed.

What it does with a video follows from the words in its name: see `label`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import types
import zlib
from pathlib import Path

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.result import Segment, VideoFailure, VideoLabels
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import States

# What a real labeller finds out by looking; here names tell it.
CAUSES = ("no_overlay", "two_overlays", "overlay_cut_off", "size_changes", "low_confidence")


def label(path, library, options, advance=lambda frames: None) -> VideoLabels:
    """Labels by the words in a video's name.

    A word of CAUSES fails with it; "dies" kills the process, "boom" raises something unexpected,
    "slow" takes as many seconds as STANDIN_SECONDS says, "waits" until the file
    .hold beside it is gone, and says in .at which process has started it.
    """
    for cause in CAUSES:
        if cause in path.stem:
            raise VideoFailure(cause, f"{path} is made up to fail")
    if "dies" in path.stem:
        os.kill(os.getpid(), signal.SIGKILL)
    if "boom" in path.stem:
        raise RuntimeError("made up\nsecond line")
    if "threads" in path.stem:
        raise RuntimeError(os.environ["OMP_NUM_THREADS"])
    times, size = [], (0, 0)
    try:
        for frame in video.frames(path, threads=options.threads):
            size = frame.picture().shape[:2] if not times else size
            times.append(frame.time)
            advance(1)
    except video.Damaged as error:
        raise VideoFailure("damaged" if times else "not_a_video", error.reason) from None
    if "slow" in path.stem:
        time.sleep(float(os.environ.get("STANDIN_SECONDS", "1")))
    if "waits" in path.stem:
        with path.with_suffix(".at").open("a") as file:
            file.write(f"{os.getppid()}\n")
    while "waits" in path.stem and path.with_suffix(".hold").exists():
        time.sleep(0.02)
    return made_up(path.stem, np.array(times), size)


def made_up(name: str, times: np.ndarray, size=(90, 160), segments=None, valid=None) -> VideoLabels:
    """Labels that a name and the times of the frames decide.

    Args:
        segments: (start, end) of each; one for all frames without.
    """
    number, seed = len(times), zlib.crc32(name.encode())
    frames = np.arange(number)
    states = States.idle(number)
    states.buttons[:, BUTTON_INDEX["SOUTH"]] = (frames + seed) % 7 < 3
    states.buttons[:, BUTTON_INDEX["LEFT_TRIGGER"]] = (frames + seed) % 11 < 2
    states.left[:, 0] = np.sin(frames / 9 + seed % 10)
    states.right[:, 1] = np.round(np.cos(frames / 5), 2)
    found = tuple(
        Segment(
            start,
            end,
            "made-up",
            Placement(1.0, size[1] - 50.0, size[0] - 30.0),
            (size[1] - 50.0, size[0] - 30.0, 60.0, 20.0),  # 10 pixels beyond the right edge
            0.8,
            0.9,
            "xboxone",
        )
        for start, end in ([(0, number)] if segments is None else segments)
    )
    valid = np.ones(number, bool) if valid is None else valid
    confidence = np.where(valid, 0.75 + 0.25 * np.cos(frames / 3), 0.125).astype(np.float32)
    return VideoLabels(
        frames=number,
        rate=float((number - 1) / times[-1]),
        times=times,
        size=size,
        segments=found,
        states=states,
        confidence=confidence,
        valid=valid,
        warnings=("its frame rate varies",) if "varies" in name else (),
        cpu_seconds={"read": 0.25},
    )


def module() -> types.ModuleType:
    """In place of `nitrogen_jax.labeling.label_video`."""
    made = types.ModuleType("nitrogen_jax.labeling.label_video")
    made.label_video = label
    return made


def install() -> None:
    """Lets `nitrogen label run` of this process label with `label`."""
    sys.modules["nitrogen_jax.labeling.label_video"] = module()


def command(*arguments: str) -> list[str]:
    """`nitrogen label run` with this labeller, as the words of a process."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import standin; "
        "standin.install(); from nitrogen_jax import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code, "label", "run", *arguments]


def skins(folder: Path) -> Path:
    """A folder with one small skin."""
    from nitrogen_jax.labeling.skins import skin_file
    from nitrogen_jax.labeling.skins.skin import Element, Skin

    picture = np.full((20, 40, 4), 255, np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    skin = Skin("made-up", (40, 20), (Element("texture", "base", (0, 0), (picture,)),))
    skin_file.write(skin, folder / "made-up")
    return folder


def write_video(path: Path, seconds: float = 3.0, rate: float = 30, size=(160, 90), times=None):
    """A video of changing grey."""
    from nitrogen_jax.data.video_write import VideoWriter

    number = round(seconds * rate) if times is None else len(times)
    with VideoWriter(path, size, rate, preset="ultrafast", times=times) as writer:
        for frame in range(number):
            writer.write(np.full((size[1], size[0], 3), 40 + frame % 100, np.uint8))
    return path
