"""Tables that say, game by game, what is to be written of a button and what a video shows.

A player who has swapped jump and attack presses other buttons than everybody else for the same
deed. A remap table undoes that for whole games: {"Some Game": {"EAST": "SOUTH", "SOUTH": "EAST"}}
as JSON, or as CSV with the columns game, button, to.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, NUM_BUTTONS

Remap = tuple[tuple[str, str], ...]  # pairs (button as seen, button to write), by button

MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video from elsewhere."""

    game: str = ""
    source: str = ""
    url: str = ""


def apply(buttons: np.ndarray, remap: Remap) -> np.ndarray:
    """Buttons (..., 21) bool under their new names, all at once; two may become one.

    Buttons that are in no pair keep their names.
    """
    new, out = dict(remap), np.zeros_like(buttons, bool)
    for name, at in BUTTON_INDEX.items():
        out[..., BUTTON_INDEX[new.get(name, name)]] |= buttons[..., at] > 0
    assert out.shape[-1] == NUM_BUTTONS
    return out


def read_remaps(path: Path) -> dict[str, Remap]:
    """Game -> its pairs, from a .json or .csv file."""
    found: dict[str, dict[str, str]] = {}
    if path.suffix.lower() == ".csv":
        for line, row in _rows(path, ("game", "button", "to")):
            table = found.setdefault(row["game"], {})
            if row["button"] in table:
                raise NitrogenError(
                    f"{path}, line {line}: {row['button']} of {row['game']} is there twice"
                )
            table[row["button"]] = row["to"]
    else:
        found = _json(path)
    return {game: _checked(table, f"{path}, game {game!r:.80}") for game, table in found.items()}


def read_facts(path: Path) -> dict[str, VideoFacts]:
    """Video id -> what a CSV with the columns video_id, game and perhaps source, url says."""
    found = {}
    for line, row in _rows(path, ("video_id", "game")):
        video_id = row["video_id"]
        if video_id in found:
            raise NitrogenError(f"{path}, line {line}: video {video_id} is there twice")
        found[video_id] = VideoFacts(row["game"], row.get("source", ""), row.get("url", ""))
    return found


def _checked(table: Mapping[str, Any], where: str) -> Remap:
    if not isinstance(table, Mapping):
        raise NitrogenError(f"{where}: {table!r:.60}, where {{BUTTON: BUTTON}} is needed")
    for pair in table.items():
        for name in pair:
            if not isinstance(name, str) or name not in BUTTON_INDEX:
                raise NitrogenError(
                    f"{where}: there is no button {name!r:.40}: they are {', '.join(BUTTONS)}"
                )
    return tuple(sorted(table.items()))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
    except OSError as error:
        raise NitrogenError(f"{path} cannot be read: {error.strerror}") from None
    if data is None:
        raise NitrogenError(f"{path} has more than the {MOST_BYTES} bytes that are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NitrogenError(f"{path} is not text in UTF-8") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path))
    except NitrogenError:
        raise
    except (ValueError, RecursionError) as error:
        raise NitrogenError(f"{path} is not JSON: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(content, dict):
        raise NitrogenError(f"{path} holds no object, where {{game: {{BUTTON: BUTTON}}}} is needed")
    return content


def _rows(path: Path, needed: tuple[str, ...]):
    """(line number, row) of a CSV with a header; values without blanks around them."""
    reader = csv.DictReader(_text(path).splitlines(), skipinitialspace=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        missing = [name for name in needed if name not in names]
        if missing:
            raise NitrogenError(
                f"{path}: column {', '.join(missing)} is missing in its first line, where "
                f"{', '.join(needed)} are needed"
            )
        reader.fieldnames = names
        for row in reader:
            clean = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
            if not all(clean[name] for name in needed[:1]):
                raise NitrogenError(f"{path}, line {reader.line_num}: {needed[0]} is empty")
            yield reader.line_num, clean
    except csv.Error as error:
        raise NitrogenError(f"{path}, line {reader.line_num}: {error}") from None
