"""How a made-up overlay is drawn: its style, its colours, what pressing does to it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.skins.ink import BLACK, WHITE, Ink

EFFECTS = ("colour", "lighten", "glow", "fill", "shrink", "ring")
CLICKS = ("colour", "ring", "shrink", "fill", "glow")
SHAPES = ("disc", "rounded", "square", "hexagon", "octagon")
KNOBS = ("disc", "dome", "rings", "dotted", "outline")
OUTLINES = ("pad", "pad", "pad", "slab", "oval", "none")
FONTS = (
    *(cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX),
    *(cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_PLAIN),
)

# What is written on the buttons of four families of controllers.
LETTERS = {
    "xbox": {"SOUTH": "A", "EAST": "B", "WEST": "X", "NORTH": "Y"},
    "nintendo": {"SOUTH": "B", "EAST": "A", "WEST": "Y", "NORTH": "X"},
    "shapes": {"SOUTH": "cross", "EAST": "circle", "WEST": "square", "NORTH": "triangle"},
    "none": {},
}
MORE_LETTERS = {
    "xbox": {"SHOULDER": "B", "TRIGGER": "T"},
    "nintendo": {"SHOULDER": "", "TRIGGER": "Z"},
    "shapes": {"SHOULDER": "1", "TRIGGER": "2"},
    "none": {},
}
COLOURS = {
    "xbox": {"SOUTH": (96, 190, 60), "EAST": (220, 60, 50), "WEST": (50, 110, 220)}
    | {"NORTH": (240, 190, 40)},
    "nintendo": {"SOUTH": (240, 200, 50), "EAST": (220, 50, 60), "WEST": (60, 170, 90)}
    | {"NORTH": (60, 90, 200)},
    "shapes": {"SOUTH": (120, 160, 230), "EAST": (230, 90, 90), "WEST": (220, 130, 200)}
    | {"NORTH": (80, 200, 160)},
    "none": {},
}


@dataclass(frozen=True)
class Look:
    """All choices of drawing, see the constants above.

    Attributes:
        style: "filled" bodies and buttons, "line" art, "flat" buttons without a body.
        letters: whose letters are on the buttons.
        coloured: whether the four face buttons have colours of their own.
        printed: whether buttons at rest are part of the body's picture, and their own sprites are
            empty.
        behind: whether triggers and shoulders are drawn below the body.
        wells: whether sticks lie in a well.
        body, face, ink, active, knob: colours, of the body, of buttons, of lines and letters, of
            what is pressed and of sticks.
        line: width of lines, in 1/100 of the picture's width.
    """

    style: str
    outline: str
    shape: str
    effect: str
    click: str
    knob_style: str
    letters: str
    coloured: bool
    printed: bool
    behind: bool
    wells: bool
    plate: bool
    body: Ink
    face: Ink
    ink: Ink
    active: Ink
    knob: Ink
    line: float
    font: int


def look(seed: int) -> Look:
    """The look of a seed, the same one every time."""
    rng = np.random.default_rng([seed, 1])
    style = str(rng.choice(["filled", "line", "flat"], p=[0.5, 0.27, 0.23]))
    body = _body(rng)
    if rng.random() < 0.3:
        body = body.faded(float(rng.uniform(0.35, 0.9)))
    dark = _light(body) < 110
    # Lines and letters stand out against the body, or against the video if there is none.
    ink = (WHITE if dark else BLACK).towards(_vivid(rng), 0.0 if rng.random() < 0.7 else 0.5)
    if style != "filled":
        ink = WHITE if rng.random() < 0.6 else (BLACK if rng.random() < 0.5 else _vivid(rng))
    face = body.towards(BLACK if rng.random() < 0.5 else WHITE, float(rng.uniform(0.25, 0.7)))
    face = face._replace(alpha=1.0 if rng.random() < 0.8 else 0.7)
    active = _vivid(rng) if rng.random() < 0.75 else (WHITE if _light(face) < 120 else BLACK)
    if _far(active, face) < 130:
        active = WHITE if _light(face) < 120 else Ink(20, 20, 30)
    knob = face.towards(BLACK if _light(body) > 90 else WHITE, float(rng.uniform(0.2, 0.6)))
    effect = str(rng.choice(EFFECTS))
    if style == "line":
        effect = str(rng.choice(["fill", "glow", "ring"]))
    return Look(
        style=style,
        outline=str(rng.choice(OUTLINES)) if style != "flat" else "none",
        shape=str(rng.choice(SHAPES, p=[0.66, 0.12, 0.08, 0.07, 0.07])),
        effect=effect,
        click=str(rng.choice(CLICKS)),
        knob_style="outline" if style == "line" and rng.random() < 0.5 else str(rng.choice(KNOBS)),
        letters=str(rng.choice(list(LETTERS), p=[0.4, 0.1, 0.3, 0.2])),
        coloured=bool(rng.random() < 0.4),
        printed=bool(
            style != "flat" and effect not in ("shrink", "lighten") and rng.random() < 0.2
        ),
        behind=bool(rng.random() < 0.3),
        wells=bool(rng.random() < 0.75),
        plate=bool(style == "flat" and rng.random() < 0.35),
        body=body,
        face=face,
        ink=ink.faded(1.0 if rng.random() < 0.8 else 0.75),
        active=active,
        knob=knob._replace(alpha=1.0),
        line=float(rng.uniform(0.25, 0.8)),
        font=int(rng.choice(FONTS)),
    )


def _body(rng: np.random.Generator) -> Ink:
    kind = rng.random()
    if kind < 0.4:  # black
        return Ink(*(float(rng.uniform(18, 60)) + rng.uniform(0, 10, 3)))
    if kind < 0.65:  # white
        return Ink(*(float(rng.uniform(190, 245)) + rng.uniform(-6, 6, 3)))
    return _vivid(rng, low=0.3)


def _vivid(rng: np.random.Generator, low: float = 0.7) -> Ink:
    hue, strong, bright = rng.random(), rng.uniform(0.55, 1.0), rng.uniform(low, 1.0)
    return Ink(*(255 * value for value in colorsys.hsv_to_rgb(hue, strong, bright)))


def _light(ink: Ink) -> float:
    return 0.3 * ink.red + 0.59 * ink.green + 0.11 * ink.blue


def _far(a: Ink, b: Ink) -> float:
    return sum(abs(x - y) for x, y in zip(a[:3], b[:3], strict=True))
