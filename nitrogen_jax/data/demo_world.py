"""The made-up games of a demo: what happens, what is seen of it, and what the right answer is.

A player (a filled shape) and a target (a hollow one) are on a field, a round dial is in a panel
beside it. The rule, the same in all games and a function of what is visible alone:

  left stick     points from the player to the target and is pushed less from NEAR on; at rest
                 on the target, and while there is no target
  SOUTH          while the target is red
  right stick    points at the dot on the dial, RIGHT_TRIGGER is held, while there is a dot

Games differ in shapes, colours and background, and in the corner of the controller overlay. Part
of the time nothing is there to do, and the pad is idle. Lengths are parts of the picture's width
and height, so that the rule is the same in a stretched frame, see `act`.

Alignment: row i of the labels is the pad whose step PRODUCED frame i. The player moves from
frame i - 1 to frame i by SPEED * (time of i - time of i - 1) * left stick of row i; the halo of
a pressed SOUTH and the overlay's picture of the pad are in frame i itself. What row i does was
decided by frame i - 1, so a policy with action_shift 1 can learn it exactly. Row 0 is idle.

The overlay's box also holds the number of the frame (digits.py): a masked frame shows neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.data import digits
from nitrogen_jax.data.labels import Box
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.report.chunk import PAD_HEIGHT, PAD_WIDTH, draw_pad

SPEED = 0.6  # of the player per second, at a stick fully pushed
NEAR = 0.12  # distance below which the stick is pushed less
AT_REST = 0.2 * NEAR  # distance at which the player has arrived: the stick is let go
DRIFT = (0.15, 0.3)  # of the target per second; the player follows at a distance beyond AT_REST

SIDE = 0.3  # width of overlay and panel; each is half of the height
DIAL_RADIUS = 0.1
MARGIN = (0.02, 0.03)  # between the overlay's edge and what it shows
NUMBER = (SIDE - 2 * MARGIN[0], 0.12)  # width and height of the frame number

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Theme(NamedTuple):
    """How a game looks. Places are in parts of the picture."""

    game: str
    corners: int  # of the player's and the target's shape
    turn: float  # of the shape, in radians
    background: Colour
    player: Colour
    target: Colour
    halo: Colour
    right: bool  # the side of overlay and panel
    bottom: bool  # whether the overlay is below the panel

    @property
    def field(self) -> tuple[Point, Point]:
        """Where targets may be: the least x and y, the greatest."""
        return ((0.12, 0.13), (0.58, 0.87)) if self.right else ((0.42, 0.13), (0.88, 0.87))

    @property
    def corner(self) -> Point:
        """Left and top of the overlay."""
        return (1 - SIDE if self.right else 0.0), (0.5 if self.bottom else 0.0)

    @property
    def dial(self) -> np.ndarray:
        """The centre of the dial, (2,)."""
        left, top = self.corner
        return np.array([left + SIDE / 2, (top + 0.75) % 1])

    @property
    def number_box(self) -> digits.RelativeBox:
        """Where the number of the frame is."""
        left, top = self.corner
        return left + MARGIN[0], top + 0.5 - MARGIN[1] - NUMBER[1], *NUMBER

    def overlay(self, size: tuple[int, int]) -> Box:
        """The overlay in whole pixels of a picture of (width, height)."""
        (left, top), (width, height) = self.corner, size
        x, y = round(left * width), round(top * height)
        return Box(x, y, round((left + SIDE) * width) - x, round((top + 0.5) * height) - y)


WHITE = (250, 250, 250)
THEMES = (
    Theme(
        game="Demo Discs",
        corners=24,
        turn=0.0,
        background=(24, 32, 56),
        player=(240, 240, 240),
        target=(60, 140, 255),
        halo=(255, 210, 50),
        right=True,
        bottom=True,
    ),
    Theme(
        game="Demo Boxes",
        corners=4,
        turn=math.pi / 4,
        background=(28, 66, 38),
        player=(250, 230, 90),
        target=(90, 220, 245),
        halo=WHITE,
        right=False,
        bottom=True,
    ),
    Theme(
        game="Demo Gems",
        corners=4,
        turn=0.0,
        background=(204, 194, 168),
        player=(24, 24, 32),
        target=(20, 110, 170),
        halo=WHITE,
        right=True,
        bottom=False,
    ),
    Theme(
        game="Demo Hives",
        corners=6,
        turn=0.0,
        background=(70, 40, 84),
        player=(140, 245, 140),
        target=(190, 190, 190),
        halo=(255, 190, 40),
        right=False,
        bottom=False,
    ),
)
RED, DOT = (225, 40, 40), WHITE
PANEL, DIAL, OVERLAY = (16, 16, 18), (120, 120, 128), (44, 48, 58)

# Parts of the picture's shorter side.
PLAYER_RADIUS, HALO_RADIUS, TARGET_RADIUS, TARGET_LINE = 0.035, 0.055, 0.075, 0.02


@dataclass(frozen=True, eq=False)
class Trace:
    """What happens in a video of N frames; row and frame i as in the module's docstring.

    Attributes:
        times: (N,) seconds.
        player: (N, 2) x and y in 0..1 of the picture.
        target: (N, 2), NaN while there is none.
        red: (N,) bool, of the target.
        dot: (N,) the direction of the dot on the dial in radians, NaN while there is none.
        pad: (N,) what was pressed.
    """

    times: np.ndarray
    player: np.ndarray
    target: np.ndarray
    red: np.ndarray
    dot: np.ndarray
    pad: Pad


# ---------------------------------------------------------------------------------------------
# What happens


def rule(player: Point, target: Point | None, red: bool, dot: float | None) -> Pad:
    """The pad, shape (), that follows what is visible: positions in 0..1, a direction."""
    buttons, left, right = np.zeros(NUM_BUTTONS, bool), (0.0, 0.0), (0.0, 0.0)
    if target is not None:
        x, y = target[0] - player[0], target[1] - player[1]
        far = math.hypot(x, y)
        if far > AT_REST:
            left = (x / max(far, NEAR), y / max(far, NEAR))
        buttons[BUTTON_INDEX["SOUTH"]] = red
    if dot is not None:
        right = (math.cos(dot), math.sin(dot))
        buttons[BUTTON_INDEX["RIGHT_TRIGGER"]] = True
    return Pad(buttons, left, right)


def make_trace(rng: np.random.Generator, times: np.ndarray, theme: Theme) -> Trace:
    """Plays the rule in a world of chance; times (N,) in seconds."""
    end = times[-1] + 1
    low, high = theme.field
    target = np.full((len(times), 2), np.nan)
    # It opens with nothing to do, and now and then there is nothing again.
    at = rng.uniform(0.4, 0.8)
    while at < end:
        lasts = rng.uniform(0.8, 2.5)
        here = (times >= at) & (times < at + lasts)
        way = rng.uniform(-np.pi, np.pi)
        drift = rng.uniform(*DRIFT) * np.array([np.cos(way), np.sin(way)])
        drift = drift * (times[here, None] - at)
        target[here] = np.clip(rng.uniform(low, high) + drift, low, high)
        at += lasts + (rng.uniform(1.5, 4) if rng.random() < 0.25 else 0)
    there = ~np.isnan(target[:, 0])
    red, dot = np.zeros(len(times), bool), np.full(len(times), np.nan)
    for on, off in _periods(rng, end, (0.4, 1.5), (0.15, 0.6)):
        red |= there & (times >= on) & (times < off)
    for on, off in _periods(rng, end, (2, 5), (0.3, 1)):
        dot[there & (times >= on) & (times < off)] = rng.uniform(-np.pi, np.pi)

    player = np.tile(np.add(low, high) / 2, (len(times), 1))
    pads = [rule(player[0], None, False, None)]
    for i in range(1, len(times)):
        pads.append(
            rule(
                player[i - 1],
                target[i - 1] if there[i - 1] else None,
                red[i - 1],
                None if np.isnan(dot[i - 1]) else dot[i - 1],
            )
        )
        player[i] = player[i - 1] + SPEED * (times[i] - times[i - 1]) * pads[i].left
    parts = (np.stack([getattr(p, part) for p in pads]) for part in ("buttons", "left", "right"))
    return Trace(times, player, target, red, dot, Pad(*parts))


def _periods(rng, end, off: Point, on: Point) -> Iterator[tuple[float, float]]:
    """Times from which and until which something is there."""
    at = rng.uniform(*off)
    while at < end:
        until = at + rng.uniform(*on)
        yield at, until
        at = until + rng.uniform(*off)


# ---------------------------------------------------------------------------------------------
# What is seen


def draw(trace: Trace, theme: Theme, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB of a trace; size is (width, height)."""
    still = _still(theme, size)
    for i in range(len(trace.times)):
        canvas = still.copy()
        _draw_world(canvas, trace, i, theme)
        _draw_pad(canvas, trace.pad[i], theme)
        digits.draw_number(canvas, theme.number_box, i)
        yield canvas


SURE = 90  # how far a pixel's channels may be from a colour, summed
FEW = 12  # pixels of 256 x 256: a colour that fewer have is not there


def act(frame: np.ndarray) -> Pad:
    """What the rule answers to a frame, read from its pixels alone: a policy that has learned all.

    Args:
        frame: (S, S, 3) uint8 RGB, stretched and with the overlay masked in whatever way.

    Returns:
        The pad of the NEXT row, shape ().
    """
    ys, xs = ((np.arange(n) + 0.5) / n for n in frame.shape[:2])
    strip = frame[ys < 0.02][:, (xs > SIDE) & (xs < 1 - SIDE)].mean((0, 1))
    theme = min(THEMES, key=lambda theme: np.abs(strip - theme.background).sum())

    def find(colour: Colour, columns: np.ndarray, rows: np.ndarray) -> tuple[int, Point]:
        """How many pixels of a part are of a colour, and their centre."""
        part = frame[rows][:, columns]
        off = cv2.absdiff(part, np.full_like(part, colour))
        near = cv2.transform(off, np.ones((1, 3))) < SURE
        count = int(near.sum())
        if count < FEW * frame.shape[0] * frame.shape[1] / 256**2:
            return 0, (0.0, 0.0)
        return count, (xs[columns] @ near.sum(0) / count, ys[rows] @ near.sum(1) / count)

    panel = (xs > 1 - SIDE) if theme.right else (xs < SIDE)
    everywhere, beside = ys > 0, (ys < 0.5) if theme.bottom else (ys > 0.5)
    _, player = find(theme.player, ~panel, everywhere)
    calm, calm_at = find(theme.target, ~panel, everywhere)
    red, red_at = find(RED, ~panel, everywhere)
    target = (red_at if red > calm else calm_at) if red or calm else None
    dots, dot_at = find(DOT, panel, beside)
    x, y = dot_at - theme.dial
    return rule(player, target, red > calm, math.atan2(y, x) if dots else None)


def _still(theme: Theme, size: tuple[int, int]) -> np.ndarray:
    """What never moves: field, panel with its dial, overlay."""
    width, height = size
    canvas = np.full((height, width, 3), theme.background, np.uint8)
    for y in np.arange(0.1, 1, 0.1):
        for x in np.arange(0.1, 1, 0.1):
            canvas[round(y * height), round(x * width)] += np.uint8(12)
    left, _ = theme.corner
    columns = slice(round(left * width), round((left + SIDE) * width))
    half = round(0.5 * height)
    canvas[:, columns] = PANEL
    canvas[half:, columns] = OVERLAY if theme.bottom else PANEL
    canvas[:half, columns] = PANEL if theme.bottom else OVERLAY
    centre = np.rint(theme.dial * size - 0.5).astype(int).tolist()
    axes = (round(DIAL_RADIUS * width), round(DIAL_RADIUS * height))
    cv2.ellipse(canvas, centre, axes, 0, 0, 360, DIAL, 1, cv2.LINE_AA)
    return canvas


def _draw_world(canvas: np.ndarray, trace: Trace, i: int, theme: Theme) -> None:
    own, player = (theme.corners, theme.turn), trace.player[i]
    if trace.pad.pressed[i, BUTTON_INDEX["SOUTH"]]:
        _polygon(canvas, player, HALO_RADIUS, theme.halo)
    if not np.isnan(trace.target[i, 0]):
        around = TARGET_RADIUS / math.cos(math.pi / theme.corners)  # room for the player inside
        colour = RED if trace.red[i] else theme.target
        _polygon(canvas, trace.target[i], around, colour, *own, line=TARGET_LINE)
    _polygon(canvas, player, PLAYER_RADIUS, theme.player, *own)
    if not np.isnan(trace.dot[i]):
        way = np.array([math.cos(trace.dot[i]), math.sin(trace.dot[i])])
        _polygon(canvas, theme.dial + DIAL_RADIUS * way, PLAYER_RADIUS, DOT)


def _draw_pad(canvas: np.ndarray, pad: Pad, theme: Theme) -> None:
    """The overlay's pad: it stands on the frame number."""
    height, width = canvas.shape[:2]
    left, top = theme.corner
    high = round((0.5 - NUMBER[1] - 3 * MARGIN[1]) * height)
    wide = min(round(high * PAD_WIDTH / PAD_HEIGHT), round(NUMBER[0] * width))
    x, y = round((left + SIDE / 2) * width) - wide // 2, round((top + MARGIN[1]) * height)
    picture = cv2.resize(draw_pad(pad)[:PAD_HEIGHT], (wide, high), interpolation=cv2.INTER_AREA)
    canvas[y : y + high, x : x + wide] = picture


def _polygon(
    canvas: np.ndarray,
    at: np.ndarray,
    radius: float,
    colour: Colour,
    corners: int = 24,
    turn: float = 0.0,
    line: float = 0.0,
) -> None:
    """A regular polygon at a relative position, filled or drawn with a line.

    Radius and line are in parts of the picture's shorter side: shapes are not stretched.
    """
    unit = min(canvas.shape[:2])
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    # NOTE: OpenCV's whole coordinates are the centres of pixels.
    centre = np.multiply(at, canvas.shape[1::-1]) - 0.5
    points = centre + radius * unit * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.rint(points * 256).astype(np.int32)[None]
    if line:
        thickness = max(round(line * unit), 1)
        cv2.polylines(canvas, points, True, colour, thickness, cv2.LINE_AA, shift=8)
    else:
        cv2.fillPoly(canvas, points, colour, cv2.LINE_AA, shift=8)
