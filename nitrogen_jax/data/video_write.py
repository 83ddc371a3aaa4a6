"""Writing videos: H.264, BT.709, the same bytes for the same frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np

from nitrogen_jax import terminal
from nitrogen_jax.data.colours import BT709, LIMITED, FromRGB
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path

SUFFIXES = (".mp4", ".mkv", ".mov")
ENCODER = "libx264"

# Explicit times are rounded to 1 / 90000 s, which most frame rates divide.
TICKS = 90_000


# NOTE: x264's AVX-512 code gives other bytes for the same frames in about one file of a hundred.
_AVX2 = 11  # OpenCV's number; False on other kinds of processors
REPEATABLE = {"x264-params": "asm=avx2"} if cv2.checkHardwareSupport(_AVX2) else {}


class VideoWriter:
    """Writes frames one by one; the file appears when the `with` block ends without an error.

    with VideoWriter("a.mp4", (320, 180), rate=60) as writer:
        writer.write(frame)
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        rate: float | Fraction,
        crf: int = 20,
        gop: int | None = None,
        preset: str = "medium",
        total: int | None = None,
        times: Sequence[float] | None = None,
        threads: int = 1,
    ):
        """
        Args:
            path: ends in .mp4, .mkv or .mov; its folder exists.
            size: (width, height) of the frames. H.264 of this kind needs even numbers: the last
                column or row of an odd size is stored twice.
            rate: frames per second.
            crf: quality, from 0 for the best to 51.
            gop: frames from one that stands alone to the next, at most.
            preset: x264's name for how much it tries.
            total: frames that will come; draws a progress bar with an ETA.
            times: seconds at which each frame is shown, increasing, for a rate that varies.
            threads: that encode. The bytes of the file depend on it.
        """
        self.path, self.size, self.frames = Path(path), tuple(size), 0
        if self.path.suffix.lower() not in SUFFIXES:
            raise NitrogenError(f"video {path} has to end in {', '.join(SUFFIXES)}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise NitrogenError(f"video {path}: size is {size}, where (width, height) is needed")
        if not 0.1 <= rate <= 1000:
            raise NitrogenError(f"video {path}: rate is {rate}, where 0.1 to 1000 Hz is possible")
        if not 0 <= crf <= 51:
            raise NitrogenError(f"video {path}: crf is {crf}, where 0 (best) to 51 is needed")
        self._rate = Fraction(float(rate)).limit_denominator(1001)
        self._pts = None if times is None else _ticks(times, path)
        options = {"crf": str(crf), "preset": preset, **REPEATABLE}
        if gop is not None:
            options["g"] = str(gop)
        self._options, self._threads, self._total = options, threads, total
        self._from_rgb = FromRGB()

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            self._advance: Callable[[float], None] = lambda amount: None
            if self._total is not None:
                what = f"writing {self.path.name}"
                self._advance = stack.enter_context(terminal.progress(what, self._total, "frames"))
            # The index in front, so that a player can begin before it has all.
            mkv = self.path.suffix.lower() == ".mkv"
            options = {} if mkv else {"movflags": "+faststart"}
            try:
                container = av.open(temporary, "w", options=options)
            except (av.FFmpegError, OSError) as error:
                raise NitrogenError(f"cannot write video {self.path}: {error.strerror}") from None
            self._container = stack.enter_context(container)
            self._stream = self._add_stream()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if error is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            self._finish()
        return None

    def write(self, frame: np.ndarray) -> None:
        """Adds a frame (height, width, 3) uint8 RGB."""
        width, height = self.size
        shape = getattr(frame, "shape", None)
        if shape != (height, width, 3) or frame.dtype != np.uint8:
            raise NitrogenError(
                f"video {self.path}, frame {self.frames}: it is {getattr(frame, 'dtype', '?')} "
                f"{shape}, where uint8 {(height, width, 3)} is needed"
            )
        if self._pts is not None and self.frames >= len(self._pts):
            raise NitrogenError(f"video {self.path}: frame {self.frames} has no time")
        if width % 2 or height % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = self._from_rgb(frame)
        if self._pts is None:
            picture.pts, picture.time_base = self.frames, 1 / self._rate
        else:
            picture.pts, picture.time_base = self._pts[self.frames], Fraction(1, TICKS)
        self._encode(picture)
        self.frames += 1
        self._advance(1)

    def _add_stream(self):
        width, height = self.size
        try:
            stream = self._container.add_stream(ENCODER, rate=self._rate)
        except ValueError:  # PyAV's UnknownCodecError is one
            raise NitrogenError(
                f"cannot write video {self.path}: this PyAV has no encoder {ENCODER}"
            ) from None
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt, stream.options = "yuv420p", self._options
        context = stream.codec_context
        context.thread_count = self._threads
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        context.time_base = 1 / self._rate if self._pts is None else Fraction(1, TICKS)
        return stream

    def _encode(self, picture: av.VideoFrame | None) -> None:
        with self._explained():
            self._container.mux(self._stream.encode(picture))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            options = ", ".join(f"{name}={value}" for name, value in self._options.items())
            raise NitrogenError(
                f"cannot write video {self.path}: {error.strerror} (at frame {self.frames}, with "
                f"{options})"
            ) from None

    def _finish(self) -> None:
        if self.frames == 0:
            raise NitrogenError(f"cannot write video {self.path}: no frame was given")
        if self._pts is not None and self.frames < len(self._pts):
            raise NitrogenError(
                f"video {self.path} has {self.frames} frames and {len(self._pts)} times"
            )
        self._encode(None)
        with self._explained():
            self._container.close()


def _ticks(times: Sequence[float], path: str | Path) -> list[int]:
    """Times in seconds as ticks, checked."""
    seconds = np.asarray(times, np.float64)
    if seconds.ndim != 1 or not np.isfinite(seconds).all() or (seconds < 0).any():
        raise NitrogenError(f"video {path}: times have to be finite seconds, one for each frame")
    ticks = np.rint(seconds * TICKS).astype(np.int64)
    if (np.diff(ticks) <= 0).any():
        at = int(np.argmax(np.diff(ticks) <= 0)) + 1
        raise NitrogenError(
            f"video {path}: time {seconds[at]} of frame {at} is not after {seconds[at - 1]}"
        )
    return ticks.tolist()
