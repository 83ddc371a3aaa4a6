"""A clip of an episode for people: what was seen, what was held, what the judge read; without JAX.

The whole episode is in it: a long one goes faster. Writing needs PyAV, and `missing` tells whether
it is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.evaluation.rollout import RESTING
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.extras import install_command
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.report import chunk

SECONDS, RATE = 20, 15  # of a clip at most
MOST_BYTES = 300_000
PICTURE = (320, 240)  # width and height that the game's picture is fitted into
SIZE = (PICTURE[0] + chunk.PAD_WIDTH, PICTURE[1])
BEST, WORST = 28, 51  # x264's crf
GOP, PRESET = 150, "veryfast"  # an episode may end while others wait for the processor
LINE, LETTERS = 14, 22  # pixels from one line of text to the next; letters that fit into one
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Moment:
    """One frame that is kept.

    Attributes:
        step: that it was made by; 0 is the reset.
        picture: JPEG of the game's, not larger than PICTURE.
        pad: () with all buttons that were held since the moment before.
    """

    step: int
    picture: bytes
    pad: Pad
    verdict: Verdict


def missing() -> str | None:
    """What writing a clip needs and is not installed, as a sentence."""
    try:
        from av.codec import Codec

        from nitrogen_jax.data.video_write import ENCODER

        Codec(ENCODER, "w")
    except ImportError:
        return f"clips need av, which is not installed: {install_command('label')}"
    except ValueError:  # PyAV's UnknownCodecError is one
        return f"clips need the encoder {ENCODER}, which this av does not have"
    return None


class Clip:
    """Collects an episode, and writes it where `close` is called; else nothing is written.

    `see` is what `rollout.play` calls.
    """

    def __init__(self, path: str | Path, fps: float):
        """
        Args:
            path: of the file, ending in .mp4.
            fps: steps a second of game time.
        """
        self.path, self.fps = Path(path), float(fps)
        self._moments: list[Moment] = []
        self._stride = max(1, round(self.fps / RATE))  # steps from one moment to the next
        self._steps = 0
        self._held = RESTING.pressed
        self._last: tuple[np.ndarray, Pad, Verdict] | None = None  # no moment yet

    def see(self, frame: np.ndarray, pad: Pad | None, verdict: Verdict) -> None:
        """Takes a frame (H, W, 3) uint8 RGB, the pad () that made it and what was said of it."""
        pad = RESTING if pad is None else pad
        self._held = self._held | pad.pressed
        if self._steps % self._stride:
            # NOTE: an episode may end here, and the picture's memory may be the game's own.
            self._last = frame.copy(), pad, verdict
        else:
            self._keep(frame, pad, verdict, self._steps)
        self._steps += 1
        if len(self._moments) > SECONDS * RATE:
            self._moments = _every_other(self._moments)
            self._stride *= 2

    def close(self) -> Path | None:
        """Writes the file; None where there was nothing to see."""
        from nitrogen_jax.data.video_write import VideoWriter

        if self._last is not None:
            self._keep(*self._last, self._steps - 1)
        if not self._moments:
            return None
        seconds = self._steps / self.fps
        speed = max(1.0, seconds / SECONDS)
        rate = min(max(len(self._moments) / min(seconds, SECONDS), 1.0), 60.0)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        quality = BEST
        while True:
            with VideoWriter(self.path, SIZE, rate, quality, GOP, PRESET) as writer:
                for picture in self._pictures(speed):
                    writer.write(picture)
            over = self.path.stat().st_size / MOST_BYTES
            if over <= 1 or quality == WORST:
                return self.path
            # A file of half the size takes about 6 more.
            quality = min(quality + 1 + round(6 * math.log2(over)), WORST)

    def _keep(self, frame: np.ndarray, pad: Pad, verdict: Verdict, step: int) -> None:
        held = Pad(self._held, pad.left, pad.right)
        self._moments.append(Moment(step, _small(frame), held, verdict))
        self._held, self._last = RESTING.pressed, None

    def _pictures(self, speed: float) -> Iterator[np.ndarray]:
        """Frames of SIZE as they are written."""
        for moment in self._moments:
            canvas = np.full((SIZE[1], SIZE[0], 3), chunk.BODY, np.uint8)
            blue = cv2.imdecode(np.frombuffer(moment.picture, np.uint8), cv2.IMREAD_COLOR)
            high, wide = blue.shape[:2]
            canvas[:, : PICTURE[0]] = chunk.BACKGROUND
            top, left = (PICTURE[1] - high) // 2, (PICTURE[0] - wide) // 2
            canvas[top : top + high, left : left + wide] = cv2.cvtColor(blue, cv2.COLOR_BGR2RGB)
            fast = f"  (x{speed:.1f})" if speed > 1 else ""
            drawn = chunk.draw_pad(moment.pad, f"{moment.step / self.fps:.1f} s{fast}")
            canvas[: drawn.shape[0], PICTURE[0] :] = drawn
            _write(canvas, moment.verdict, (PICTURE[0] + 6, drawn.shape[0] + LINE))
            yield canvas


def _every_other(moments: list[Moment]) -> list[Moment]:
    """Half of the moments, each with the buttons of the one that is left out before it."""
    kept = [moments[0]]
    for out, one in zip(moments[1::2], moments[2::2], strict=False):
        held = Pad(one.pad.pressed | out.pad.pressed, one.pad.left, one.pad.right)
        kept.append(Moment(one.step, one.picture, held, one.verdict))
    return kept


def _small(frame: np.ndarray) -> bytes:
    """A picture as JPEG, fitted into PICTURE."""
    high, wide = frame.shape[:2]
    scale = min(PICTURE[0] / wide, PICTURE[1] / high)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    blue = cv2.cvtColor(cv2.resize(frame, size, interpolation=way), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", blue, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def _write(canvas: np.ndarray, verdict: Verdict, at: tuple[int, int]) -> None:
    """Progress as a bar and a number, and below it what the judge reads."""
    x, y = at
    right = x + round(verdict.progress * (SIZE[0] - 6 - x))
    cv2.rectangle(canvas, (x, y - 4), (SIZE[0] - 6, y), chunk.OUTLINE, cv2.FILLED)
    cv2.rectangle(canvas, (x, y - 4), (right, y), chunk.LIT, cv2.FILLED)
    lines = [f"progress {verdict.progress:.2f}"]
    for name, value in verdict.facts.items():
        shown = f"{value:g}" if isinstance(value, int | float) else str(value)
        lines.append(f"{name} {shown}")
    for number, line in enumerate(lines[: (SIZE[1] - y) // LINE]):
        text = line.encode("ascii", "replace").decode()[:LETTERS]
        place = (x, y + (number + 1) * LINE)
        cv2.putText(canvas, text, place, FONT, 0.38, chunk.INK, 1, cv2.LINE_AA)
