"""Bakes a skin of a web page into sprites, once: frames of videos are never drawn by a browser.

Each part of the page is drawn alone, at rest and pressed; where it lies, how far a stick travels
and to which side a bar grows is read off the pictures. In the end whole states are compared with
the page, and what differs is said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS
from nitrogen_jax.labeling.skins import web
from nitrogen_jax.labeling.skins.browser import Page, browse, inside
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region, cropped, over
from nitrogen_jax.labeling.skins.input_overlay import CONTROLLERS
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States
from nitrogen_jax.labeling.skins.web_script import SCRIPT

WINDOW = 2400, 1800  # CSS pixels
VISIBLE = 4  # of 255: alpha from which on a pixel counts
OFF = 40  # of 255: a pixel that differs by more is drawn wrongly
MOST_OFF = 0.01  # share of such pixels that is not worth a word
STICK_PIXELS = 25.0  # that GamepadViewer moves a stick, if its user does not say otherwise
STILL = 0.5  # pixels: a stick that moves less does not move

# NOTE: opposite directions of a d-pad with nine states cancel.
_PRESSED = [name for name in BUTTONS if name not in ("DPAD_LEFT", "DPAD_DOWN")]
IDLE: dict[str, Any] = {"pressed": [], "left": [0, 0], "right": [0, 0], "triggers": [0, 0]}


@dataclass
class _Session:
    """A page that is being baked.

    Attributes:
        settings: of its site, parts of every state.
        box: (left, top, width, height) of the skin in the window, CSS pixels.
    """

    page: Page
    rules: list[web.Rule]
    settings: dict[str, Any]
    box: tuple[int, int, int, int] | None = None
    notes: list[str] = field(default_factory=list)

    def set(self, **state: Any) -> None:
        self.page.evaluate(f"nitrogen.set({json.dumps(IDLE | self.settings | state)})")
        self.page.settle()

    def show(self, part: str | None) -> None:
        self.page.evaluate(f"nitrogen.show({json.dumps(part)})")

    def shot(self, **state: Any) -> np.ndarray:
        self.set(**state)
        return self.page.shot(self.box)


def bake(
    path: Path,
    style: str | None = None,
    scale: float = 1.0,
    scripts: bool = False,
    browser: str | None = None,
    stick_pixels: float = STICK_PIXELS,
    meter: bool = False,
) -> Skin:
    """The skin of a page, a style sheet or a folder; see `web` for the families.

    Args:
        style: of an Open Joystick Display theme that has several.
        scale: pixels of the sprites per CSS pixel.
        scripts: whether the page's own scripts run.
        browser: path of a Chromium; the machine's own by default.
        stick_pixels: CSS pixels that GamepadViewer moves a stick, its setting "stick offset".
        meter: whether its triggers show their value by height, its setting "trigger meter".
    """
    if not 0.25 <= scale <= 8:
        raise NitrogenError(f"the scale is {scale:g}, where 0.25 to 8 is possible")
    if not 0 < stick_pixels <= 500:
        raise NitrogenError(
            f"a stick moves by {stick_pixels:g} pixels, where up to 500 is possible"
        )
    source = web.open_source(path, style)
    with browse(source.folder, source.html, scripts, browser) as page:
        page.open(*WINDOW)
        styles = json.dumps(f"{web.BARE}\n{web.STILL}")
        page.evaluate(SCRIPT.replace("STYLES", styles))
        page.evaluate(f"nitrogen.vectors({json.dumps(_vectors(source))})")
        rules, notes = web.rules(source, page.evaluate("nitrogen.keywords()"))
        settings = {"pixels": stick_pixels, "meter": meter}
        session = _Session(page, rules, settings, notes=notes)
        given = json.dumps([vars(rule) for rule in rules])
        parts = page.evaluate(f"nitrogen.collect({given})")
        if not any(part["rules"] for part in parts):
            raise NitrogenError(
                f"{path}: none of its elements shows a button or a stick, where classes of "
                "GamepadViewer, ojd- attributes or data-button attributes are needed"
            )
        session.box = _bounds(session, parts, path)
        page.resize(*WINDOW, scale)
        elements = _elements(session, parts)
        if not any(element.moves for element in elements):
            raise NitrogenError(f"{path}: nothing in its picture changes with the pad's state")
        size = tuple(round(side * scale) for side in session.box[2:])
        words = f"{source.folder.absolute().name} {source.name}".lower()
        controller = next((kind for word, kind in CONTROLLERS.items() if word in words), "unknown")
        skin = Skin(source.name, size, tuple(elements), controller)
        session.show(None)
        session.notes += _differences(session, skin)
    page.missing.discard("/favicon.ico")
    if page.missing:
        named = ", ".join(sorted(page.missing)[:5])
        session.notes.append(
            f"{len(page.missing)} of the files that it asks for are refused: {named}"
        )
    return Skin(skin.name, skin.size, skin.elements, controller, tuple(session.notes))


def _vectors(source: web.Source) -> dict[str, str]:
    texts = {}
    for name in source.vectors:
        file = inside(source.folder, name)
        if file is not None:
            texts[name] = file.read_text(encoding="utf-8-sig", errors="replace")
    return texts


def _bounds(session: _Session, parts: list[dict], path: Path) -> tuple[int, int, int, int]:
    """Where anything can be seen in any state, CSS pixels."""
    everything = {"pressed": list(BUTTONS), "triggers": [1, 1]}
    corners = [{"left": [end, end], "right": [end, end]} for end in (-1, 1)]
    if not any(session.rules[at].kind == "stick" for part in parts for at in part["rules"]):
        corners = []
    seen = np.zeros(1, bool)
    for state in ({}, everything, *corners):
        seen = seen | (session.shot(**state)[..., 3] > 0)
    if not seen.any():
        raise NitrogenError(f"{path}: its page is empty in every state")
    left, top, right, bottom = _bbox(seen)
    return left, top, right - left, bottom - top


def _bbox(seen: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is True."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _elements(session: _Session, parts: list[dict]) -> list[Element]:
    elements: list[Element] = []
    for part in parts:
        session.show(part["part"])
        kinds = {session.rules[at].kind: session.rules[at] for at in part["rules"]}
        if "stick" in kinds:
            one = _stick(session, kinds["stick"].target)
        elif "dpad" in kinds:
            one = _dpad(session)
        elif "trigger" in kinds:
            one = _trigger(session, kinds["trigger"])
        elif "button" in kinds:
            one = _button(session, kinds["button"].target)
        else:
            one = _cut("texture", "static", [session.shot()])
        if one is not None:
            number = sum(other.name.split("#")[0] == one["name"] for other in elements)
            name = f"{one['name']}#{number + 1}" if number else one["name"]
            elements.append(Element(**one | {"name": name}))
    return elements


def _cut(kind: str, name: str, shots: list[np.ndarray], **more: Any) -> dict[str, Any] | None:
    """What makes an element of pictures of the same place, None if they are all empty."""
    seen = np.any([shot[..., 3] >= VISIBLE for shot in shots], axis=0)
    if not seen.any():
        return None
    left, top, right, bottom = _bbox(seen)
    sprites = tuple(np.ascontiguousarray(shot[top:bottom, left:right]) for shot in shots)
    position = (float(left), float(top))
    return {"kind": kind, "name": name, "position": position, "sprites": sprites, **more}


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(np.int16) - b).max(axis=-1) > VISIBLE


def _button(session: _Session, name: str) -> dict[str, Any] | None:
    shots = [session.shot(), session.shot(pressed=[name])]
    if not _differ(*shots).any():
        if shots[0][..., 3].any():
            session.notes.append(f"{name}: it looks the same pressed, so it is drawn at rest")
        return _cut("texture", name, shots[:1])
    if name.endswith("TRIGGER"):
        side = name.split("_")[0].lower()
        return _cut("trigger", name, shots, side=side)
    return _cut("button", name, shots, button=name)


def _dpad(session: _Session) -> dict[str, Any] | None:
    shots = []
    for x, y in DPAD_STATES:
        pressed = [{-1: "DPAD_LEFT", 1: "DPAD_RIGHT"}[x]] if x else []
        pressed += [{-1: "DPAD_UP", 1: "DPAD_DOWN"}[y]] if y else []
        shots.append(session.shot(pressed=pressed))
    if not any(_differ(shots[0], shot).any() for shot in shots):
        return _cut("texture", "dpad", shots[:1])
    return _cut("dpad", "dpad", shots)


def _stick(session: _Session, side: str) -> dict[str, Any] | None:
    thumb = f"{side.upper()}_THUMB"
    rest = session.shot()
    travel = []
    for axis in ((1, 0), (0, 1)):
        ends = [session.shot(**{side: [sign * v for v in axis]}) for sign in (-1, 1)]
        if not all((end[..., 3] >= VISIBLE).any() for end in ends):
            return _cut("texture", f"{side}_stick", [rest])
        low, high = (_centre(end[..., 3]) for end in ends)
        travel.append((high - low)[len(travel)] / 2)
    if max(map(abs, travel)) < STILL:
        session.notes.append(f"the {side} stick does not move, so it is drawn at rest")
        return _cut("texture", f"{side}_stick", [rest])
    clicked = session.shot(pressed=[thumb])
    # NOTE: a stick's own button is named even where a click shows nothing: both sprites are alike.
    way = tuple(round(float(value), 2) for value in travel)
    return _cut("stick", f"{side}_stick", [rest, clicked], button=thumb, side=side, travel=way)


def _centre(alpha: np.ndarray) -> np.ndarray:
    """(x, y) of the middle of what is drawn, weighted by how opaque it is."""
    weight = alpha.astype(np.float64)
    x, y = weight.sum(axis=0), weight.sum(axis=1)
    return np.array([x @ np.arange(len(x)) / x.sum(), y @ np.arange(len(y)) / y.sum()])


def _trigger(session: _Session, rule: web.Rule) -> dict[str, Any] | None:
    at = 0 if rule.target == "left" else 1
    name = f"{rule.target.upper()}_TRIGGER"

    def shot(value: float) -> np.ndarray:
        pressed = [name] if value >= 1 else []
        return session.shot(triggers=[value * (at == 0), value * (at == 1)], pressed=pressed)

    rest, half, full = shot(0), shot(0.5), shot(1)
    if not _differ(rest, full).any():
        return _cut("texture", name, [rest])
    way = grows(_differ(rest, half), _differ(rest, full))
    if way is not None and not _is_bar(rest, half, full, way):
        way = None
    if way is None and _differ(half, full).any():
        session.notes.append(f"{name}: how far it is pressed is drawn as pressed or not")
    more = {"bar": True, "direction": way} if way else {}
    return _cut("trigger", name, [rest, full], side=rule.target, **more)


def grows(half: np.ndarray, full: np.ndarray) -> str | None:
    """To which side a bar grows, None if it is no bar.

    Args:
        half, full: (h, w) bool, what differs from rest when it is half and when it is all pressed.
    """
    if not half.any() or not full.any() or not 0.3 < half.sum() / full.sum() < 0.7:
        return None
    inner, outer = _bbox(half), _bbox(full)
    long = [(b[2] - b[0], b[3] - b[1]) for b in (inner, outer)]
    if abs(long[0][0] - long[1][0]) <= 0.1 * long[1][0] + 1:
        if abs(inner[3] - outer[3]) <= 1:
            return "up"
        return "down" if abs(inner[1] - outer[1]) <= 1 else None
    if abs(long[0][1] - long[1][1]) <= 0.1 * long[1][1] + 1:
        if abs(inner[2] - outer[2]) <= 1:
            return "left"
        return "right" if abs(inner[0] - outer[0]) <= 1 else None
    return None


def _is_bar(rest: np.ndarray, half: np.ndarray, full: np.ndarray, way: str) -> bool:
    """Whether half of the pressed picture over the one at rest shows a trigger pressed half."""
    left, top, right, bottom = _bbox(full[..., 3] >= VISIBLE) if full[..., 3].any() else (0,) * 4
    sprite, (x, y) = cropped(full[top:bottom, left:right], 0.5, way)
    drawn = rest.astype(np.float32)
    over(drawn, sprite.astype(np.float32), left + x, top + y)
    off = np.abs(drawn - half).max(axis=-1) > OFF
    return bool(off.sum() < 0.2 * _differ(rest, half).sum())


def _differences(session: _Session, skin: Skin) -> list[str]:
    """A sentence for each state that the sprites show otherwise than the page."""
    painter = Painter(skin, Placement(1.0, 0.0, 0.0), Region(0, 0, *skin.size))
    notes = []
    for name, state in {
        "nothing is pressed": {},
        "everything is pressed": {"pressed": _PRESSED, "triggers": [1, 1]},
        "the sticks are deflected": {"left": [0.7, 0.7], "right": [-0.7, 0.7]},
    }.items():
        shown = session.shot(**state).astype(np.float32)
        row = States.idle()
        row.buttons[0, [BUTTON_INDEX[one] for one in state.get("pressed", [])]] = True
        for part in ("left", "right", "triggers"):
            getattr(row, part)[0] = state.get(part, [0, 0])
        drawn = next(iter(painter.states(row)))
        common = tuple(slice(0, min(a, b)) for a, b in zip(drawn.shape, shown.shape, strict=True))
        off = np.abs(drawn[common] - shown[common]).max(axis=-1) > OFF
        share = off.sum() / max((shown[..., 3] >= VISIBLE).sum(), 1)
        if share > MOST_OFF:
            notes.append(f"{share:.1%} of its pixels differ from the page when {name}")
    return notes
