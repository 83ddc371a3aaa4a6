"""Clips with an overlay whose states are known: drawn, encoded, and their truth beside them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from nitrogen_jax.data.colours import BT709, LIMITED, FromRGB
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling.skins.draw import Painter, Placement, blend, overlay_region
from nitrogen_jax.labeling.skins.skin import Skin, States
from nitrogen_jax.labeling.synth.footage import Footage, draw_hud
from nitrogen_jax.labeling.synth.traces import Trace, shown

# (width, height), rate, bits a second: from a cheap stream to a good one.
STREAMS = (
    ((1280, 720), 30.0, 1_500_000),
    ((1280, 720), 30.0, 2_500_000),
    ((1280, 720), 60.0, 3_500_000),
    ((1280, 720), 60.0, 4_500_000),
    ((1920, 1080), 30.0, 4_500_000),
    ((1920, 1080), 60.0, 6_000_000),
)
CODECS = {"h264": "libx264", "vp9": "libvpx-vp9"}


@dataclass(frozen=True)
class ClipPlan:
    """Everything that decides a clip.

    Attributes:
        skin: drawn onto it; None: a clip without an overlay.
        known: whether the skin is in the library that the clip is labelled with.
        at: where it is drawn.
        opacity: of the overlay.
        lag: frames by which the overlay is late.
        hud: whether a head-up display is drawn below it.
        start: seconds into the trace.
        seed: of footage and display.
    """

    name: str
    skin: str | None
    known: bool
    at: Placement
    opacity: float
    lag: int
    hud: bool
    size: tuple[int, int]
    rate: float
    bits: int
    codec: str
    trace: str
    start: float
    seconds: float
    seed: int

    @property
    def frames(self) -> int:
        return max(1, round(self.seconds * self.rate))

    @property
    def times(self) -> np.ndarray:
        """(frames,) seconds, in the middle of each frame."""
        return (np.arange(self.frames) + 0.5) / self.rate


@dataclass(frozen=True)
class Recipe:
    """From what clips are drawn at random.

    Attributes:
        none, unknown, hud, vp9: shares of clips without an overlay, with a skin that is not in the
            library, over a head-up display, and coded as VP9.
        travel: least and most pixels that a stick moves.
        width: least and most pixels of an overlay.
        opacity: least and most.
        lag: most frames by which an overlay is late.
    """

    none: float = 0.1
    unknown: float = 0.1
    hud: float = 0.2
    vp9: float = 0.2
    travel: tuple[float, float] = (3.0, 12.0)
    width: tuple[float, float] = (100.0, 480.0)
    opacity: tuple[float, float] = (0.4, 1.0)
    lag: int = 0


def plan(
    name: str,
    rng: np.random.Generator,
    skin: Skin | None,
    known: bool,
    trace: Trace,
    seconds: float,
    recipe: Recipe,
) -> ClipPlan:
    """One clip at random; its skin is given."""
    size, rate, bits = STREAMS[rng.integers(len(STREAMS))]
    at, opacity = Placement(1.0, 0.0, 0.0), 1.0
    if skin is not None:
        at = placement(rng, skin, size, recipe)
        # Half of all overlays are opaque.
        opacity = 1.0 if rng.random() < 0.5 else float(rng.uniform(*recipe.opacity))
        opacity = float(np.clip(opacity, *recipe.opacity))
    return ClipPlan(
        name,
        None if skin is None else skin.name,
        known,
        at,
        round(opacity, 3),
        int(rng.integers(0, recipe.lag + 1)),
        bool(rng.random() < recipe.hud),
        size,
        rate,
        bits,
        "vp9" if rng.random() < recipe.vp9 else "h264",
        trace.name,
        float(rng.uniform(0, max(trace.seconds - seconds, 0))),
        seconds,
        int(rng.integers(2**31)),
    )


def placement(
    rng: np.random.Generator, skin: Skin, size: tuple[int, int], recipe: Recipe
) -> Placement:
    """A scale within the bounds of travel and width, and a place, mostly in a corner."""
    travel = max([max(element.travel) for element in skin.elements] or [0.0])
    low, high = recipe.width[0] / skin.size[0], recipe.width[1] / skin.size[0]
    if travel:
        low, high = max(low, recipe.travel[0] / travel), min(high, recipe.travel[1] / travel)
    # No overlay covers more than half of the picture's height.
    high = min(high, size[1] / 2 / skin.size[1])
    scale = float(np.exp(rng.uniform(np.log(min(low, high)), np.log(high))))
    room = size[0] - skin.size[0] * scale, size[1] - skin.size[1] * scale
    if rng.random() < 0.8:
        spot = rng.integers(0, 2, 2)
        margin = rng.uniform(4, 40, 2)
        x, y = np.where(spot == 0, margin, np.array(room) - margin)
    else:
        x, y = rng.uniform(0, 1, 2) * room
    x, y = np.clip((x, y), 0, np.maximum(room, 0))
    return Placement(scale, float(x), float(y))


def truth(plan: ClipPlan, skin: Skin | None, trace: Trace) -> tuple[States, States]:
    """What the pad did at each frame, and what the overlay showed, which may be late."""
    if skin is None:
        idle = States.idle(plan.frames)
        return idle, idle
    times = plan.start + plan.times
    did = shown(trace.at(times), skin)
    late = trace.at(times - plan.lag / plan.rate)
    return did, late


def render(
    plan: ClipPlan, skin: Skin | None, trace: Trace, footage: Footage, path: Path, speed: str
) -> None:
    """Draws and encodes a clip; the file appears when it is complete.

    Args:
        speed: x264's preset.
    """
    _, late = truth(plan, skin, trace)
    painter = None
    if skin is not None:
        region = overlay_region(skin, plan.at)
        painter = Painter(skin, plan.at, region)
    hud = None
    if plan.hud:
        hud = draw_hud(np.random.default_rng(plan.seed + 1), plan.size)
    with Encoder(path, plan.size, plan.rate, plan.bits, plan.codec, speed) as encoder:
        for row, frame in zip(
            range(plan.frames), footage.frames(plan.size, plan.rate, plan.seed), strict=False
        ):
            frame = frame.copy()
            if hud is not None:
                frame[hud[1]] = hud[0][hud[1]]
            if painter is not None:
                rgba = painter.rgba(*(part[row] for part in late))
                blend(frame, rgba, painter.region, plan.opacity)
            encoder.write(frame)


class Encoder:
    """Writes frames at a bit rate, as streams have it; `VideoWriter` writes at a quality."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: float,
        bits: int,
        codec: str = "h264",
        speed: str = "veryfast",
    ):
        self.path, self.size = Path(path), size
        self.rate = Fraction(rate).limit_denominator(1001)
        self.bits, self.codec, self.speed = bits, codec, speed

    def __enter__(self) -> Encoder:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            try:
                self._container = stack.enter_context(av.open(temporary, "w"))
                stream = self._container.add_stream(CODECS[self.codec], rate=self.rate)
            except (av.FFmpegError, ValueError, OSError) as error:
                raise NitrogenError(f"cannot write video {self.path}: {error}") from None
            stream.width, stream.height = self.size
            stream.pix_fmt, stream.bit_rate = "yuv420p", self.bits
            context = stream.codec_context
            context.thread_count = 1
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED
            if self.codec == "h264":
                limit = {"maxrate": str(self.bits), "bufsize": str(2 * self.bits)}
                stream.options = {"preset": self.speed, "g": "250", **limit}
            else:
                stream.options = {"deadline": "realtime", "cpu-used": "8", "g": "250"}
            self._stream, self._from_rgb, self._frames = stream, FromRGB(), 0
            self._stack = stack.pop_all()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Adds a frame (height, width, 3) uint8 RGB."""
        picture = self._from_rgb(frame)
        picture.pts, picture.time_base = self._frames, 1 / self.rate
        self._encode(picture)
        self._frames += 1

    def _encode(self, picture: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.FFmpegError, ValueError) as error:
            raise NitrogenError(f"cannot write video {self.path}: {error}") from None

    def __exit__(self, kind, error, trace) -> None:
        # The stack closes the file, and keeps it only where nothing has failed.
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._encode(None)


def describe(plan: ClipPlan) -> str:
    """A plan as JSON, for the file beside the clip."""
    return json.dumps(asdict(plan), indent=1)
