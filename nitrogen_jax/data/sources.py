"""Examples for a policy out of pictures, videos, and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import images as pictures
from nitrogen_jax.data.example import Example, PartlyRead, Problem, Source, following
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig


@dataclass(frozen=True)
class Context:
    """Which frames an example is made of. Spacings in frames of the source."""

    size: int  # pixels a side
    back: tuple[int, ...]  # how far each context frame lies before the newest, oldest first
    every: int  # from one example to the next
    shift: int  # from the newest frame to the first action
    horizon: int

    @classmethod
    def of(cls, cfg: PolicyConfig, every: int | None = None) -> Context:
        """The context that the policy is made for; an example every chunk if not said."""
        every = cfg.horizon if every is None else every
        if every < 1:
            raise NitrogenError(f"every is {every}, where at least 1 frame is needed")
        back = tuple(cfg.frame_spacing * k for k in reversed(range(cfg.frames)))
        return cls(cfg.vision.image_size, back, every, cfg.action_shift, cfg.horizon)

    def gather(self, found: Iterable[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
        """Context frames, None where missing -> (F, S, S, 3) uint8 and dropped (F,)."""
        found = list(found)
        blank = np.zeros((self.size, self.size, 3), np.uint8)
        dropped = np.array([frame is None for frame in found])
        return np.stack([blank if frame is None else frame for frame in found]), dropped


# ---------------------------------------------------------------------------------------------
# Pictures


def images(paths: Iterable[str | Path], cfg: PolicyConfig) -> Source:
    """One example for each picture; older context frames are missing."""
    found, context = pictures.find(paths), Context.of(cfg)

    def read(item: int, first: int) -> Iterator[Example]:
        if first == 0:
            newest = pictures.to_frame(pictures.read(found[item]), context.size)
            frames, dropped = context.gather([None] * (len(context.back) - 1) + [newest])
            yield Example(str(found[item]), 0, 0.0, frames, dropped)

    names = tuple(map(str, found))
    return Source(names, read, {"pictures": _state(found)}, total=len(found))


# ---------------------------------------------------------------------------------------------
# Videos


def videos(
    folder: str | Path,
    cfg: PolicyConfig,
    every: int | None = None,
    labels: str | Path | None = None,
) -> Source:
    """Every `every`-th frame of each video of a folder.

    Args:
        labels: folder with one label table `<video's stem>.parquet` for each video that has one,
            a row for each frame.
    """
    from nitrogen_jax.data import video

    found, context = video.find(Path(folder)), Context.of(cfg, every)
    tables = {} if labels is None else _find_labels(Path(labels), found)

    def read(item: int, first: int) -> Iterator[Example]:
        path = found[item]
        actions = read_labels(tables[path]) if path in tables else None
        return _read_video(path, context, actions, first)

    identity = {
        "videos": _state(found, names_only=True),
        "every": context.every,
        "labels": None if labels is None else _state(tables.values(), names_only=True),
    }
    total = sum(-(-video.count(path) // context.every) for path in found)
    return Source(tuple(path.name for path in found), read, identity, total)


def read_labels(path: Path) -> np.ndarray:
    """A label table as (N, 25) float32, buttons_first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise NitrogenError(f"label table {path} cannot be read: {reason}") from None
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return gamepad.columns_to_vector(columns, where=f"label table {path}")


def _find_labels(folder: Path, found: list[Path]) -> dict[Path, Path]:
    if not folder.is_dir():
        raise NitrogenError(f"folder {folder} of label tables does not exist")
    tables = {path: folder / f"{path.stem}.parquet" for path in found}
    tables = {path: table for path, table in tables.items() if table.is_file()}
    if not tables:
        raise NitrogenError(
            f"folder {folder} has a label table for none of the videos: {found[0].stem}.parquet, "
            "for one, is not there"
        )
    return tables


def _read_video(
    path: Path, context: Context, actions: np.ndarray | None, first: int
) -> Iterator[Example]:
    from nitrogen_jax.data import video

    begin, every = first * context.every, context.every

    def needed(index: int) -> bool:
        newest = (index + back for back in context.back)
        return any(frame >= begin and frame % every == 0 for frame in newest)

    kept: dict[int, np.ndarray] = {}  # frames by index, as long as some context may need them
    try:
        for index, time, picture in video.decode(path, needed):
            kept[index] = pictures.to_frame(picture, context.size)
            if index >= begin and index % every == 0:
                frames, dropped = context.gather(kept.get(index - b) for b in context.back)
                true, valid = None, None
                if actions is not None:
                    true, valid = following(actions, index, context.shift, context.horizon)
                yield Example(path.name, index, time, frames, dropped, true, valid)
            kept = {i: frame for i, frame in kept.items() if i > index - max(context.back)}
    except video.Damaged as error:
        raise PartlyRead(Problem(path.name, error.frames, error.reason)) from None


# ---------------------------------------------------------------------------------------------
# Records


def records(
    folder: str | Path, cfg: PolicyConfig, every: int | None = None, split: str | None = None
) -> Source:
    """Pictures of each record that lie `every` frames apart, or the next multiple of its stride.

    An example's source is the record's video, its frame and time are counted from the beginning
    of that video.

    Args:
        split: one split, or a part such as "val[:100]"; None for all.
    """
    from nitrogen_jax.data import records as stored

    folder, context = Path(folder), Context.of(cfg, every)
    known = stored.splits(folder)
    names = [name for name, count in known.items() if count] if split is None else [split]
    parts = [(name, stored.read_records(folder, name)) for name in names]
    items = [(name, part, index) for name, part in parts for index in range(len(part))]
    if not items:
        raise NitrogenError(f"records {folder} hold no record in any of their splits")

    def read(item: int, first: int) -> Iterator[Example]:
        name, part, index = items[item]
        try:
            chunk = part[index]
        except NitrogenError as error:
            raise PartlyRead(Problem(f"{name}[{index}]", 0, str(error))) from None
        return _read_record(chunk, f"{name}[{index}]", context, first)

    identity = {
        # NOTE: files alone: an index that is made anew, in its folder, changes nothing.
        "records": _state(sorted(filter(Path.is_file, folder.iterdir())), names_only=True),
        "split": split,
        "every": context.every,
    }
    try:  # records are mostly equally long
        total = len(items) * len(_newest(parts[0][1][0], context))
    except NitrogenError:
        total = None
    return Source(tuple(f"{name}[{i}]" for name, _, i in items), read, identity, total)


def _newest(chunk, context: Context) -> range:
    """The pictures of a record that are an example's newest frame."""
    return range(0, len(chunk.frames), -(-context.every // chunk.frame_stride))


def _read_record(chunk, name: str, context: Context, first: int) -> Iterator[Example]:
    from nitrogen_jax.data.stored_frames import Undecodable

    kept: dict[int, np.ndarray] = {}
    for newest in _newest(chunk, context)[first:]:
        frame = newest * chunk.frame_stride
        # A context frame between two stored pictures is the one before.
        wanted = [(frame - back) // chunk.frame_stride for back in context.back]
        try:
            fresh = chunk.pictures([at for at in wanted if at >= 0 and at not in kept])
        except Undecodable as error:
            raise PartlyRead(Problem(name, newest, str(error))) from None
        kept |= {at: pictures.to_frame(one, context.size) for at, one in fresh.items()}
        kept = {at: kept[at] for at in wanted if at >= 0}
        yield Example(
            chunk.video_id,
            chunk.start_frame + frame,
            chunk.start_time + float(chunk.times[frame]),
            *context.gather(kept.get(at) for at in wanted),
            *following(chunk.actions, frame + chunk.label_lag, context.shift, context.horizon),
        )


def _state(paths: Iterable[Path], names_only: bool = False) -> list:
    """Name, size and time of change of each file: what tells whether it is still the same."""
    found = [(path, path.stat()) for path in paths]
    return [
        [path.name if names_only else str(path), stat.st_size, stat.st_mtime_ns]
        for path, stat in found
    ]
