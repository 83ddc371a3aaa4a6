"""The labels of a video as chunks of a NitroGen label tree.

Chunks are 20 seconds long and lie within one segment, so that the box in their metadata holds for
all of their frames; frames outside of segments are in no chunk. So are stretches of a second and
more in which the labels are not good enough. Shorter ones stay, with confidence 0: `actions_raw`
holds what was read there, `actions_processed` the last good state, under the buttons of the remap
table. A filter of the window index (`--min-confidence`) leaves out the windows that touch them.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree
from nitrogen_jax.data.labels import Box, ChunkMeta, OriginalVideo
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import remap
from nitrogen_jax.labeling.result import Segment, VideoLabels
from nitrogen_jax.labeling.skins.skin import States

CHUNK_SECONDS = 20.0
SHORTEST_SECONDS = 1.0  # of a chunk; also of what is left out within a segment
SHARDS = 100
NO_FACTS = remap.VideoFacts()


class Unwritable(NitrogenError):
    """The tree cannot be written: not the fault of a video, so the whole run ends."""


@dataclass(frozen=True)
class Span:
    """Frames start..end (not included) of a segment that may be cut into chunks."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True)
class Written:
    """What came of a video: chunks, their rows, and rows that were left out on the way.

    Attributes:
        short: rows of tails that are shorter than a chunk may be.
        unsure: rows within segments whose labels are not good enough, chunks apart.
        held: rows within chunks whose labels are not good enough.
    """

    chunks: int = 0
    rows: int = 0
    short: int = 0
    unsure: int = 0
    held: int = 0


def shard_of(video_id: str) -> str:
    """The shard of a video, always the same: SHARD_0000 to SHARD_0099."""
    digest = hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).digest()
    return f"SHARD_{int.from_bytes(digest[:8], 'big') % SHARDS:04d}"


def write(
    labels: VideoLabels,
    video_id: str,
    root: Path,
    facts: remap.VideoFacts = NO_FACTS,
    table: remap.Remap = (),
) -> Written:
    """Writes the chunks of a video below root/actions, which nobody else may read yet.

    Args:
        table: what `actions_processed` makes of buttons.
    """
    check(labels)
    counts = {"chunks": 0, "rows": 0, "short": 0, "held": 0}
    for span in spans(labels):
        actions = to_actions(labels.states.take(slice(span.start, span.end)))
        good = labels.valid[span.start : span.end]
        confidence = np.where(good, labels.confidence[span.start : span.end].clip(0, 1), 0)
        clean = processed(actions, good, table)
        for start, end in cuts(labels.times[span.start : span.end], 1 / labels.rate):
            if end - start < _least(labels):
                counts["short"] += end - start
                continue
            part, at = slice(start, end), (span.start + start, span.start + end)
            meta = metadata(labels, span.segment, video_id, counts["chunks"], at, facts)
            try:
                label_tree.write_chunk(
                    root,
                    meta,
                    actions[part],
                    shard=shard_of(video_id),
                    processed=clean[part],
                    confidence=confidence[part],
                    more={"labeling": _about(span.segment, confidence[part], good[part])},
                )
            except OSError as error:
                raise Unwritable(f"cannot write labels in {root}: {error.strerror}") from None
            counts["chunks"] += 1
            counts["rows"] += end - start
            counts["held"] += int((~good[part]).sum())
    inside = sum(segment.end - segment.start for segment in labels.segments)
    return Written(**counts, unsure=inside - counts["rows"] - counts["short"])


def check(labels: VideoLabels) -> None:
    """Refuses labels that contradict themselves, before anything is written."""
    number = labels.frames
    for name, found in (
        ("times", len(labels.times)),
        ("states", labels.states.number),
        ("confidence", len(labels.confidence)),
        ("valid", len(labels.valid)),
    ):
        if found != number:
            raise NitrogenError(f"labels: {found} {name} for {number} frames")
    if not np.isfinite(labels.times).all() or (np.diff(labels.times) <= 0).any():
        raise NitrogenError("labels: the times of the frames do not increase")
    if not labels.rate > 0 or not np.isfinite(labels.confidence).all():
        raise NitrogenError("labels: the rate or the confidence is no sensible number")
    before = 0
    for segment in labels.segments:
        if not before <= segment.start < segment.end <= number:
            raise NitrogenError(
                f"labels: a segment of frames {segment.start} to {segment.end} after frame {before}"
                f" of {number}"
            )
        before = segment.end


def spans(labels: VideoLabels) -> Iterator[Span]:
    """The segments without their ends, and without long stretches, that are not good enough."""
    least = _least(labels)
    for segment in labels.segments:
        good = np.flatnonzero(labels.valid[segment.start : segment.end]) + segment.start
        if not len(good):
            continue
        breaks = np.flatnonzero(np.diff(good) > least) + 1
        for run in np.split(good, breaks):
            yield Span(segment, int(run[0]), int(run[-1]) + 1)


def cuts(times: np.ndarray, step: float) -> Iterator[tuple[int, int]]:
    """(start, end) of chunks of 20 seconds from the first of some frames on.

    Args:
        times: (N,) seconds.
        step: seconds from a frame to the next, on average.
    """
    edges = np.arange(times[0], times[-1] + step / 2, CHUNK_SECONDS)
    # NOTE: half a frame early, because times in files are rounded.
    at = [*np.searchsorted(times, edges - step / 2).tolist(), len(times)]
    yield from ((a, b) for a, b in itertools.pairwise(at) if b > a)


def to_actions(states: States) -> np.ndarray:
    """(N, 25) float32, buttons first."""
    sticks = (np.clip(stick, -1, 1) for stick in (states.left, states.right))
    return gamepad.pack(gamepad.Pad(states.buttons, *sticks))


def processed(actions: np.ndarray, good: np.ndarray, table: remap.Remap) -> np.ndarray:
    """Actions (N, 25) with the last good row in place of bad ones, and buttons renamed.

    Args:
        good: (N,) bool, the first of which is True.
    """
    held = actions[np.maximum.accumulate(np.where(good, np.arange(len(good)), 0))]
    buttons = gamepad.layout_slices().buttons
    held[:, buttons] = remap.apply(held[:, buttons] > 0.5, table)
    return held


def metadata(
    labels: VideoLabels,
    segment: Segment,
    video_id: str,
    number: int,
    frames: tuple[int, int],
    facts: remap.VideoFacts,
) -> ChunkMeta:
    """What metadata.json says of the chunk `number`, which has the frames start..end."""
    start, end = frames
    times = labels.times
    until = times[end] if end < labels.frames else times[-1] + 1 / labels.rate
    begin, until = round(float(times[start]), 6), round(float(until), 6)
    return ChunkMeta(
        uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"nitrogen_jax:{video_id}/{number}")),
        chunk_id=f"{number:04d}",
        chunk_size=end - start,
        game=facts.game,
        controller_type=segment.controller,
        overlay=clipped(segment.box, labels.size),
        game_area=None,
        video=OriginalVideo(
            video_id=video_id,
            resolution=labels.size,
            source=facts.source,
            url=facts.url,
            start_time=begin,
            end_time=until,
            duration=round(until - begin, 6),
            start_frame=start,
            end_frame=end,
        ),
    )


def clipped(box: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    """The part of a box (x, y, w, h) that is in a picture of (height, width)."""
    x, y, w, h = map(float, box)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + w, size[1]), min(y + h, size[0])
    if right <= left or bottom <= top:
        raise NitrogenError(
            f"the overlay's box {box} is outside of the frame of {size[1]} x {size[0]}"
        )
    return Box(left, top, right - left, bottom - top)


def _least(labels: VideoLabels) -> int:
    """Rows of the shortest chunk."""
    return max(round(SHORTEST_SECONDS * labels.rate), 1)


def _about(segment: Segment, confidence: np.ndarray, good: np.ndarray) -> dict[str, object]:
    """What the format has no field for."""
    return {
        "skin": segment.skin,
        "opacity": round(float(segment.opacity), 4),
        "score": round(float(segment.score), 4),
        "confidence": round(float(confidence.mean()), 4),
        "valid": round(float(good.mean()), 4),
    }
