"""Skins made of web pages, three families, and how each shows what is pressed.

classes     style sheets for GamepadViewer: `.bumper.left`, `.button.a`, `.stick.right`, `.face.up`
            in a document that the site writes; pressed ones have the class "pressed", sticks move
            by their margins, triggers by their opacity
attributes  Open Joystick Display: `ojd-button="START"`, `ojd-directional="0"`,
            `ojd-trigger-scale="1"`; pressed ones have the class "active", sticks move by `top` and
            `left` in percent, triggers by their height
data        `data-button="0"`, `data-axis-x="2"`, numbered as browsers number a standard gamepad;
            pressed ones have data-pressed="true"
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins.browser import inside
from nitrogen_jax.labeling.skins.fields import read_object

Family = Literal["classes", "attributes", "data"]

# The standard gamepad of browsers, by number.
STANDARD = (
    *("SOUTH", "EAST", "WEST", "NORTH", "LEFT_SHOULDER", "RIGHT_SHOULDER"),
    *("LEFT_TRIGGER", "RIGHT_TRIGGER", "BACK", "START", "LEFT_THUMB", "RIGHT_THUMB"),
    *("DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT", "GUIDE"),
)
CLASSES = {
    **{".bumper.left": "LEFT_SHOULDER", ".bumper.right": "RIGHT_SHOULDER"},
    **{".trigger-button.left": "LEFT_TRIGGER", ".trigger-button.right": "RIGHT_TRIGGER"},
    **{".back": "BACK", ".select": "BACK", ".start": "START", ".meta": "GUIDE"},
    **{".button.a": "SOUTH", ".button.b": "EAST", ".button.x": "WEST", ".button.y": "NORTH"},
    **{".face.up": "DPAD_UP", ".face.down": "DPAD_DOWN"},
    **{".face.left": "DPAD_LEFT", ".face.right": "DPAD_RIGHT"},
}
KEYWORDS = {
    **{"A": "SOUTH", "B": "EAST", "X": "WEST", "Y": "NORTH"},
    **{"CROSS": "SOUTH", "CIRCLE": "EAST", "SQUARE": "WEST", "TRIANGLE": "NORTH"},
    **{"L": "LEFT_SHOULDER", "L1": "LEFT_SHOULDER", "LB": "LEFT_SHOULDER", "L2": "LEFT_TRIGGER"},
    **{"R": "RIGHT_SHOULDER", "R1": "RIGHT_SHOULDER", "RB": "RIGHT_SHOULDER"},
    **{"R2": "RIGHT_TRIGGER", "LT": "LEFT_TRIGGER", "RT": "RIGHT_TRIGGER"},
    **{"ZL": "LEFT_TRIGGER", "ZR": "RIGHT_TRIGGER", "L3": "LEFT_THUMB", "R3": "RIGHT_THUMB"},
    **{"SELECT": "BACK", "MINUS": "BACK", "SHARE": "BACK", "START": "START", "PLUS": "START"},
    **{"BACK": "BACK", "GUIDE": "GUIDE", "LS": "LEFT_THUMB", "RS": "RIGHT_THUMB"},
    **{"OPTION": "START", "OPTIONS": "START", "PS": "GUIDE", "XBOX": "GUIDE", "HOME": "GUIDE"},
    **{"UP": "DPAD_UP", "DOWN": "DPAD_DOWN", "LEFT": "DPAD_LEFT", "RIGHT": "DPAD_RIGHT"},
}
# Where A and B, X and Y have changed places.
NINTENDO = {"A": "EAST", "B": "SOUTH", "X": "NORTH", "Y": "WEST"}
NINTENDO_WORDS = ("nintendo", "switch", "snes", "sfc", "famicom", "wii", "joycon")

# What the site writes around a style sheet.
DOCUMENT = """\
<div id="gamepads" style="position: absolute; left: 50%; top: 50%">
<div class="controller {names} active" id="gamepad-0">
<div class="triggers"><span class="trigger left"></span><span class="trigger right"></span>
<span class="trigger-button left"></span><span class="trigger-button right"></span></div>
<div class="bumpers"><span class="bumper left"></span><span class="bumper right"></span></div>
<div class="touchpad"></div><div class="quadrant p0"></div><div class="meta"></div>
<div class="arrows"><span class="back"></span><span class="start"></span></div>
<div class="abxy"><span class="button a"></span><span class="button b"></span>
<span class="button x"></span><span class="button y"></span></div>
<div class="sticks"><span class="stick left"></span><span class="stick right"></span></div>
<div class="dpad"><span class="face up"></span><span class="face down"></span>
<span class="face left"></span><span class="face right"></span></div>
<div class="fstick"></div></div></div>"""
BARE = "html, body { background: transparent !important; margin: 0 }"
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"


@dataclass(frozen=True)
class Source:
    """A skin as a document.

    Attributes:
        folder: all that the document may read.
        vectors: paths in the folder of drawings that belong into its elements with `ojd-svg`.
    """

    name: str
    family: Family
    folder: Path
    html: str
    vectors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Which elements of a document show what.

    Attributes:
        kind: "button", "stick", "trigger" or "dpad", which is one element with nine states.
        target: a button, a side, or "dpad".
        how: how it is shown, a name of `states.js`.
    """

    selector: str
    kind: Literal["button", "stick", "trigger", "dpad"]
    target: str
    how: str


def open_source(path: Path, style: str | None = None) -> Source:
    """A page, a style sheet or a folder with one of them.

    Args:
        style: of an Open Joystick Display theme that has several.
    """
    path = Path(path)
    if not path.exists():
        raise NitrogenError(f"{path} does not exist")
    if path.is_dir():
        path = _main_file(path, style)
    if path.suffix.lower() == ".css":
        return _sheet(path)
    text = _read(path)
    family: Family = "classes"
    if "ojd-" in text or (path.parent / "theme.json").is_file():
        return _theme(path, text, style)
    if "data-button" in text:
        family = "data"
    return Source(path.parent.absolute().name, family, path.parent, text)


def _main_file(folder: Path, style: str | None) -> Path:
    if (folder / "theme.json").is_file():
        about = _style(folder, style)
        return folder / str(about.get("file", "theme.html"))
    for pattern in ("index.html", "template.html", "*.html", "*.css"):
        found = sorted(file for file in folder.glob(pattern) if file.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:8])
            raise NitrogenError(f"{folder} holds several skins ({names}): name one of them")
    raise NitrogenError(f"{folder} holds no HTML or CSS file, so it is no skin of a web page")


def _style(folder: Path, style: str | None) -> dict:
    """What theme.json says of a style."""
    styles = read_object(folder / "theme.json").get("styles")
    known = [one for one in styles if isinstance(one, dict)] if isinstance(styles, list) else []
    if style is None:
        has_page = (folder / "theme.html").is_file() or not known
        return {} if has_page else known[0]
    for one in known:
        if one.get("id") == style:
            return one
    names = ", ".join(str(one.get("id")) for one in known[:20]) or "none"
    raise NitrogenError(f"{folder / 'theme.json'} names no style {style!r}; its styles: {names}")


def _theme(path: Path, text: str, style: str | None) -> Source:
    folder = path.parent
    about = _style(folder, style) if (folder / "theme.json").is_file() else {}
    name = about.get("id") if isinstance(about.get("id"), str) else None
    sheets = [str(about.get("mastercss", "theme.css")), *([f"theme-{name}.css"] if name else [])]
    if not about:
        sheets = ["theme.css", f"{path.stem}.css"]
    links = [sheet for sheet in dict.fromkeys(sheets) if inside(folder, sheet)]
    text = text.replace("%DIRECTORY%", ".")
    vectors = tuple(html.unescape(one) for one in re.findall(r"""ojd-svg=["']([^"']*)""", text))
    called = "-".join(filter(None, (folder.absolute().name, name)))
    return Source(called, "attributes", folder, _document(text, links), vectors)


def _sheet(path: Path) -> Source:
    text = _read(path)
    names = "custom"
    if not re.search(r"\.custom\b", text):
        known = ("xbox", "xbox-old", "ps", "ds4", "nes", "n64", "gc", "fpp", "fight-stick")
        names = " ".join(one for one in known if re.search(rf"\.{one}(?![\w-])", text)) or names
    body = DOCUMENT.format(names=names)
    return Source(path.stem, "classes", path.parent, _document(body, [path.name]))


def _document(body: str, sheets: list[str]) -> str:
    links = "".join(f'<link rel="stylesheet" href="{html.escape(one)}">' for one in sheets)
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8">{links}</head><body>{body}</body></html>'
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise NitrogenError(f"{path} cannot be read: {error}") from None


def rules(source: Source, keywords: list[str]) -> tuple[list[Rule], list[str]]:
    """The rules of a document, and a sentence for each keyword that says nothing.

    Args:
        keywords: all that the document has as `ojd-button`.
    """
    if source.family == "classes":
        found = [Rule(selector, "button", name, "class") for selector, name in CLASSES.items()]
        for side in ("left", "right"):
            found.append(Rule(f".stick.{side}", "stick", side, "class margin"))
            found.append(Rule(f".trigger.{side}", "trigger", side, "class opacity"))
        return [*found, Rule(".fstick", "dpad", "dpad", "class")], []
    if source.family == "data":
        found = [
            Rule(f'[data-button="{at}"]:not(.trigger):not([data-axis-x])', "button", name, "data")
            for at, name in enumerate(STANDARD)
        ]
        for at, side in enumerate(("left", "right")):
            found.append(Rule(f'[data-axis-x="{2 * at}"]', "stick", side, "data margin"))
            trigger = f'.trigger[data-button="{6 + at}"]'
            found.append(Rule(trigger, "trigger", side, "data opacity"))
        return found, []
    words = f"{source.folder.absolute().name} {source.name}".lower()
    table = KEYWORDS
    if any(word in words for word in NINTENDO_WORDS):
        table = KEYWORDS | NINTENDO
    found, unread = [], []
    for at, side in enumerate(("left", "right")):
        found.append(Rule(f'[ojd-directional="{at}"]', "stick", side, "active percent"))
        for word in ("scale", "move"):
            for ending in ("", "-inverted"):
                selector = f'[ojd-trigger-{word}{ending}="{at}"]'
                found.append(Rule(selector, "trigger", side, f"active {word}{ending}"))
    for keyword in sorted(set(keywords)):
        name = table.get(keyword.upper())
        if name is None:
            unread.append(f"{keyword[:40]}: this button is not known, so it is drawn at rest")
        else:
            quoted = keyword.replace("\\", "\\\\").replace('"', '\\"')
            found.append(Rule(f'[ojd-button="{quoted}"]', "button", name, "active"))
    return found, unread
