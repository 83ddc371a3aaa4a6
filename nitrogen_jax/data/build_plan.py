"""Which videos go into which file of records: decided once, kept, and only ever added to."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nitrogen_jax.data import label_tree, labels, splits, video
from nitrogen_jax.data.build_video import RecordOptions
from nitrogen_jax.data.label_fields import check_name
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path

# About half a gigabyte.
CHUNKS_PER_FILE = {"jpeg": 100, "h264": 800}


@dataclass(frozen=True)
class BuildOptions:
    """All that decides what a build makes.

    Attributes:
        records: what records are like.
        splits: how videos are divided.
        chunks_per_file: chunks of labels in one file of records, about; None: by codec.
    """

    records: RecordOptions = field(default_factory=RecordOptions)
    splits: splits.Splits = field(default_factory=lambda: splits.Splits({"val": 0.02}))
    chunks_per_file: int | None = None

    def as_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))


@dataclass
class Labelled:
    """What a label tree says of one video."""

    video_id: str
    games: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)  # of its chunks, one for each shard
    chunks: int = 0
    seconds: float = 0.0
    url: str = ""
    source: str = ""
    start: float = float("inf")  # seconds into the video, of the first and last chunk
    end: float = 0.0

    def add(self, meta: labels.ChunkMeta) -> None:
        """Counts a chunk."""
        self.games.add(meta.game)
        self.chunks += 1
        self.seconds += meta.seconds
        self.url, self.source = self.url or meta.video.url, self.source or meta.video.source
        begin = meta.video.start_time
        begin = meta.video.start_frame / meta.rate if begin is None else begin
        self.start, self.end = min(self.start, begin), max(self.end, begin + meta.seconds)


@dataclass
class Survey:
    """A label tree, video by video."""

    videos: dict[str, Labelled]
    unusable: list[dict[str, str]]  # chunks without usable metadata: where, cause, message


def survey(
    tree: label_tree.LabelTree,
    keep: Callable[[str], Path | None] | None = None,
    advance: Callable[[float], None] = lambda amount: None,
) -> Survey:
    """Reads all metadata of a label tree.

    Args:
        keep: says where to unpack the chunks of a video that lie in a tarball, None for nowhere;
            without it tables are not even read.
        advance: is told the progress, in the unit of `tree.size()`.
    """
    found: dict[str, Labelled] = {}
    unusable = []
    for raw in tree.scan(tables=keep is not None, advance=advance):
        try:
            meta = label_tree.read_metadata(raw)
        except labels.LabelError as error:
            problem = {"where": raw.ref.where, "cause": error.cause, "message": str(error)}
            unusable.append(problem)
            continue
        one = found.setdefault(meta.video.video_id, Labelled(meta.video.video_id))
        one.add(meta)
        folder = Path(raw.ref.where)
        if not folder.is_dir():
            root = keep(meta.video.video_id) if keep is not None else None
            folder = None if root is None else _unpack(raw, root)
        if folder is not None:
            one.folders.add(str(folder.parent))
    faults = [{"where": f.where, "cause": f.cause, "message": f.message} for f in tree.faults]
    return Survey(found, unusable + faults)


def _unpack(raw: label_tree.RawChunk, root: Path) -> Path:
    ref = raw.ref
    names = (ref.shard, ref.video_id, ref.name)
    folder = root.joinpath("actions", *(check_name(name, "folder") for name in names))
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            for name, read in raw.files.items():
                (temporary / name).write_bytes(read())
    return folder


def find_videos(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    """Video id -> its file `<video_id>.<ext>`, for those that are there."""
    if not folder.is_dir():
        raise NitrogenError(f"folder {folder} of videos does not exist")
    files = {p.name: p for p in folder.iterdir() if p.is_file()}
    found = {}
    for name in wanted:
        named = (files.get(name + suffix) for suffix in _suffixes())
        one = next(filter(None, named), None)
        if one is not None:
            found[name] = one
    return found


def _suffixes() -> tuple[str, ...]:
    return (*video.SUFFIXES, *map(str.upper, video.SUFFIXES))


# ---------------------------------------------------------------------------------------------
# Files of records


@dataclass(frozen=True)
class Shard:
    """One file of records: the videos in it, in order."""

    split: str
    number: int
    videos: tuple[str, ...]


def plan_shards(
    videos: Mapping[str, Labelled],
    split: Mapping[str, str],
    before: Iterable[Shard],
    chunks_per_file: int,
) -> list[Shard]:
    """The shards of an earlier plan, as they were, and new ones for the videos not in them.

    Args:
        videos: those that are to be built.
        split: of every video.
    """
    shards = list(before)
    planned = {name for shard in shards for name in shard.videos}
    fresh = sorted(videos.keys() - planned)
    for name in sorted({split[video_id] for video_id in fresh}):
        numbers = [shard.number for shard in shards if shard.split == name]
        mine = [
            (video_id, videos[video_id].chunks) for video_id in fresh if split[video_id] == name
        ]
        for group in _groups(mine, chunks_per_file):
            shards.append(Shard(name, max(numbers, default=-1) + 1, tuple(group)))
            numbers.append(shards[-1].number)
    return shards


def _groups(sizes: Iterable[tuple[str, int]], most: int) -> Iterator[list[str]]:
    """Consecutive names whose sizes sum to `most`, or a single one that is larger."""
    group, total = [], 0
    for name, size in sizes:
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def by_split(shards: Iterable[Shard]) -> dict[str, list[Shard]]:
    """Split -> its shards by number."""
    found = defaultdict(list)
    for shard in sorted(shards, key=lambda shard: (shard.split, shard.number)):
        found[shard.split].append(shard)
    return dict(found)
