"""One chunk of a label tree: its metadata.json and its tables of actions, read and written.

Row i of a table is the pad state whose step produced frame `video.start_frame + i`.

Files of others are read with patience for odd number types and with none for what would train on
wrong data: a chunk is refused where its frames or its actions are not known for certain, or where
the overlay, which shows the answer, cannot be placed. `examine_metadata` lists everything that is
not as the format says; `label_check` builds on it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from nitrogen_jax.data.label_fields import Area, Box, Fields, Finding, LabelError, shown
from nitrogen_jax.data.label_tables import (
    TABLES,
    ChunkActions,
    Kind,
    actions_to_parquet,
    parse_actions,
)

__all__ = [
    "METADATA",
    "TABLES",
    "Area",
    "Box",
    "ChunkActions",
    "ChunkMeta",
    "Finding",
    "Kind",
    "LabelError",
    "OriginalVideo",
    "actions_to_parquet",
    "examine_metadata",
    "metadata_to_json",
    "parse_actions",
    "parse_metadata",
]

METADATA = "metadata.json"
DEFAULT_SECONDS = 20.0  # how long a chunk is where its times say nothing
RATES = (1.0, 1000.0)  # Hz; times that give another rate are not those of the chunk


@dataclass(frozen=True, kw_only=True)
class OriginalVideo:
    """Where a chunk was cut from. Times in seconds and frames from the beginning of the video.

    Attributes:
        resolution: (height, width) of the pictures that were labelled; None where not known,
            and then the overlay cannot be placed in a video of another size.
        end_frame: as written; trees differ in whether it is the last frame or the one after.
    """

    video_id: str
    resolution: tuple[int, int] | None = None
    source: str = ""
    url: str = ""
    start_time: float | None = None
    end_time: float | None = None
    duration: float | None = None
    start_frame: int = 0
    end_frame: int = 0


@dataclass(frozen=True, kw_only=True)
class ChunkMeta:
    """What metadata.json says.

    Attributes:
        chunk_size: rows of the tables.
        overlay: clipped to the resolution; None where there is none.
        game_area: clipped to 0..1; None where it is not known.
        others: `bbox_others` as it is in the file.
        label_lag: frames by which the labels are late; our own key, 0 where it is absent.
    """

    uuid: str
    chunk_id: str
    chunk_size: int
    game: str
    controller_type: str
    overlay: Box | None
    game_area: Area | None
    others: tuple = ()
    video: OriginalVideo
    label_lag: int = 0

    @property
    def seconds(self) -> float:
        """How long the chunk lasts: by its times, else its duration, else 20 s."""
        video = self.video
        found = [video.duration]
        if video.start_time is not None and video.end_time is not None:
            found.insert(0, video.end_time - video.start_time)
        for seconds in found:
            if seconds and seconds > 0 and RATES[0] <= self.chunk_size / seconds <= RATES[1]:
                return seconds
        return DEFAULT_SECONDS

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.chunk_size / self.seconds


def parse_metadata(data: bytes, where: str, video_id: str | None = None) -> ChunkMeta:
    """metadata.json, or a LabelError for the first thing in it that makes the chunk unusable.

    Args:
        where: what messages call the file.
        video_id: the name of the video's folder, for files that do not name the video.
    """
    meta, findings = examine_metadata(data, where, video_id)
    for finding in findings:
        if finding.fatal:
            raise LabelError(finding.message, finding.cause)
    assert meta is not None
    return meta


def examine_metadata(
    data: bytes, where: str, video_id: str | None = None
) -> tuple[ChunkMeta | None, list[Finding]]:
    """metadata.json and everything in it that is not as the format says; None if one is fatal."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = shown(str(error).partition("\n")[0])
        return None, [Finding("json_invalid", f"{where} is not JSON: {reason}", True)]
    if not isinstance(content, dict):
        message = f"{where} holds a {type(content).__name__}, where an object is needed"
        return None, [Finding("json_invalid", message, True)]
    top = Fields(content, where, "", findings := [])
    inner = top.value("original_video", fatal=True)
    if inner is not None and not isinstance(inner, dict):
        top.wrong("original_video", inner, "an object", fatal=True)
    if not isinstance(inner, dict):
        return None, findings
    video = Fields(inner, where, "original_video.", findings)
    start_frame = video.whole("start_frame", 0, fatal=True)
    rows = top.whole("chunk_size", 1, fatal=True)
    end_frame = video.whole("end_frame", 0)
    if end_frame is None:
        end_frame = (start_frame or 0) + (rows or 0)
    elif None not in (start_frame, rows) and end_frame - start_frame not in (rows, rows - 1):
        video.add(
            "frames_inconsistent",
            "end_frame",
            f"is {end_frame} and start_frame {start_frame}, where {rows} rows need "
            f"{start_frame + rows} or {start_frame + rows - 1}",
        )
    start_time, end_time = video.number("start_time"), video.number("end_time")
    if None not in (start_time, end_time) and not end_time > start_time:
        video.add("times_inconsistent", "end_time", f"is {end_time}, not after {start_time}")
    resolution = video.resolution()
    read = ChunkMeta(
        uuid=top.text("uuid"),
        chunk_id=top.text("chunk_id", numbers=True),
        chunk_size=rows or 0,
        game=top.text("game"),
        controller_type=top.text("controller_type"),
        overlay=top.overlay(resolution),
        game_area=top.area(),
        others=top.others(),
        label_lag=top.lag(),
        video=OriginalVideo(
            video_id=video.name("video_id", video_id),
            resolution=resolution,
            source=video.text("source"),
            url=video.text("url"),
            start_time=start_time,
            end_time=end_time,
            duration=video.number("duration"),
            start_frame=start_frame or 0,
            end_frame=end_frame,
        ),
    )
    return (None if any(f.fatal for f in findings) else read), findings


def metadata_to_json(meta: ChunkMeta) -> dict[str, Any]:
    """The content of metadata.json; what is not known is null, or left out where often absent."""
    video = asdict(meta.video)
    if meta.video.resolution is not None:
        video["resolution"] = list(meta.video.resolution)
    data = {
        "uuid": meta.uuid,
        "chunk_id": meta.chunk_id,
        "chunk_size": meta.chunk_size,
        "game": meta.game,
        "controller_type": meta.controller_type,
        "bbox_controller_overlay": None if meta.overlay is None else list(meta.overlay),
        "original_video": video,
    }
    if meta.game_area is not None:
        data["bbox_game_area"] = meta.game_area._asdict()
    if meta.others:
        data["bbox_others"] = list(meta.others)
    if meta.label_lag:
        data["label_lag"] = meta.label_lag
    return data
