"""Which videos to fetch: those that labels name and nobody has, up to some hours of each kind."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nitrogen_jax.data.build_plan import Labelled
from nitrogen_jax.errors import NitrogenError

# What a spreadsheet would run.
FORMULAS = tuple("=+-@＝＋－＠")  # noqa: RUF001
# What ends a line, or what a terminal would obey.
CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")


class Missing(NamedTuple):
    """A video to fetch; start and end in seconds are what its labels cover."""

    url: str
    start: float
    end: float
    file: str  # name under which a build finds it
    video_id: str
    source: str
    game: str
    hours: float  # of labels
    creator: str


@dataclass(frozen=True)
class Caps:
    """Hours of labels, at most; None: no limit. What is there already counts too."""

    per_game: float | None = None
    per_creator: float | None = None
    total: float | None = None


def select(
    videos: Iterable[Labelled],
    caps: Caps,
    creators: Mapping[str, str],
    games: Collection[str] = (),
    source: str | None = None,
    already: Iterable[Labelled] = (),
) -> list[Missing]:
    """The videos to fetch, by id; a video that would go beyond a cap is left out.

    Args:
        creators: video id -> who made it.
        games: only these, if any are named.
        source: only of this one.
        already: videos that are there, which count towards the caps.
    """
    used: Counter[tuple[str, str]] = Counter()
    for one in already:
        for key in _keys(one, creators):
            used[key] += one.seconds
    limits = {"game": caps.per_game, "creator": caps.per_creator, "total": caps.total}
    found = []
    for one in sorted(videos, key=lambda one: one.video_id):
        if (games and not one.games & set(games)) or source not in (None, one.source):
            continue
        keys = _keys(one, creators)
        full = (
            limits[kind] is not None and used[kind, name] + one.seconds > limits[kind] * 3600
            for kind, name in keys
        )
        if any(full):
            continue
        for key in keys:
            used[key] += one.seconds
        found.append(
            Missing(
                one.url,
                round(float(one.start), 3),
                round(float(one.end), 3),
                f"{one.video_id}.mp4",
                one.video_id,
                one.source,
                "; ".join(sorted(one.games)),
                round(one.seconds / 3600, 4),
                creators.get(one.video_id, ""),
            )
        )
    return found


def read_creators(path: Path) -> dict[str, str]:
    """A CSV with the columns video_id and creator."""
    try:
        # NOTE: spreadsheets put a mark at the beginning of UTF-8 files.
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise NitrogenError(f"creators {path} cannot be read: {error}") from None
    if rows and not {"video_id", "creator"} <= rows[0].keys():
        raise NitrogenError(f"creators {path}: the columns video_id and creator are needed")
    return {row["video_id"]: row["creator"] or "" for row in rows}


def _keys(one: Labelled, creators: Mapping[str, str]) -> list[tuple[str, str]]:
    creator = creators.get(one.video_id)
    keys = [("game", game) for game in sorted(one.games)] + [("total", "")]
    return keys + ([("creator", creator)] if creator else [])


def as_csv(rows: Iterable[Missing]) -> str:
    """A table with a header line, safe to open in a spreadsheet and to read line by line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Missing._fields)
    for row in rows:
        writer.writerow([_plain(one) if isinstance(one, str) else one for one in row])
    return text.getvalue()


def _plain(text: str) -> str:
    text = text.translate(CONTROLS)
    # NOTE: ids may begin with "-", which is harmless, and with what a spreadsheet runs only in
    # labels that somebody has tampered with.
    return f"'{text}" if text.lstrip().startswith(FORMULAS) and not _is_id(text) else text


def _is_id(text: str) -> bool:
    return all(c.isalnum() or c in "-_." for c in text)
