"""Made-up overlays: any number of layouts and styles, each from a seed.

`plan` says where the elements lie, `look` how they are drawn, and this draws them. Real skins are
few, and how well a parser generalises depends on how many layouts it has seen.
"""

from __future__ import annotations

import numpy as np

from nitrogen_jax.labeling.skins import paint
from nitrogen_jax.labeling.skins.ink import blank
from nitrogen_jax.labeling.skins.look import Look, look
from nitrogen_jax.labeling.skins.plan import WAYS, Part, Plan, plan
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin

CONTROLLERS = {"xbox": "xboxone", "nintendo": "switch", "shapes": "ps4", "none": "unknown"}


def generate(seed: int) -> Skin:
    """The made-up skin of a seed, the same one every time."""
    layout, style = plan(seed), look(seed)
    texture = paint.texture(layout, style)
    return _skin(layout, style, lambda part, size: _sprites(part, size, layout, style), texture)


def outline(seed: int) -> Skin:
    """`generate(seed)` with empty sprites of the same sizes: the same geometry, without drawing."""
    layout, style = plan(seed), look(seed)

    def empty(part: Part, size: tuple[int, int]) -> list[np.ndarray]:
        nothing = np.broadcast_to(np.zeros(4, np.uint8), (size[1], size[0], 4))
        return [nothing] * (9 if part.kind == "dpad" else 2)

    return _skin(layout, style, empty, None)


def _skin(layout: Plan, style: Look, draw, texture: np.ndarray | None) -> Skin:
    elements, upper = [], []
    for part in layout.parts:
        pad = paint.room(part, style)
        size = tuple(2 * round(half + pad) for half in part.half)
        size = max(size[0], 2), max(size[1], 2)
        position = tuple(
            float(round(c - side / 2)) for c, side in zip(part.centre, size, strict=True)
        )
        element = Element(
            part.kind,
            part.name,
            position,
            tuple(draw(part, size)),
            part.button,
            part.side,
            (part.travel, part.travel) if part.kind == "stick" else (0.0, 0.0),
            part.bar,
            part.direction,
        )
        top = part.name.endswith(("SHOULDER", "TRIGGER")) and layout.family != "arcade"
        (elements if top and style.behind else upper).append(element)
    if texture is not None:
        elements.append(Element("texture", "body", (0.0, 0.0), (texture,)))
    name = f"generated-{layout.seed:05d}"
    return Skin(name, layout.size, (*elements, *upper), CONTROLLERS[style.letters])


def _sprites(part: Part, size: tuple[int, int], layout: Plan, style: Look) -> list[np.ndarray]:
    centre, unit = (size[0] / 2, size[1] / 2), layout.size[0] / 100
    if part.kind == "dpad":
        pressed = [_ways(x, y) for x, y in DPAD_STATES]
        sprites = [blank(*size) for _ in pressed]
        for canvas, ways in zip(sprites, pressed, strict=True):
            if not paint.printed(part, style):
                paint.dpad(canvas, centre, part.half[0], style, unit)
            for way in ways:
                paint.arm(canvas, centre, part.half[0], way, style, unit)
        return sprites
    sprites = [blank(*size), blank(*size)]
    for pressed, canvas in enumerate(sprites):
        if part.kind == "stick":
            paint.knob(canvas, centre, part.half[0], style, unit, bool(pressed))
        elif part.button in WAYS and layout.dpad == "overlap":
            if pressed:
                paint.arm(canvas, centre, part.half[0], WAYS.index(part.button), style, unit)
        elif pressed or not paint.printed(part, style):
            paint.button(canvas, centre, part, style, unit, bool(pressed))
    return sprites


def _ways(x: int, y: int) -> list[int]:
    """Which of WAYS a state of a d-pad shows."""
    named = {(0, -1): 0, (1, 0): 1, (0, 1): 2, (-1, 0): 3}
    return [named[step] for step in ((x, 0), (0, y)) if step != (0, 0)]
