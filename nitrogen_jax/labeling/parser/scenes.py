"""Made-up overlays as the network sees them, kept small so that thousands fit into memory.

A scene is one skin at one place, seen through a placement that is a little wrong, as located ones
are. Of a *drawn* scene every part is kept by itself, from which any number of samples are put
together in no time. A *recorded* one is a short clip, encoded and decoded again.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.parser.grounds import Grounds
from nitrogen_jax.labeling.parser.mosaic import Paint, canonical, cutter, faded, looks, painting
from nitrogen_jax.labeling.parser.slots import (
    CLICKS,
    READ,
    READ_INDEX,
    SIDES,
    STICK,
    STICK_CORNERS,
    Window,
)
from nitrogen_jax.labeling.planes import Colours, Planes, aligned, colours_of, cut, painted
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region, blend, overlay_region
from nitrogen_jax.labeling.skins.reduce import suited
from nitrogen_jax.labeling.skins.skin import Skin, States
from nitrogen_jax.labeling.synth import traces
from nitrogen_jax.labeling.synth.clips import Encoder
from nitrogen_jax.labeling.synth.traces import Trace

POSITIONS = 24  # of each stick that are drawn of a scene
FRAMES = 32  # of a clip
TRAVEL = 3.0, 13.0  # pixels that a stick moves, least and most
WIDTH = 100.0, 480.0  # pixels of an overlay
ERROR = 1.0, 0.01  # of a placement: pixels, and share of the scale
OPACITY = 0.4, 1.0
BITS = 1.6, 4.9  # bits a second of a pixel, as 720p and 1080p streams have them
TRIGGERS = "LEFT_TRIGGER", "RIGHT_TRIGGER"


@dataclass(frozen=True, eq=False)
class Drawn:
    """A skin at one place in parts, opaque.

    Attributes:
        template: (96, 96, 8) uint8, see mosaic.py.
        rest, pressed, partly: (96, 96, 4) uint8, Y, U, V premultiplied and alpha; `partly` has
            triggers pressed some of the way.
        knobs: (2, POSITIONS, 44, 44, 4) uint8, the slots of both sticks at some positions, the
            first one at rest.
        positions: (2, POSITIONS, 2) float32, where the sticks are seen in their slots, in travels.
        clicked: (2, POSITIONS) bool.
        partly_pressed: (2,) bool, what `partly` counts as, of the left and the right trigger.
        sticks, travel, presses: see `slots.Slots`.
        colours: (2,) int, how the stream stores colours.
    """

    template: np.ndarray
    rest: np.ndarray
    pressed: np.ndarray
    partly: np.ndarray
    knobs: np.ndarray
    positions: np.ndarray
    clicked: np.ndarray
    partly_pressed: np.ndarray
    sticks: np.ndarray
    travel: np.ndarray
    presses: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True, eq=False)
class Recorded:
    """A clip of a skin at one place.

    Attributes:
        frames: (FRAMES, 96, 96, 3) uint8.
        template: (96, 96, 8) uint8 of an overlay of the clip's opacity.
        positions: (FRAMES, 2, 2) float32, x and y of the left and the right stick, as they are
            seen in their slots, in travels.
        buttons: (FRAMES, 17) bool, of READ.
        sticks, travel, presses: see `slots.Slots`.
    """

    frames: np.ndarray
    template: np.ndarray
    positions: np.ndarray
    buttons: np.ndarray
    sticks: np.ndarray
    travel: np.ndarray
    presses: np.ndarray


@dataclass(frozen=True, eq=False)
class _Set:
    """A skin with as many pixels as its place needs, where it is and where it is taken to be."""

    skin: Skin
    true: Placement
    taken: Placement
    region: Region


def _set(rng: np.random.Generator, skin: Skin, exact: bool) -> _Set:
    travel = max([max(element.travel) for element in skin.elements] or [0.0])
    low, high = (width / skin.size[0] for width in WIDTH)
    if travel:
        low, high = max(low, TRAVEL[0] / travel), min(high, TRAVEL[1] / travel)
    scale = float(np.exp(rng.uniform(np.log(min(low, high)), np.log(high))))
    overhang = overlay_region(skin, Placement(scale, 0.0, 0.0))
    corner = rng.uniform(8, 10, 2) - np.minimum((overhang.left, overhang.top), 0)
    # Half of all placements are about right, as refined ones are.
    size = 0.0 if exact else 1.0 if rng.random() < 0.5 else 0.25
    wrong = scale * (1 + size * ERROR[1] * rng.uniform(-1, 1))
    shifted = corner + np.array(skin.size) / 2 * (scale - wrong)
    shifted = shifted + size * ERROR[0] * rng.uniform(-1, 1, 2)
    reduced, true = suited(skin, Placement(scale, float(corner[0]), float(corner[1])))
    taken = Placement(wrong * true.scale / scale, float(shifted[0]), float(shifted[1]))
    region = overlay_region(reduced, true, 8.0)
    region = aligned(Region(0, 0, region.right, region.bottom), (4096, 4096))
    return _Set(reduced, true, taken, region)


def _seen(stage: _Set, windows: tuple[Window, ...], sticks: np.ndarray) -> np.ndarray:
    """Positions of sticks (2, N, 2) as they are seen in slots that are a little beside them.

    NOTE: what a wrong placement adds is the same in all of a video, is taken out by its centre
    there, and cannot be told from a stick that is moved: no network can learn to leave it out.
    """
    found = sticks.astype(np.float32).copy()
    true, taken = stage.true, stage.taken
    for side, corner in enumerate(STICK_CORNERS):
        window = next((one for one in windows if one.slot == corner), None)
        if window is None:
            continue
        travel = next(
            e.travel for e in stage.skin.elements if e.kind == "stick" and e.side == SIDES[side]
        )
        middle = window.left + window.width / 2, window.top + window.height / 2
        for axis in range(2):
            beside = (true[1 + axis] - taken[1 + axis]) / taken.scale
            beside += middle[axis] * (true.scale / taken.scale - 1)
            found[side, :, axis] *= true.scale / taken.scale
            found[side, :, axis] += beside / travel[axis] if travel[axis] else 0
    return found


def draw(skin: Skin, seed: int, number: int) -> Drawn:
    """A drawn scene; `number` tells those of one skin apart."""
    rng = np.random.default_rng([seed, number, 0])
    stage = _set(rng, skin, exact=False)
    colours = Colours(int(rng.choice([1, 1, 1, 6])), bool(rng.random() < 0.1))
    seen = canonical(stage.skin, stage.taken, stage.region, colours)
    blur = float(rng.uniform(0.3, 0.9)) if rng.random() < 0.5 else 0.0
    paint = _softly(Painter(stage.skin, stage.true, stage.region), colours, blur)
    rest, pressed = looks(paint, seen.cut)
    some = States.idle()
    some.triggers[0] = rng.uniform(0.12, 0.95, 2)
    shown = traces.shown(some, stage.skin).buttons[0]
    positions, clicked = _positions(rng), rng.random((2, POSITIONS)) < 0.3
    clicked[:, 0] = False
    return Drawn(
        seen.template,
        rest,
        pressed,
        seen.cut.drawn(paint(some)),
        _knobs(stage, seen, colours, blur, positions, clicked),
        _seen(stage, seen.slots.windows, positions),
        clicked,
        shown[[BUTTON_INDEX[name] for name in TRIGGERS]],
        seen.slots.sticks,
        seen.slots.travel,
        seen.slots.presses,
        np.array([colours.matrix, colours.full], np.int32),
    )


def _softly(painter: Painter, colours: Colours, blur: float) -> Paint:
    """Draws as `painting` does, a little out of focus."""
    if not blur:
        return painting(painter, colours)

    def paint(states: States):
        rgba = next(iter(painter.states(states)))
        return painted(cv2.GaussianBlur(rgba, (0, 0), blur), colours)

    return paint


def _positions(rng: np.random.Generator) -> np.ndarray:
    """(2, POSITIONS, 2): at rest, on the rim, and anywhere within a disc and a square."""
    angle = rng.uniform(0, 2 * np.pi, (2, POSITIONS))
    far = np.sqrt(rng.uniform(0, 1, (2, POSITIONS)))
    far = np.where(rng.random((2, POSITIONS)) < 0.4, 1.0, far)
    found = np.stack([far * np.cos(angle), far * np.sin(angle)], -1)
    square = rng.random((2, POSITIONS)) < 0.1
    found[square] = rng.uniform(-1, 1, (int(square.sum()), 2))
    found[:, 0] = 0
    return found.astype(np.float32)


def _knobs(stage: _Set, seen, colours, blur, positions, clicked) -> np.ndarray:
    knobs = np.zeros((2, POSITIONS, STICK, STICK, 4), np.uint8)
    for side in np.flatnonzero(seen.slots.sticks):
        window = next(one for one in seen.slots.windows if one.slot == STICK_CORNERS[side])
        at = stage.true
        around = Region(
            max(int(at.x + at.scale * window.left) - 6, 0),
            max(int(at.y + at.scale * window.top) - 6, 0),
            min(int(at.x + at.scale * (window.left + window.width)) + 6, stage.region.right),
            min(int(at.y + at.scale * (window.top + window.height)) + 6, stage.region.bottom),
        )
        around = aligned(around, (stage.region.bottom, stage.region.right))
        paint = _softly(Painter(stage.skin, at, around), colours, blur)
        one = cutter((window,), stage.taken, around)
        x, y = window.slot
        for number, (stick, click) in enumerate(zip(positions[side], clicked[side], strict=True)):
            states = States.idle()
            (states.left if side == 0 else states.right)[0] = stick
            states.buttons[0, BUTTON_INDEX[READ[CLICKS[side]]]] = click
            knobs[side, number] = one.drawn(paint(states))[y : y + STICK, x : x + STICK]
    return knobs


def record(
    skin: Skin,
    seed: int,
    number: int,
    grounds: Grounds,
    trace: Trace | None = None,
    exact: bool = False,
) -> Recorded:
    """A recorded scene; `number` tells those of one skin apart.

    Args:
        trace: what the pad does; None: something made up.
        exact: whether the placement that it is seen through is the true one.
    """
    rng = np.random.default_rng([seed, number, 1])
    stage = _set(rng, skin, exact)
    rate = float(rng.choice([30.0, 60.0]))
    trace = traces.smooth(rng, FRAMES / rate + 1) if trace is None else trace
    start = rng.uniform(0, max(trace.seconds - FRAMES / rate, 0))
    states = traces.shown(trace.at(start + (np.arange(FRAMES) + 0.5) / rate), stage.skin)
    opacity = 1.0 if rng.random() < 0.4 else float(rng.uniform(*OPACITY))
    mixed = float(rng.uniform(0, 0.35)) if rng.random() < 0.3 else 0.0
    height, width = stage.region.shape
    bits = int(np.exp(rng.uniform(*np.log(BITS))) * height * width * rate / 30)
    painter = Painter(stage.skin, stage.true, stage.region)
    before = None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with Encoder(path, (width, height), rate, bits) as encoder:
            background = grounds.moving(rng, height, width, FRAMES)
            for frame, rgba in zip(background, painter.states(states), strict=True):
                shown = rgba if before is None else rgba + mixed * (before - rgba)
                before, picture = rgba, frame.copy()
                blend(picture, shown, stage.region, opacity)
                encoder.write(picture)
        crops, colours = [], None
        for one in video.frames(path, threads=1):
            colours = colours_of(one._raw)
            crops.append(cut(one._raw, stage.region))
    seen = canonical(stage.skin, stage.taken, stage.region, colours)
    sticks = np.stack([getattr(states, side) for side in SIDES])
    planes = Planes(np.stack([c.y for c in crops]), np.stack([c.uv for c in crops]))
    return Recorded(
        seen.cut.planes(planes),
        faded(seen.template, opacity),
        _seen(stage, seen.slots.windows, sticks).swapaxes(0, 1),
        states.buttons[:, READ_INDEX],
        seen.slots.sticks,
        seen.slots.travel,
        seen.slots.presses,
    )
