"""The fields of a chunk's metadata.json: what can be made of each, and what is wrong with it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nitrogen_jax.errors import NitrogenError


class LabelError(NitrogenError):
    """A chunk that cannot be read; `cause` is one stable word for counting."""

    def __init__(self, message: str, cause: str = "unreadable"):
        super().__init__(message)
        self.cause = cause


class Finding(NamedTuple):
    """One thing that is not as the format says; fatal where the chunk cannot be read for it."""

    cause: str
    message: str
    fatal: bool


class Box(NamedTuple):
    """The controller overlay, in pixels of `OriginalVideo.resolution`."""

    x: float
    y: float
    w: float
    h: float


class Area(NamedTuple):
    """Where the game is in the picture, relative to its width and height, 0..1."""

    xtl: float
    ytl: float
    xbr: float
    ybr: float


def shown(text: object) -> str:
    """Text from outside without what a terminal would obey or could not print."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def check_name(name: str, what: str) -> str:
    """A name that may become a part of a path; NitrogenError for any other."""
    if name in ("", ".", "..") or len(name) > 255 or any(c in name for c in "/\\\0"):
        raise NitrogenError(f"{what} is {name!r:.80}, where a name of a file is needed")
    return name


class Fields:
    """The fields of one JSON object: what can be made of them, and what is wrong with them."""

    def __init__(self, content: dict, where: str, prefix: str, findings: list[Finding]):
        self.content, self.where, self.prefix, self.findings = content, where, prefix, findings

    def add(self, cause: str, name: str, what: str, fatal: bool = False) -> None:
        field = f"{self.where}: field {self.prefix}{name}"
        self.findings.append(Finding(cause, f"{field} {what}", fatal))

    def wrong(self, name: str, value: object, needed: str, fatal: bool = False) -> None:
        self.add("field_type", name, f"is {_brief(value)}, where {needed} is needed", fatal)

    def value(self, name: str, fatal: bool = False) -> Any:
        """None, with a finding, where there is nothing."""
        found = self.content.get(name)
        if found is None:
            what = "is null" if name in self.content else "is missing"
            self.add("field_missing", name, what, fatal)
        return found

    def whole(self, name: str, least: int | None, fatal: bool = False) -> int | None:
        found = self.number(name, fatal, "a whole number")
        if found is None:
            return None
        if found != int(found) or abs(found) > 2**53 or (least is not None and found < least):
            needed = "a whole number" + ("" if least is None else f" of at least {least}")
            self.add("field_value", name, f"is {found}, where {needed} is needed", fatal)
            return None
        return int(found)

    def number(self, name: str, fatal: bool = False, needed: str = "a number") -> float | None:
        found = self.value(name, fatal)
        if found is None:
            return None
        number = _number(found)
        if number is None:
            self.wrong(name, found, needed, fatal)
        elif isinstance(found, str):
            self.wrong(name, found, needed)
        return number

    def text(self, name: str, numbers: bool = False) -> str:
        found = self.value(name)
        if found is None or isinstance(found, str):
            # NOTE: JSON can hold half of a surrogate pair, which no file or terminal takes.
            return (found or "").encode("utf-8", "replace").decode()
        number = isinstance(found, int | float) and not isinstance(found, bool)
        if not (numbers and number):
            self.wrong(name, found, "text")
        return str(found) if number else ""

    def name(self, name: str, otherwise: str | None) -> str:
        found = self.text(name) or otherwise or ""
        try:
            check_name(found, name)
        except NitrogenError:
            what = f"is {_brief(found)}, where a name that a file may have is needed"
            self.add("field_value", name, what, fatal=True)
        return found

    def lag(self) -> int:
        if self.content.get("label_lag") is None:
            return 0
        return self.whole("label_lag", None, fatal=True) or 0

    def resolution(self) -> tuple[int, int] | None:
        found = self.value("resolution")
        if found is None:
            return None
        sizes = _numbers(found, 2)
        if sizes is None or not all(1 <= size <= 1 << 16 and size == int(size) for size in sizes):
            self.wrong("resolution", found, "[height, width] in pixels")
            return None
        return int(sizes[0]), int(sizes[1])

    def overlay(self, resolution: tuple[int, int] | None) -> Box | None:
        name = "bbox_controller_overlay"
        # NOTE: null says that there is no overlay, as in recordings of a pad that was read.
        found = self.value(name) if name not in self.content else self.content[name]
        if found is None:
            return None
        numbers = _numbers(found, 4)
        if numbers is None:
            self.wrong(name, found, "[x, y, width, height] in pixels", fatal=True)
            return None
        if not any(numbers):
            self.add("box_empty", name, "is all 0, where null says that there is no overlay")
            return None
        x, y, w, h = numbers
        height, width = resolution or (math.inf, math.inf)
        left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
        if w <= 0 or h <= 0:
            self.add("box_empty", name, f"is {found}, which is empty", fatal=True)
            return None
        if right <= left or bottom <= top:
            what = f"is {found}, which is outside of the frame of {width} x {height} pixels"
            self.add("box_outside", name, what, fatal=True)
            return None
        slack = 1e-3  # pixels; sums of floats
        if x < -slack or y < -slack or x + w > width + slack or y + h > height + slack:
            what = f"is {found}, which overflows the frame of {width} x {height} pixels"
            self.add("box_overflows", name, what)
        # NOTE: what lies inside is kept as written: (x + w) - x need not be w in floats.
        inside_w = w if left == x and right == x + w else right - left
        inside_h = h if top == y and bottom == y + h else bottom - top
        return Box(left, top, inside_w, inside_h)

    def area(self) -> Area | None:
        name = "bbox_game_area"
        found = self.content.get(name)
        if found is None:
            return None
        edges = [found.get(edge) for edge in Area._fields] if isinstance(found, dict) else None
        numbers = _numbers(edges, 4)
        if numbers is None:
            self.wrong(name, found, "{xtl, ytl, xbr, ybr} in 0..1", fatal=True)
            return None
        area = Area(*(min(max(value, 0.0), 1.0) for value in numbers))
        if area.xbr <= area.xtl or area.ybr <= area.ytl:
            what = f"is {_brief(found)}, which is empty or inverted, and ignored"
            self.add("area_invalid", name, what)
            return None
        if max(abs(a - b) for a, b in zip(area, numbers, strict=True)) > 1e-6:
            self.add("area_invalid", name, f"is {_brief(found)}, which is not inside 0..1")
        return area

    def others(self) -> tuple:
        found = self.content.get("bbox_others")
        if isinstance(found, list):
            return tuple(found)
        if found is not None and not isinstance(found, dict):
            self.wrong("bbox_others", found, "a list")
        return (found,) if isinstance(found, dict) else ()


def _brief(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"


def _number(value: object) -> float | int | None:
    """A finite number, or text that is one, else None; whole ones stay exact."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = value if not isinstance(value, str) else float(value)
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):  # not a number; too long for a float
        return None


def _numbers(values: object, count: int) -> list[float] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = [_number(value) for value in values]
    return None if None in numbers else [float(number) for number in numbers]
