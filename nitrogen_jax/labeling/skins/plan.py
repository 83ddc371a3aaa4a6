"""Made-up overlays as plans: which elements there are, where they lie and how large they are.

A plan is cheap; `generate` draws one. All of it follows from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nitrogen_jax.labeling.skins.skin import Direction, Kind, Side

SMALLEST, LARGEST = 300, 1600  # pixels of an overlay's width
TRAVEL = 0.02, 0.07  # of a stick, in widths

# Where the four large groups lie, as shares of the body's width and height.
PLACES = {
    "asymmetric": {"left": (0.23, 0.36), "dpad": (0.36, 0.7), "face": (0.77, 0.36)}
    | {"right": (0.64, 0.7)},
    "symmetric": {"dpad": (0.21, 0.38), "face": (0.79, 0.38), "left": (0.36, 0.72)}
    | {"right": (0.64, 0.72)},
    "high sticks": {"left": (0.2, 0.33), "right": (0.8, 0.33), "dpad": (0.25, 0.7)}
    | {"face": (0.75, 0.7)},
}
CORNERS = ((0.23, 0.34), (0.77, 0.34), (0.3, 0.72), (0.7, 0.72))
ROW = ((0.14, 0.5), (0.38, 0.5), (0.62, 0.5), (0.86, 0.5))
# Families, how often they are drawn, and their heights in widths, triggers and shoulders aside.
FAMILIES = {
    "asymmetric": (0.24, 0.5, 0.68),
    "symmetric": (0.22, 0.5, 0.66),
    "high sticks": (0.1, 0.45, 0.65),
    "shuffled": (0.14, 0.5, 0.8),
    "row": (0.12, 0.2, 0.3),
    "arcade": (0.1, 0.36, 0.5),
    "retro": (0.08, 0.36, 0.5),
}
DIAMOND = {"SOUTH": (0, 1), "EAST": (1, 0), "WEST": (-1, 0), "NORTH": (0, -1)}
GRID = ("WEST", "NORTH", "RIGHT_SHOULDER", "LEFT_SHOULDER", "SOUTH", "EAST")
WAYS = ("DPAD_UP", "DPAD_RIGHT", "DPAD_DOWN", "DPAD_LEFT")  # clockwise


@dataclass(frozen=True)
class Part:
    """One element of a plan.

    Attributes:
        centre: (x, y) in pixels.
        half: half of its width and height, pixels, without room for what glows.
    """

    kind: Kind
    name: str
    centre: tuple[float, float]
    half: tuple[float, float]
    button: str | None = None
    side: Side | None = None
    travel: float = 0.0
    bar: bool = False
    direction: Direction = "up"


@dataclass(frozen=True)
class Plan:
    """A whole overlay.

    Attributes:
        size: (width, height), pixels.
        body: (left, top, right, bottom) of what the groups lie in, pixels.
        dpad: "nine" sprites of one element, "four" buttons, or four buttons that "overlap".
        diamond: whether the face buttons form one.
    """

    seed: int
    family: str
    size: tuple[int, int]
    body: tuple[float, float, float, float]
    parts: tuple[Part, ...]
    dpad: str


def plan(seed: int) -> Plan:
    """The plan of a seed, the same one every time."""
    rng = np.random.default_rng([seed, 0])
    names = list(FAMILIES)
    family = str(rng.choice(names, p=[FAMILIES[name][0] for name in names]))
    height = float(rng.uniform(*FAMILIES[family][1:]))
    top = _top(rng, family)
    radii, parts = _groups(rng, family)
    centres = _spread(rng, family, radii, height)
    dpad = str(rng.choice(["nine", "four", "overlap"], p=[0.4, 0.4, 0.2]))
    placed = [
        replace(one, centre=(one.centre[0] + x, one.centre[1] + y + top.height))
        for group, members in parts.items()
        for one, (x, y) in ((one, centres[group]) for one in members)
    ]
    placed = [
        four for one in placed for four in (_arms(one, dpad) if one.kind == "dpad" else [one])
    ]
    width = round(float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))))
    inset = top.inset
    # Everything so far is in widths of the body; triggers beside it make the picture wider.
    scale = width / (1 + 2 * inset)
    sized = tuple(_sized(one, scale, inset) for one in (*top.parts, *placed))
    body = (inset, top.height, 1 + inset, top.height + height)
    high = max(1, round((top.height + height) * scale))
    left, up, right, down = (side * scale for side in body)
    return Plan(seed, family, (width, high), (left, up, right, down), sized, dpad)


def _sized(part: Part, scale: float, inset: float) -> Part:
    x, y = part.centre
    return replace(
        part,
        centre=((x + inset) * scale, y * scale),
        half=(part.half[0] * scale, part.half[1] * scale),
        travel=part.travel * scale,
    )


@dataclass(frozen=True)
class _Top:
    """Shoulders and triggers, and the room that they take."""

    parts: tuple[Part, ...]
    height: float
    inset: float


def _top(rng: np.random.Generator, family: str) -> _Top:
    """Shoulders and triggers above or beside the body."""
    shoulders, triggers = rng.random() > 0.08, rng.random() > 0.15
    if family == "arcade":  # they are among its buttons
        return _Top((), 0.02, 0.0)
    if family == "retro":
        triggers = rng.random() < 0.3
    way = str(rng.choice(["stacked", "side by side", "beside"], p=[0.6, 0.2, 0.2]))
    bar = bool(rng.random() < 0.6)
    direction = str(rng.choice(["up", "down", "left", "right"], p=[0.5, 0.2, 0.15, 0.15]))
    gap = float(rng.uniform(0.006, 0.02))
    x = float(rng.uniform(0.17, 0.26))
    wide, flat = float(rng.uniform(0.07, 0.12)), float(rng.uniform(0.014, 0.03))
    tall = float(rng.uniform(0.025, 0.055))
    slim = float(rng.uniform(0.4, 1.0)) * wide
    places: dict[str, tuple[float, float, float, float]] = {}
    height = inset = 0.0
    if way == "beside":
        inset = 2 * flat + 2 * gap if triggers else 0.0
        if triggers:
            long = float(rng.uniform(0.1, 0.17))
            places["TRIGGER"] = (-flat - gap, 0.05 + long, flat, long)
            direction = {"left": "up", "right": "down"}.get(direction, direction)
        if shoulders:
            places["SHOULDER"] = (x, gap + flat, wide, flat)
            height = 2 * flat + 1.6 * gap
    elif way == "side by side":
        half = wide * 0.62
        height = 2 * flat + 1.6 * gap if shoulders or triggers else 0.0
        if shoulders:
            places["SHOULDER"] = (x - half, gap + flat, half * 0.9, flat)
        if triggers:
            places["TRIGGER"] = (x + half, gap + flat, half * 0.9, flat)
    else:
        if triggers:
            places["TRIGGER"] = (x, gap + tall, slim, tall)
            height = 2 * tall + gap
        if shoulders:
            places["SHOULDER"] = (x, height + gap + flat, wide, flat)
            height += 2 * flat + 1.6 * gap
    parts = []
    for word, (at, y, hx, hy) in places.items():
        for side, where in (("left", at), ("right", 1 - at)):
            named = f"{side.upper()}_{word}"
            if word == "SHOULDER":
                parts.append(Part("button", named, (where, y), (hx, hy), named))
                continue
            mirror = {"left": "right", "right": "left"} if side == "right" else {}
            grows = mirror.get(direction, direction)
            parts.append(Part("trigger", named, (where, y), (hx, hy), None, side, 0.0, bar, grows))
    # The body may cover their lower edges.
    return _Top(tuple(parts), max(height - float(rng.uniform(0, 0.02)), 0.012), inset)


def _groups(rng: np.random.Generator, family: str):
    """(radius of each group, its parts about the group's centre), in widths."""
    knob = float(rng.uniform(0.04, 0.075))
    travel = float(rng.uniform(*TRAVEL))
    sticks = ["left", "right"]
    missing = rng.random()
    if family == "retro" or missing < 0.1:
        sticks = []
    elif missing < 0.2 or (family == "arcade" and missing < 0.8):
        sticks = ["left"]
    groups: dict[str, list[Part]] = {}
    radii: dict[str, float] = {}
    second = float(rng.uniform(0.75, 1.0)) if rng.random() < 0.15 else 1.0
    for side in sticks:
        size = knob * (second if side == "right" else 1.0)
        click = f"{side.upper()}_THUMB"
        stick = Part("stick", f"{side}_stick", (0, 0), (size, size), click, side, travel)
        groups[side], radii[side] = [stick], size + 0.75 * travel
    if not sticks or rng.random() > 0.08:
        reach = float(rng.uniform(0.055, 0.095))
        groups["dpad"] = [Part("dpad", "dpad", (0, 0), (reach, reach))]
        radii["dpad"] = reach * 1.05
    groups["face"], radii["face"] = _face(rng, family)
    middle = _middle(rng)
    if middle:
        groups["middle"] = middle
        radii["middle"] = max(abs(one.centre[0]) + one.half[0] for one in middle)
    return radii, groups


def _face(rng: np.random.Generator, family: str) -> tuple[list[Part], float]:
    spread = float(rng.uniform(0.052, 0.085))
    size = spread * float(rng.uniform(0.42, 0.64))
    if family == "arcade":
        step, arc = 2.25 * size * float(rng.uniform(1, 1.25)), float(rng.uniform(0, 0.7))
        names = [*GRID[:4], *GRID[4:], "RIGHT_TRIGGER", "LEFT_TRIGGER"]
        parts = []
        for at, name in enumerate(names):
            column, line = at % 4 - 1.5, at // 4 - 0.5
            bend = arc * size * (1 if column in (-1.5, 1.5) else -1)
            parts.append(_press(name, (column * step, line * step + bend), size))
        return parts, 2 * step + size * 0.2
    if rng.random() < 0.1:  # a line of buttons
        step = 2.3 * size
        order = rng.permutation(list(DIAMOND))
        parts = [_press(str(n), ((i - 1.5) * step, 0.0), size) for i, n in enumerate(order)]
        return parts, 1.5 * step + size
    parts = [_press(n, (x * spread, y * spread), size) for n, (x, y) in DIAMOND.items()]
    if family == "retro" and rng.random() < 0.4:
        parts = parts[:2]
    return parts, spread + size


def _press(name: str, centre: tuple[float, float], size: float) -> Part:
    """A round button; a trigger among the buttons shows only whether it is pressed."""
    if name.endswith("TRIGGER"):
        side: Side = "left" if name.startswith("LEFT") else "right"
        return Part("trigger", name, centre, (size, size), None, side)
    return Part("button", name, centre, (size, size), name)


def _middle(rng: np.random.Generator) -> list[Part]:
    """Back, guide and start."""
    size, gap = float(rng.uniform(0.014, 0.026)), float(rng.uniform(0.045, 0.085))
    flat = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.5 else 1.0
    drop = float(rng.choice([0.0, 0.03, -0.04]))
    parts = []
    if rng.random() > 0.15:
        for name, x in (("BACK", -gap), ("START", gap)):
            parts.append(Part("button", name, (x, drop), (size, size * flat), name))
    if rng.random() > 0.35:
        large = float(rng.uniform(1.0, 1.5)) * size
        parts.append(Part("button", "GUIDE", (0.0, 0.0), (large, large), "GUIDE"))
    return parts


def _spread(rng, family: str, radii: dict[str, float], height: float):
    """A centre for each group, so that none lies on another, in widths."""
    if family in PLACES:
        places = dict(PLACES[family])
    elif family == "arcade":
        places = {"left": (0.16, 0.5), "dpad": (0.4, 0.25), "face": (0.7, 0.5)}
        if "left" not in radii:
            places["dpad"] = (0.2, 0.5)
        places["right"] = (0.4, 0.75)
    elif family == "retro":
        places = {"dpad": (0.2, 0.5), "face": (0.79, 0.5)}
    else:
        spots = rng.permutation(ROW if family == "row" else CORNERS)
        places = dict(zip(("left", "right", "dpad", "face"), map(tuple, spots), strict=True))
    places["middle"] = (0.5, 0.12 if family in ("row", "arcade") else 0.34)
    names = list(radii)
    at = np.array([places[name] for name in names]) * (1, height)
    at += rng.normal(0, 0.018, at.shape)
    reach = np.array([radii[name] for name in names])
    for _ in range(60):
        for i in range(len(names)):
            for j in range(i):
                apart = at[i] - at[j]
                far = max(float(np.hypot(*apart)), 1e-6)
                lack = reach[i] + reach[j] + 0.008 - far
                if lack > 0:
                    at[i] += apart / far * lack / 2
                    at[j] -= apart / far * lack / 2
        edge = np.minimum(reach, height / 2)[:, None] + 0.012
        at = np.clip(at, np.minimum(edge, 0.49), np.array([1, height]) - np.minimum(edge, 0.49))
    return {name: tuple(map(float, xy)) for name, xy in zip(names, at, strict=True)}


def _arms(dpad: Part, way: str) -> list[Part]:
    """A d-pad, or the four buttons that stand for it."""
    if way == "nine":
        return [dpad]
    (x, y), (reach, _) = dpad.centre, dpad.half
    if way == "overlap":  # sprites as large as the whole
        return [replace(dpad, kind="button", name=way_, button=way_) for way_ in WAYS]
    arm, far = 0.33 * reach, 0.64 * reach
    long = reach - far
    steps = ((0, -far), (far, 0), (0, far), (-far, 0))
    halves = ((arm, long), (long, arm), (arm, long), (long, arm))
    return [
        Part("button", name, (x + dx, y + dy), half, name)
        for name, (dx, dy), half in zip(WAYS, steps, halves, strict=True)
    ]
