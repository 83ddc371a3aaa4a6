"""Corrections of a chunk's labels: the JSON that a review page exports, read with no patience.

    {"format": "nitrogen label corrections", "version": 1,
     "tree": fingerprint, "video_id": "...", "chunk_id": folder of the chunk,
     "table": SHA-256 of the table that was reviewed,
     "edits": [{"from": 10, "to": 12, "buttons": {"SOUTH": true}, "j_left": [0, -1],
                "j_right": [0, 0], "valid": false}, ...]}

Rows count from 0 in the chunk and `to` is not included. Of two edits of one cell the later counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nitrogen_jax import gamepad
from nitrogen_jax.data.label_fields import check_name, shown
from nitrogen_jax.errors import NitrogenError

FORMAT, VERSION = "nitrogen label corrections", 1
MAX_BYTES = 1 << 26
MAX_ROWS = 1 << 22

# Those that a label table has a column for.
BUTTONS = frozenset(gamepad.COLUMNS.values())

_TOP = ("format", "version", "tree", "video_id", "chunk_id", "table", "edits")
_EDIT = ("from", "to", "buttons", *gamepad.STICK_COLUMNS, "valid")


@dataclass(frozen=True)
class Edit:
    """What becomes of the rows first..end - 1; what is not named stays.

    Attributes:
        buttons: name -> pressed.
        sticks: column -> (x, y) in -1..1, y down.
        valid: False: not to be trained on; True: certain; None: as it was.
    """

    first: int
    end: int
    buttons: Mapping[str, bool] = field(default_factory=dict)
    sticks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    valid: bool | None = None


@dataclass(frozen=True)
class Corrections:
    """A person's corrections of one chunk.

    Attributes:
        tree: the fingerprint of the video's chunks, see `review_chunks.fingerprint`.
        chunk_id: the name of the chunk's folder.
        table: SHA-256 of the bytes of the table that was reviewed.
    """

    tree: str
    video_id: str
    chunk_id: str
    table: str
    edits: tuple[Edit, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, whatever the spelling of its JSON."""
        text = json.dumps(to_json(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def parse(data: bytes, where: str) -> Corrections:
    """Corrections from JSON; NitrogenError, one sentence, for anything that is not as above.

    Args:
        where: what messages call the file.
    """
    if len(data) > MAX_BYTES:
        raise NitrogenError(f"{where} has {len(data)} bytes, where {MAX_BYTES} are the most")
    try:
        content = json.loads(data, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = shown(str(error).partition("\n")[0])
        raise NitrogenError(f"{where} is not JSON of corrections: {reason:.200}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise NitrogenError(f'{where} holds no corrections: an object of format "{FORMAT}"')
    if content.get("version") != VERSION or isinstance(content["version"], bool):
        _wrong(where, "version", content.get("version"), f"{VERSION}")
    _known_keys(content, _TOP, where)
    return Corrections(
        tree=_digest(content, "tree", where),
        video_id=_name(content, "video_id", where),
        chunk_id=_name(content, "chunk_id", where),
        table=_digest(content, "table", where),
        edits=_edits(content.get("edits"), where),
    )


def to_json(corrections: Corrections) -> dict[str, Any]:
    """The content of the JSON file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "tree": corrections.tree,
        "video_id": corrections.video_id,
        "chunk_id": corrections.chunk_id,
        "table": corrections.table,
        "edits": [edit_to_json(edit) for edit in corrections.edits],
    }


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """One edit as in the JSON file."""
    found: dict[str, Any] = {"from": edit.first, "to": edit.end}
    if edit.buttons:
        found["buttons"] = dict(edit.buttons)
    found |= {name: list(stick) for name, stick in edit.sticks.items()}
    return found if edit.valid is None else {**found, "valid": edit.valid}


# ---------------------------------------------------------------------------------------------
# Parts


def _edits(content: object, where: str) -> tuple[Edit, ...]:
    if not isinstance(content, list):
        _wrong(where, "edits", content, "a list")
    return tuple(_edit(one, f"{where}: edit {index}") for index, one in enumerate(content))


def _edit(content: object, where: str) -> Edit:
    if not isinstance(content, dict):
        raise NitrogenError(f"{where} is {_brief(content)}, where an object is needed")
    _known_keys(content, _EDIT, where)
    first = _row(content.get("from"), "from", where, 0)
    end = _row(content.get("to"), "to", where, first + 1)
    buttons = content.get("buttons", {})
    if not isinstance(buttons, dict):
        _wrong(where, "buttons", buttons, "an object of button: true or false")
    for name, pressed in buttons.items():
        if name not in BUTTONS:
            raise NitrogenError(
                f"{where}: {_brief(name)} is not a button with a column: those are "
                f"{', '.join(sorted(BUTTONS))}"
            )
        if not isinstance(pressed, bool):
            _wrong(where, name, pressed, "true or false")
    sticks = {
        name: _stick(content[name], name, where)
        for name in gamepad.STICK_COLUMNS
        if name in content
    }
    valid = content.get("valid")
    if "valid" in content and not isinstance(valid, bool):
        _wrong(where, "valid", valid, "true or false")
    if not (buttons or sticks or "valid" in content):
        raise NitrogenError(f"{where} names no button, no stick and not valid: it changes nothing")
    return Edit(first, end, buttons, sticks, valid)


def _row(value: object, name: str, where: str, least: int) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= MAX_ROWS:
        _wrong(where, name, value, f"a row from {least} on")
    return value


def _stick(value: object, name: str, where: str) -> tuple[float, float]:
    numbers = value if isinstance(value, list) and len(value) == 2 else [None]
    for number in numbers:
        real = isinstance(number, int | float) and not isinstance(number, bool)
        if not real or not -1 <= number <= 1:
            _wrong(where, name, value, "[x, y] in -1..1")
    return float(numbers[0]), float(numbers[1])


def _digest(content: dict, name: str, where: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        _wrong(where, name, value, "a SHA-256 in hexadecimal")
    return value


def _name(content: dict, name: str, where: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        _wrong(where, name, value, "a name")
    try:
        return check_name(value, name)
    except NitrogenError:
        _wrong(where, name, value, "the name of a folder of the tree")


def _known_keys(content: dict, known: tuple[str, ...], where: str) -> None:
    for name in content:
        if name not in known:
            raise NitrogenError(f"{where}: {_brief(name)} is none of {', '.join(known)}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{_brief(twice)} is there twice in one object")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _wrong(where: str, name: str, value: object, needed: str) -> NoReturn:
    raise NitrogenError(f"{where}: {shown(name)} is {_brief(value)}, where {needed} is needed")


def _brief(value: object) -> str:
    try:
        return shown(f"{value!r:.60}")
    except (RecursionError, ValueError):  # nested deeply; a number of thousands of digits
        return f"a {type(value).__name__} too long to show"
