"""The records of one video: its labels read, its frames decoded once and in order, both joined."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.data import activity, label_tree, mask, records, stored_frames, video
from nitrogen_jax.data.labels import ChunkActions, ChunkMeta, LabelError
from nitrogen_jax.errors import NitrogenError

# Seconds of actions after a record's last picture, so that its future is in the same record.
AHEAD = 2.0
# Times in files are rounded, mostly to milliseconds: within this many seconds they are even.
EVEN = 0.002
# Rates at which videos are made. A file at another one of them than its labels is another version.
STANDARD_RATES = (24, 25, 30, 48, 50, 60, 120, 144)


@dataclass(frozen=True)
class RecordOptions:
    """What records are like.

    Attributes:
        codec: "jpeg" (any picture can be read alone) or "h264" (a seventh of the size).
        frame_stride: every how many frames of a video there is a picture.
        record_seconds: length of a record; None: 2 for JPEG, of which a whole record is read for
            a few pictures, and 20, a whole chunk, for H.264.
        size: pixels a side.
        mask: what the controller overlay is painted over with.
        crop: leave out what is outside of the game's area, where the labels tell it.
        table: which table of actions is preferred, "processed" or "raw".
        fallback: take the other one where that is not there.
        keep_partial: keep what comes before the end of a video that ends early or is damaged.
    """

    codec: str = "jpeg"
    frame_stride: int = 4
    record_seconds: float | None = None
    size: int = 256
    mask: str = "black"
    crop: bool = False
    table: str = "processed"
    fallback: bool = True
    keep_partial: bool = False

    def check(self) -> RecordOptions:
        """Returns itself; raises one sentence where an option makes no sense."""
        choices = {"codec": stored_frames.CODECS, "mask": mask.FILLS}
        choices["table"] = ("processed", "raw")
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise NitrogenError(
                    f"records: {name} is {getattr(self, name)!r}, where one of "
                    f"{', '.join(known)} is needed"
                )
        if self.frame_stride < 1:
            raise NitrogenError(f"records: frame_stride is {self.frame_stride}: 1 is the least")
        if not 16 <= self.size <= 4096 or self.size % 2:
            raise NitrogenError(f"records: size is {self.size}: an even number from 16 is needed")
        if self.record_seconds is not None and not 0 < self.record_seconds <= 20:
            raise NitrogenError(
                f"records: record_seconds is {self.record_seconds}, where 0 < seconds <= 20"
            )
        return self

    def per_record(self, rate: float) -> int:
        """Pictures in a record of a video with this many frames per second."""
        seconds = self.record_seconds or (2.0 if self.codec == "jpeg" else 20.0)
        return max(round(seconds * rate / self.frame_stride), 1)


@dataclass(frozen=True)
class Task:
    """One video and where its labels are: folders of the label tree."""

    video_id: str
    file: str
    folders: tuple[str, ...]


@dataclass
class Report:
    """What became of one video. Plain data: it is written as JSON."""

    video_id: str
    status: str = "done"  # or: missing, unreadable, short, damaged, no_labels
    reason: str = ""
    chunks: int = 0
    records: int = 0
    rows: int = 0
    pictures: int = 0
    seconds: float = 0.0
    num_bytes: int = 0
    tables: dict[str, int] = field(default_factory=dict)  # "processed" or "raw" -> chunks
    dropped: list[dict[str, str]] = field(default_factory=list)  # chunks: where, cause, message
    warnings: list[dict[str, str]] = field(default_factory=list)

    def drop(self, where: str, cause: str, message: str) -> None:
        self.dropped.append({"where": where, "cause": cause, "message": message})

    def warn(self, where: str, cause: str, message: str) -> None:
        self.warnings.append({"where": where, "cause": cause, "message": message})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Unusable(Exception):
    """The whole video is left out."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True, eq=False)
class Labelled:
    """A chunk of labels."""

    where: str
    meta: ChunkMeta
    table: ChunkActions

    @property
    def start(self) -> int:
        return self.meta.video.start_frame

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + self.meta.chunk_size

    @property
    def chunk_id(self) -> str:
        return Path(self.where).name


def build_video(task: Task, options: RecordOptions, out: Path) -> Report:
    """Writes `out` (records) and `out` + ".parquet" (their activity); never half of them.

    What is wrong with the video or its labels is in the report; only a failure to write, such as
    a full disk, is raised.
    """
    report = Report(task.video_id)
    chunks = read_labels(task, options, report)
    done: list[activity.Activity] = []
    try:
        if not chunks:
            raise Unusable("no_labels", "none of its chunks of labels can be used")
        sizes = records.write_file(out, _records(task, chunks, options, report, done))
        report.records, report.num_bytes = len(sizes), sum(sizes)
        activity.write(activity_file(out), done)
    except Unusable as error:
        fresh = Report(task.video_id, error.status, error.reason)
        fresh.dropped, fresh.warnings = report.dropped, report.warnings
        return fresh
    return report


def activity_file(out: Path) -> Path:
    """Beside a video's records."""
    return out.with_name(out.name + ".parquet")


def read_labels(task: Task, options: RecordOptions, report: Report) -> list[Labelled]:
    """The video's chunks that can be used, by start frame; the others are reported."""
    found: dict[str, Labelled] = {}
    for raw in itertools.chain(*(label_tree.open_tree(f).scan() for f in task.folders)):
        where = raw.ref.where
        try:
            meta, table = label_tree.read_chunk(raw, options.table, options.fallback)
        except LabelError as error:
            report.drop(where, error.cause, str(error))
            continue
        if meta.video.video_id != task.video_id:
            continue  # it is in the task of its own video
        one = Labelled(where, meta, table)
        if one.chunk_id in found:
            first = found[one.chunk_id].where
            report.drop(where, "duplicate", f"{where} has the same chunk id as {first}")
            continue
        found[one.chunk_id] = one
    return sorted(found.values(), key=lambda one: (one.start, one.chunk_id))


# ---------------------------------------------------------------------------------------------
# Frames and labels joined


def _records(
    task: Task,
    chunks: list[Labelled],
    options: RecordOptions,
    report: Report,
    done: list[activity.Activity],
) -> Iterator[bytes]:
    """The records of a video's chunks, by their end."""
    where = Path(task.file)
    try:
        info = video.probe(where)
    except video.Damaged as error:
        raise Unusable("unreadable", f"video {where}: {error.reason}") from None
    waiting, open_chunks, index, ending = list(reversed(chunks)), [], -1, ""
    frames = video.frames(where, threads=1)
    try:
        for frame in frames:
            if frame.faults:  # a frame may be missing, and all labels after it late
                ending = "it is damaged there"
                break
            index = frame.index
            while waiting and waiting[-1].start <= index:
                open_chunks.append(_Open(waiting.pop(), options, info.rate))
            picture = None
            for one in open_chunks:
                if one.wants_picture:
                    picture = frame.picture() if picture is None else picture
                    one.picture(picture)
                one.times.append(frame.time)
            for one in [one for one in open_chunks if one.complete]:
                open_chunks.remove(one)
                yield from one.close(report, done)
            if not waiting and not open_chunks:
                break
    except video.Damaged as error:
        ending = error.reason
    finally:
        frames.close()
    left = [one.labelled for one in open_chunks] + waiting[::-1]
    if not left:
        if not done:
            raise Unusable("no_labels", "none of its chunks of labels fits it")
        return
    last = max(one.end for one in left)
    what = f"{ending}, after" if ending else "ends after"
    reason = f"video {where}: {what} {index + 1} frames, and its labels go on to frame {last}"
    if not (options.keep_partial and done):
        raise Unusable("damaged" if ending else "short", reason)
    for one in left:
        report.drop(one.where, "beyond_video", f"{one.where}: {reason}")


class _Open:
    """A chunk whose frames are being decoded."""

    def __init__(self, labelled: Labelled, options: RecordOptions, file_rate: float):
        self.labelled, self.options, self.file_rate = labelled, options, file_rate
        self.times: list[float] = []
        self.pending: list[np.ndarray] = []  # pictures of the record that is being filled
        self.pieces: list[tuple[tuple[bytes, ...], np.ndarray]] = []
        self.per_record = options.per_record(file_rate or labelled.meta.rate)
        self.box_in_picture = records.NOWHERE

    @property
    def wants_picture(self) -> bool:
        return len(self.times) % self.options.frame_stride == 0

    @property
    def complete(self) -> bool:
        return len(self.times) == self.labelled.meta.chunk_size

    def picture(self, picture: np.ndarray) -> None:
        """Takes the frame (H, W, 3) uint8 of the next row."""
        meta, options = self.labelled.meta, self.options
        box, shape = meta.overlay, picture.shape[:2]
        if box is not None and meta.video.resolution is not None:
            box = mask.scale_box(box, meta.video.resolution, shape)
        area = meta.game_area if options.crop else None
        self.box_in_picture = mask.box_in_frame(box, shape, area)
        self.pending.append(mask.training_frame(picture, options.size, box, options.mask, area))
        if len(self.pending) == self.per_record:
            self._encode()

    def _encode(self) -> None:
        if self.pending:
            self.pieces.append(stored_frames.encode(self.options.codec, self.pending))
            self.pending = []

    def close(self, report: Report, done: list[activity.Activity]) -> Iterator[bytes]:
        """The chunk's records; nothing where its labels are not of this video."""
        self._encode()
        meta, table, options = self.labelled.meta, self.labelled.table, self.options
        where, name = self.labelled.where, self.labelled.chunk_id
        times = np.array(self.times) - self.times[0]
        rate, even = row_rate(times, [self.file_rate, meta.rate])
        if not rates_agree(meta.rate, rate):
            message = f"{where}: labels of {meta.rate:.5g} rows/s, a video of {rate:.5g} frames/s"
            report.drop(where, "other_rate", f"{message}: it is another version of the video")
            return
        if abs(meta.rate / rate - 1) > 0.02:
            message = f"{where}: its times say {meta.rate:.5g} rows/s, the video has {rate:.5g}"
            report.warn(where, "rate_differs", message)
        rows, stride = len(times), options.frame_stride
        times = np.arange(rows) / rate if even else times
        game_area = tuple(meta.game_area) if options.crop and meta.game_area else records.WHOLE
        for number, (packets, keys) in enumerate(self.pieces):
            first = number * self.per_record * stride
            last = first + len(packets) * stride + max(round(AHEAD * rate), 1)
            part = slice(first, min(last, rows))
            yield records.to_bytes(
                records.Chunk(
                    video_id=meta.video.video_id,
                    chunk_id=name,
                    game=meta.game,
                    controller=meta.controller_type,
                    start_time=float(self.times[0] + times[first]),
                    start_frame=meta.video.start_frame + first,
                    first_row=first,
                    rate=rate,
                    frame_stride=stride,
                    codec=options.codec,
                    frames=packets,
                    key_frames=keys,
                    actions=table.actions[part],
                    times=(times[part] - times[first]).astype(np.float32),
                    confidence=table.confidence[part].astype(np.float32),
                    label_lag=meta.label_lag,
                    mask=options.mask,
                    mask_box=self.box_in_picture,
                    game_area=game_area,
                )
            )
        pictures = sum(len(packets) for packets, _ in self.pieces)
        sure = bool((table.confidence == 1).all())
        done.append(
            activity.Activity(
                video_id=meta.video.video_id,
                chunk_id=name,
                game=meta.game,
                controller=meta.controller_type,
                start_frame=meta.video.start_frame,
                records=len(self.pieces),
                pictures=pictures,
                per_record=self.per_record,
                frame_stride=stride,
                label_lag=meta.label_lag,
                rows=rows,
                start_time=float(self.times[0]),
                rate=rate,
                **activity.summary(table.actions),
                confidence=None if sure else table.confidence.astype(np.float32),
                times=None if even else times.astype(np.float32),
            )
        )
        report.chunks, report.rows = report.chunks + 1, report.rows + rows
        report.tables[table.kind] = report.tables.get(table.kind, 0) + 1
        report.pictures, report.seconds = report.pictures + pictures, report.seconds + rows / rate


def row_rate(times: np.ndarray, likely: Iterable[float]) -> tuple[float, bool]:
    """Rows per second, and whether the rows are evenly spaced at that rate.

    Args:
        times: (N,) seconds after the first.
        likely: rates that are taken, in this order, if they fit: means of rounded times are odd.
    """
    measured = (len(times) - 1) / times[-1] if len(times) > 1 and times[-1] > 0 else None
    for rate in (*likely, *([measured] if measured else [])):
        if rate > 0 and np.abs(times - np.arange(len(times)) / rate).max() <= EVEN:
            return float(np.float32(rate)), True
    return float(np.float32(measured or 30.0)), False


def rates_agree(labelled: float, found: float) -> bool:
    """False where both are rates at which videos are made, and not the same one."""
    kinds = [
        next((one for one in STANDARD_RATES if abs(rate / one - 1) < 0.015), None)
        for rate in (labelled, found)
    ]
    return None in kinds or kinds[0] == kinds[1]
