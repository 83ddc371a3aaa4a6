"""Videos and pictures with an overlay for tests: drawn once, small, of known places and states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from nitrogen_jax.data.colours import BT601, BT709, FULL, LIMITED
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins.draw import Painter, Placement, blend
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.skin import Skin, States
from nitrogen_jax.labeling.synth.footage import MadeUp

SIZE = 640, 360  # of a picture, (width, height)
RATE = 15.0
SHOWN = ("SOUTH", "EAST", "LEFT_THUMB")


def at_width(skin: Skin, width: float, x: float, y: float) -> Placement:
    """Where a skin lies that is so many pixels wide."""
    return Placement(width / skin.size[0], x, y)


def few(seed: int, buttons: Sequence[str] = SHOWN, kinds=("texture", "button", "stick")) -> Skin:
    """A made-up skin of which only some elements are left, which is read in half the time."""
    skin = generate(seed)
    kept = [
        element
        for element in skin.elements
        if element.kind in kinds
        and (element.kind in ("texture", "stick") or element.button in buttons)
    ]
    return replace(skin, elements=tuple(kept))


def played(number: int) -> States:
    """Presses of SOUTH and EAST, and a left stick that goes round and rests, in N frames."""
    states, moment = States.idle(number), np.arange(number)
    states.buttons[:, BUTTON_INDEX["SOUTH"]] = moment % 11 >= 7
    states.buttons[:, BUTTON_INDEX["EAST"]] = moment % 17 >= 12
    angle = moment * 0.35
    moves = moment % 24 >= 10
    states.left[:] = np.stack([np.cos(angle), np.sin(angle)], 1) * moves[:, None]
    return states


def game(number: int, seed: int = 3, size=SIZE) -> list[np.ndarray]:
    """Frames of a game (h, w, 3), with scenes that change."""
    return [frame.copy() for frame in islice(MadeUp().frames(size, RATE, seed), number)]


class Kept:
    """Footage of frames that are there already, over and over."""

    def __init__(self, frames: Sequence[np.ndarray]):
        self.kept = frames

    def frames(self, size, rate, seed) -> Iterator[np.ndarray]:
        return cycle(self.kept)


def drawn(
    frames: Iterable[np.ndarray],
    skin: Skin,
    at: Placement,
    states: States,
    opacity: float = 1.0,
    there: Sequence[bool] | None = None,
) -> list[np.ndarray]:
    """Frames with an overlay on them; only on some if `there` says so."""
    painter, result = Painter(skin, at), []
    for row, frame in enumerate(frames):
        frame = frame.copy()
        if there is None or there[row]:
            rgba = painter.rgba(*(part[row] for part in states))
            blend(frame, rgba, painter.region, opacity)
        result.append(frame)
    return result


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 30,
    rate: float = RATE,
    ticks: Sequence[int] | None = None,
    full: bool = False,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    kind: str | None = None,
) -> Path:
    """A video of some frames.

    Args:
        ticks: of each frame's time, in hundredths of a second; evenly spread without.
        full: whether Y goes from 0 to 255.
        options: of the encoder.
        container: options of the container.
        kind: of the container, where the name does not say it.
    """
    extent = FULL if full else LIMITED
    if options is None:
        options = {"preset": "ultrafast", "crf": "18"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=kind, options=container or {}) as output:
        stream = output.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = pixels, options
        context = stream.codec_context
        context.thread_count, context.gop_size = 1, gop
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = extent
        if ticks is not None:
            context.time_base = Fraction(1, 100)
        for row, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
                format=pixels,
                src_colorspace=BT601,  # of RGB; has to be another than that of the video
                src_color_range=FULL,
                dst_colorspace=BT709,
                dst_color_range=extent,
            )
            if ticks is None:
                picture.pts, picture.time_base = row, 1 / Fraction(rate).limit_denominator(1001)
            else:
                picture.pts, picture.time_base = ticks[row], Fraction(1, 100)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def corner_error(found: Placement, true: Placement, skin: Skin) -> float:
    """The largest distance in pixels between the corners of a skin at two places."""
    corners = np.array([(x, y) for x in (0, skin.size[0]) for y in (0, skin.size[1])])
    one, other = (at.scale * corners + np.array([at.x, at.y]) for at in (found, true))
    return float(np.hypot(*(one - other).T).max())


def tinted(skin: Skin, name: str, gain: Sequence[float], pressed: bool = False) -> Skin:
    """A sibling in other colours.

    Args:
        gain: of red, green and blue.
        pressed: whether only the pressed sprites of buttons and sticks change.
    """
    elements = []
    for element in skin.elements:
        sprites = list(element.sprites)
        for at, one in enumerate(sprites):
            if at or not pressed:
                tint = one.copy()
                tint[..., :3] = (one[..., :3] * np.array(gain)).clip(0, one[..., 3:])
                sprites[at] = tint
        elements.append(replace(element, sprites=tuple(sprites)))
    return replace(skin, name=name, elements=tuple(elements))
