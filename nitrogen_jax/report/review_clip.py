"""The frames of chunks as JPEGs, for a page that has to know which frame it shows.

Why a JPEG for each frame and no video: browsers seek to a time, not to a frame, and may round, may
show the frame before, or need a codec that not all have. A picture that stands alone is frame i in
every browser, because it is number i of the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.data import mask, video
from nitrogen_jax.data.labels import ChunkMeta
from nitrogen_jax.errors import NitrogenError

MARGIN = 0.06  # around the overlay's box, of its larger side
CROP_QUALITY = 85
MAX_CROP = 640  # pixels of the overlay's longer side; it is seldom larger


@dataclass(frozen=True)
class ClipOptions:
    """How large the pictures of a page are.

    Attributes:
        width: of the shown frames, in pixels; smaller videos stay as they are.
        quality: of JPEG, 1..100.
        most_bytes: of all pictures of a page as text.
    """

    width: int = 480
    quality: int = 75
    most_bytes: int = 100_000_000

    def check(self) -> ClipOptions:
        """Returns itself; raises one sentence where an option makes no sense."""
        for name, value, least, most in (
            ("width", self.width, 32, 4096),
            ("quality", self.quality, 1, 100),
            ("most bytes", self.most_bytes, 1, 1 << 30),
        ):
            if not least <= value <= most:
                raise NitrogenError(f"{name} of a review page is {value}, where {least} to {most}")
        return self


@dataclass(eq=False)
class Clip:
    """The pictures of one chunk, one for each of its rows.

    Attributes:
        frames: JPEGs of whole frames.
        overlays: JPEGs of the overlay and a little around it; none where there is no overlay.
        times: seconds since the first frame of the video.
        size: (width, height) of the frames.
        overlay_size: the same of the overlays.
    """

    frames: list[bytes] = field(default_factory=list)
    overlays: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    overlay_size: tuple[int, int] = (0, 0)

    @property
    def num_bytes(self) -> int:
        """Of the pictures as base64 text."""
        return sum(-(-len(one) // 3) * 4 for one in (*self.frames, *self.overlays))


def clips(
    path: Path, chunks: Sequence[ChunkMeta], options: ClipOptions = ClipOptions(), threads: int = 1
) -> Iterator[tuple[int, Clip | str]]:
    """(index in `chunks`, its clip or why there is none), decoding the video once, in order.

    A clip comes as soon as it is complete, so that only those that overlap are in memory.

    Args:
        threads: that decode; 0 for all cores.
    """
    waiting = sorted(range(len(chunks)), key=lambda i: chunks[i].video.start_frame, reverse=True)
    making: dict[int, _Maker] = {}
    ending, index = "", -1
    frames = video.frames(path, threads)
    try:
        for frame in frames:
            if frame.faults:  # a frame may be missing, and all rows after it beside a wrong one
                ending = "is damaged"
                break
            index = frame.index
            while waiting and chunks[waiting[-1]].video.start_frame <= index:
                number = waiting.pop()
                making[number] = _Maker(chunks[number], options)
            picture = frame.picture() if making else None
            for number, maker in list(making.items()):
                maker.add(picture, frame.time)
                if maker.done:
                    yield number, maker.result()
                    del making[number]
            if not waiting and not making:
                return
    except video.Damaged as error:
        ending = f"ends ({error.reason})"
    finally:
        frames.close()
    for number in sorted([*making, *waiting]):
        meta = chunks[number].video
        yield (
            number,
            f"video {path} {ending or 'ends'} after {index + 1} frames, and the chunk goes from "
            f"{meta.start_frame} to {meta.start_frame + chunks[number].chunk_size}",
        )


class _Maker:
    """The clip of a chunk whose frames are being decoded."""

    def __init__(self, meta: ChunkMeta, options: ClipOptions):
        self.meta, self.options, self.clip = meta, options, Clip()
        self.num_bytes, self.reason = 0, ""

    @property
    def done(self) -> bool:
        return bool(self.reason) or len(self.clip.times) == self.meta.chunk_size

    def result(self) -> Clip | str:
        return self.reason or self.clip

    def add(self, picture: np.ndarray, time: float) -> None:
        """Takes the frame (H, W, 3) uint8 RGB of the next row."""
        clip, options = self.clip, self.options
        box = overlay_box(self.meta, picture.shape[:2])
        pictures = [(clip.frames, _shrunk(picture, options.width), options.quality)]
        if box is not None:
            left, top, right, bottom = box
            crop = picture[top:bottom, left:right]
            wide = round(min(1, MAX_CROP / max(crop.shape[:2])) * crop.shape[1])
            pictures.append((clip.overlays, _shrunk(crop, max(wide, 1)), CROP_QUALITY))
            clip.overlay_size = pictures[-1][1].shape[1::-1]
        clip.size = pictures[0][1].shape[1::-1]
        for found, one, quality in pictures:
            found.append(jpeg(one, quality))
            self.num_bytes += -(-len(found[-1]) // 3) * 4
        clip.times.append(time)
        if self.num_bytes > options.most_bytes:
            rows = len(clip.times)
            self.reason = (
                f"the pictures of {rows} of its {self.meta.chunk_size} rows are more than the "
                f"{options.most_bytes / 1e6:g} MB of --max-mb: a smaller --width or --quality helps"
            )


def overlay_box(meta: ChunkMeta, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is shown of the overlay in a picture (height, width)."""
    if meta.overlay is None:
        return None
    box = tuple(meta.overlay)
    if meta.video.resolution is not None:
        box = mask.scale_box(box, meta.video.resolution, shape)
    x, y, width, height = box
    margin = MARGIN * max(width, height)
    left, top = max(int(x - margin), 0), max(int(y - margin), 0)
    right, bottom = (
        min(int(x + width + margin) + 1, shape[1]),
        min(int(y + height + margin) + 1, shape[0]),
    )
    return (left, top, right, bottom) if left < right and top < bottom else None


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture (H, W, 3) uint8 RGB as JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    good, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not good:
        raise NitrogenError(f"a picture of shape {picture.shape} cannot be written as JPEG")
    return data.tobytes()


def _shrunk(picture: np.ndarray, width: int) -> np.ndarray:
    high, wide = picture.shape[:2]
    if wide <= width:
        return picture
    return cv2.resize(
        picture, (width, max(round(high * width / wide), 1)), None, 0, 0, cv2.INTER_AREA
    )
