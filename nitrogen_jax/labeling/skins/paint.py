"""Draws the parts of made-up overlays: bodies, buttons, sticks, d-pads, bars.

`unit` is 1/100 of the overlay's width, in pixels; centres and sizes are pixels of the canvas.
"""

from __future__ import annotations

import numpy as np

from nitrogen_jax.labeling.skins import ink
from nitrogen_jax.labeling.skins.ink import BLACK, WHITE, Ink
from nitrogen_jax.labeling.skins.look import COLOURS, LETTERS, MORE_LETTERS, Look
from nitrogen_jax.labeling.skins.plan import WAYS, Part, Plan

GLOW = 0.45  # how far a halo reaches, in sizes of the button


def room(part: Part, style: Look) -> float:
    """Pixels about a part that its sprites need for what reaches beyond it."""
    effect = style.click if part.kind == "stick" else style.effect
    small = min(part.half)
    return 2 + small * {"glow": 2 * GLOW, "ring": 0.3}.get(effect, 0.12)


def printed(part: Part, style: Look) -> bool:
    """Whether a part at rest belongs to the body's picture."""
    top = part.name.endswith(("SHOULDER", "TRIGGER"))
    return style.printed and part.kind != "stick" and not top


def texture(plan: Plan, style: Look) -> np.ndarray | None:
    """Everything that does not move: (height, width, 4) of the whole picture, or nothing."""
    canvas, unit = ink.blank(*plan.size), plan.size[0] / 100
    body = _body(plan, style)
    if style.plate:
        half = (plan.body[2] - plan.body[0]) / 2, plan.size[1] / 2
        centre = plan.size[0] / 2, plan.size[1] / 2
        ink.fill(canvas, ink.rounded(centre, *half, 3 * unit), style.body.faded(0.6))
    elif body is not None and style.style == "filled":
        ink.fill(canvas, body, style.body)
        middle = body.mean(axis=0)
        lighter = WHITE if style.body.red < 140 else BLACK
        ink.fill(canvas, (body - middle) * (0.86, 0.8) + middle, lighter.faded(0.06))
        ink.stroke(canvas, body, unit * style.line, style.body.towards(BLACK, 0.5))
    elif body is not None:
        ink.fill(canvas, body, style.body.faded(0.12))
        ink.stroke(canvas, body, unit * style.line, style.ink)
    for part in plan.parts:
        if part.kind == "stick" and style.wells:
            _well(canvas, part, style, unit)
        elif part.name in WAYS and plan.dpad == "overlap":
            if part.name == WAYS[0]:
                dpad(canvas, part.centre, part.half[0], style, unit)
        elif printed(part, style):
            if part.kind == "dpad":
                dpad(canvas, part.centre, part.half[0], style, unit)
            else:
                button(canvas, part.centre, part, style, unit, False)
    return canvas if canvas.any() else None


def _body(plan: Plan, style: Look) -> np.ndarray | None:
    """The outline of the controller."""
    if style.outline == "none" or (style.outline == "pad" and plan.family in ("row", "arcade")):
        return None
    left, top, right, bottom = plan.body
    centre, half = (
        ((left + right) / 2, (top + bottom) / 2),
        ((right - left) / 2, (bottom - top) / 2),
    )
    line = plan.size[0] * style.line / 100
    half = half[0] - line, half[1] - line
    if style.outline == "slab":
        return ink.rounded(centre, *half, 0.25 * min(half))
    if style.outline == "oval":
        return _oval(centre, half)
    rng = np.random.default_rng([plan.seed, 2])
    grip, waist, shoulder = rng.uniform(0.75, 1.0), rng.uniform(0.5, 0.95), rng.uniform(0.7, 0.9)
    side = np.array(
        [
            *((0.0, -0.93), (0.45, -0.97), (shoulder, -0.9), (0.93, -0.35), (1.0, 0.4)),
            *((0.97, grip), (0.8, grip + 0.03), (0.6, waist), (0.3, waist - 0.08)),
        ]
    )
    other = side[:0:-1] * (-1, 1)
    points = np.concatenate([side, [(0.0, waist - 0.08)], other])
    return ink.smooth(points).clip(-1, 1) * half + centre


def _oval(centre, half) -> np.ndarray:
    """An ellipse with flattened sides, so that corners of the layout still lie within."""
    points = ink.ellipse((0, 0), 1.0)
    return np.sign(points) * np.abs(points) ** 0.6 * half + centre


def _well(canvas, part: Part, style: Look, unit: float) -> None:
    radius = part.half[0] + 0.55 * part.travel
    if style.style == "filled":
        ink.fill(canvas, ink.ellipse(part.centre, radius), style.body.towards(BLACK, 0.55))
        edge = ink.ellipse(part.centre, radius)
        ink.stroke(canvas, edge, 0.3 * unit, style.body.towards(WHITE, 0.25))
        return
    shape = ink.ellipse(part.centre, radius)
    if style.shape == "octagon":
        shape = ink.regular(part.centre, radius, radius, 8, 0.5)
    ink.fill(canvas, shape, BLACK.faded(0.3))
    ink.stroke(canvas, shape, unit * style.line, style.ink)


def button(canvas, centre, part: Part, style: Look, unit: float, pressed: bool) -> None:
    """A button, a shoulder or a trigger, at rest or pressed."""
    (hx, hy), line = part.half, max(1.0, unit * style.line)
    effect = style.effect if part.kind == "button" or not part.bar else "colour"
    face, active = _colours(part, style)
    if pressed and effect == "shrink":
        hx, hy = 0.8 * hx, 0.8 * hy
        face = face.towards(BLACK, 0.35) if style.style != "line" else face
    shape = _shape(part, style, centre, hx, hy)
    solid = pressed and effect in ("colour", "fill")
    if pressed and effect == "glow":
        ink.glow(canvas, shape, GLOW * min(part.half), active)
    outlined = style.style == "line" or effect == "fill"
    if solid:
        ink.fill(canvas, shape, active)
    elif pressed and effect == "lighten":
        ink.fill(canvas, shape, face.towards(WHITE if sum(face[:3]) < 420 else BLACK, 0.6))
    elif pressed and effect == "glow":
        ink.fill(canvas, shape, face.towards(active, 0.5)._replace(alpha=1.0))
    elif outlined:
        ink.fill(canvas, shape, BLACK.faded(0.25))
    else:
        ink.fill(canvas, shape, face)
    if outlined or style.style == "flat":
        inner = _shape(part, style, centre, hx - line / 2, hy - line / 2)
        ink.stroke(canvas, inner, line, active if solid else style.ink)
    if pressed and effect == "ring":
        ring = _shape(part, style, centre, hx + 0.14 * min(hx, hy), hy + 0.14 * min(hx, hy))
        ink.stroke(canvas, ring, max(line, 0.2 * min(hx, hy)), active)
    _label(canvas, centre, part, style, min(hx, hy), BLACK if solid else None)


def _colours(part: Part, style: Look) -> tuple[Ink, Ink]:
    """Of a button at rest and pressed."""
    own = COLOURS[style.letters].get(part.button or "")
    if own is None or not style.coloured:
        return style.face, style.active
    colour = Ink(*own)
    if style.style == "line" or style.effect in ("colour", "fill"):
        return style.face, colour
    return colour, style.active


def _shape(part: Part, style: Look, centre, hx: float, hy: float) -> np.ndarray:
    hx, hy = max(hx, 0.5), max(hy, 0.5)
    if part.button in WAYS:
        return _arm_plate(part, centre, hx, hy)
    if part.name.endswith(("SHOULDER", "TRIGGER")) and abs(hx - hy) > 1e-6:
        return ink.rounded(centre, hx, hy, 0.5 * min(hx, hy))
    kind = style.shape
    if kind == "disc" or part.button in ("BACK", "START", "GUIDE"):
        return ink.ellipse(centre, hx, hy)
    if kind in ("hexagon", "octagon"):
        corners = 6 if kind == "hexagon" else 8
        return ink.regular(centre, hx, hy, corners, 0.5)
    return ink.rounded(centre, hx, hy, (0.45 if kind == "rounded" else 0.1) * min(hx, hy))


def _arm_plate(part: Part, centre, hx: float, hy: float) -> np.ndarray:
    """An arm of a d-pad, pointed towards its middle."""
    way = WAYS.index(part.button)
    wide, long = (hx, hy) if way % 2 == 0 else (hy, hx)
    corners = [(-wide, -long), (wide, -long), (wide, 0.35 * long), (0, long), (-wide, 0.35 * long)]
    return ink.turned(np.array(corners) + centre, np.asarray(centre, float), way)


def _label(canvas, centre, part: Part, style: Look, half: float, colour: Ink | None) -> None:
    """Letters and signs of a button."""
    colour = colour or style.ink
    word, line = LETTERS[style.letters].get(part.button or "", ""), max(1.0, 0.16 * half)
    if word in ("cross", "circle", "square", "triangle"):
        sign = 0.5 * half
        if word == "circle":
            ink.stroke(canvas, ink.ellipse(centre, sign), line, colour)
        elif word == "square":
            ink.stroke(canvas, ink.rounded(centre, 0.85 * sign, 0.85 * sign, 0), line, colour)
        elif word == "triangle":
            ink.stroke(canvas, ink.regular(centre, sign, sign, 3), line, colour)
        else:
            for end in ((1, 1), (1, -1)):
                at = np.array([np.multiply(end, -0.75), np.multiply(end, 0.75)]) * sign + centre
                ink.stroke(canvas, at, line, colour, closed=False)
        return
    for ending, letter in MORE_LETTERS[style.letters].items():
        if part.name.endswith(ending):
            word = part.name[0] + letter
    if word and half > 5:
        ink.write(canvas, word, centre, 0.85 * half, colour, style.font)
    elif part.button in ("BACK", "START") and half > 4:
        ink.stroke(canvas, ink.rounded(centre, 0.45 * half, 0.3 * half, 1), line, colour)
    elif part.button == "GUIDE" and half > 4:
        ink.stroke(canvas, ink.ellipse(centre, 0.5 * half), line, colour)


def dpad(canvas, centre, reach: float, style: Look, unit: float) -> None:
    """A d-pad at rest."""
    shape, line = ink.cross(centre, reach, 0.33 * reach), max(1.0, unit * style.line)
    if style.style == "line":
        ink.fill(canvas, shape, BLACK.faded(0.25))
        ink.stroke(canvas, ink.cross(centre, reach - line / 2, 0.33 * reach), line, style.ink)
    else:
        ink.fill(canvas, shape, style.face)
        ink.fill(canvas, ink.ellipse(centre, 0.2 * reach), style.face.towards(BLACK, 0.3))
    for way in range(4):
        tip = np.array([(0.0, -0.85), (0.16, -0.62), (-0.16, -0.62)]) * reach + centre
        tip = ink.turned(tip, np.asarray(centre, float), way)
        ink.fill(canvas, tip, style.ink.faded(0.8))


def arm(canvas, centre, reach: float, way: int, style: Look, unit: float) -> None:
    """A pressed arm of a d-pad, clockwise from the top."""
    corners = np.array([(-0.33, -1), (0.33, -1), (0.33, -0.33), (0, 0), (-0.33, -0.33)])
    shape = ink.turned(corners * reach + centre, np.asarray(centre, float), way)
    if style.effect == "glow":
        ink.glow(canvas, shape, 0.12 * reach, style.active)
    ink.fill(canvas, shape, style.active)


def knob(canvas, centre, radius: float, style: Look, unit: float, clicked: bool) -> None:
    """A stick's cap, at rest or clicked."""
    click, line = style.click if clicked else "", max(1.0, unit * style.line)
    colour, kind = style.knob, style.knob_style
    if click == "shrink":
        radius, colour = 0.82 * radius, colour.towards(style.active, 0.35)
    shape = ink.ellipse(centre, radius)
    if click == "glow":
        ink.glow(canvas, shape, GLOW * radius, style.active)
    if click in ("colour", "fill"):
        colour = style.active
    lines = style.ink if style.style != "filled" else colour.towards(WHITE, 0.35)
    if kind == "outline":
        ink.fill(canvas, shape, colour if click else BLACK.faded(0.35))
        ink.stroke(canvas, ink.ellipse(centre, radius - line / 2), line, style.ink)
    else:
        ink.fill(canvas, shape, colour)
    if kind in ("rings", "outline"):
        ink.stroke(canvas, ink.ellipse(centre, 0.62 * radius), line, lines)
    elif kind == "dome":
        ink.fill(canvas, ink.ellipse(centre, 0.74 * radius), colour.towards(BLACK, 0.25))
        high = centre[0] - 0.2 * radius, centre[1] - 0.25 * radius
        ink.fill(canvas, ink.ellipse(high, 0.35 * radius), WHITE.faded(0.18))
    elif kind == "dotted":
        for turn in range(4):
            at = np.array([centre[0], centre[1] - 0.72 * radius])
            at = ink.turned(at[None], np.asarray(centre, float), turn)[0]
            ink.fill(canvas, ink.ellipse(at, 0.1 * radius), lines)
        ink.stroke(canvas, ink.ellipse(centre, 0.5 * radius), line, lines)
    else:
        ink.stroke(canvas, ink.ellipse(centre, radius - line / 2), line, colour.towards(BLACK, 0.4))
    if click == "ring":
        wide = max(2.0, 0.18 * radius)
        ink.stroke(canvas, ink.ellipse(centre, 1.02 * radius), wide, style.active)
