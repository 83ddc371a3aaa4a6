"""Label trees written by hand: from dictionaries and lists, without the code that reads them."""

from __future__ import annotations

import copy
import io
import json
import random
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nitrogen_jax.data.label_tree import read_chunk

BUTTONS = (
    *("dpad_down", "dpad_left", "dpad_right", "dpad_up", "left_shoulder", "left_thumb"),
    *("left_trigger", "right_shoulder", "right_thumb", "right_trigger"),
    *("south", "west", "east", "north", "back", "start", "guide"),
)
METADATA, RAW, PROCESSED = "metadata.json", "actions_raw.parquet", "actions_processed.parquet"
GONE = object()  # the value of a field that is left out


def metadata(video: str = "vid", chunk: int = 0, rows: int = 8, **changes) -> dict:
    """What metadata.json holds; `changes` by field, those of original_video as `video__field`."""
    data = {
        "uuid": f"uuid-{video}-{chunk}",
        "chunk_id": f"{chunk:04d}",
        "chunk_size": rows,
        "game": "Some Game",
        "controller_type": "xboxone",
        "bbox_controller_overlay": [100, 500, 200, 100],
        "bbox_game_area": {"xtl": 0.0, "ytl": 0.125, "xbr": 1.0, "ybr": 0.875},
        "original_video": {
            "resolution": [720, 1280],
            "video_id": video,
            "source": "youtube",
            "url": f"https://example.org/{video}",
            "start_time": 0.5 * chunk,
            "end_time": 0.5 * (chunk + 1),
            "duration": 0.5,
            "start_frame": rows * chunk,
            "end_frame": rows * (chunk + 1),
        },
    }
    for name, value in changes.items():
        *inner, name = name.split("__")
        part = data["original_video"] if inner else data
        if value is GONE:
            del part[name]
        else:
            part[name] = value
    return data


def columns(rows: int = 8, seed: int = 0) -> dict[str, list]:
    """Columns of a table: bools, and pairs that float32 and the vector's [0, 1] hold exactly."""
    drawn = random.Random(seed)
    made: dict[str, list] = {name: [drawn.random() < 0.3 for _ in range(rows)] for name in BUTTONS}
    for name in ("j_left", "j_right"):
        made[name] = [[drawn.randint(-8, 8) / 8 for _ in "xy"] for _ in range(rows)]
    return made


def table(data: Mapping[str, list | pa.Array] | pa.Table, **options) -> bytes:
    """A table's bytes; `options` of pyarrow's writer."""
    sink = pa.BufferOutputStream()
    made = data if isinstance(data, pa.Table) else pa.table(dict(data))
    pq.write_table(made, sink, **options)
    return sink.getvalue().to_pybytes()


def files(
    video: str = "vid", chunk: int = 0, rows: int = 8, processed: bool = False, **changes
) -> dict[str, bytes]:
    """A sound chunk's files; `changes` as for `metadata`."""
    made = {
        METADATA: json.dumps(metadata(video, chunk, rows, **changes)).encode(),
        RAW: table(columns(rows, seed=chunk)),
    }
    if processed:
        made[PROCESSED] = table(columns(rows, seed=1000 + chunk))
    return made


def write(
    root: Path,
    content: Mapping[str, bytes],
    video: str = "vid",
    chunk: int = 0,
    shard: str = "SHARD_0000",
    name: str | None = None,
) -> Path:
    """Writes a chunk's folder."""
    folder = root / "actions" / shard / video / (name or f"{video}_chunk_{chunk:04d}")
    folder.mkdir(parents=True)
    for file, data in content.items():
        (folder / file).write_bytes(data)
    return folder


def sound_tree(root: Path, shards: int = 2, videos: int = 2, chunks: int = 3) -> Path:
    """A tree without a violation; every second chunk has a processed table."""
    for shard in range(shards):
        for video in range(videos):
            name = f"video-{shard}{video}"
            for chunk in range(chunks):
                content = files(name, chunk, rows=30, processed=chunk % 2 == 1)
                write(root, content, name, chunk, f"SHARD_{shard:04d}")
    return root


def members(root: Path) -> list[tuple[str, bytes]]:
    """The files of a tree as members of a tarball, sorted."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [(path.relative_to(root).as_posix(), path.read_bytes()) for path in found]


def tarball(path: Path, content: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    """Writes a tarball, packed if its name ends in "gz"."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, data in content:
            info = copy.copy(name) if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def found(tree, **arguments):
    return [raw.ref.name for raw in tree.scan(**arguments)]


def content(tree):
    """Everything that can be read of a tree, by chunk."""
    read = {}
    for raw in tree.scan():
        meta, actions = read_chunk(raw)
        key = (raw.ref.shard, raw.ref.video_id, raw.ref.name)
        assert key not in read
        read[key] = (meta, actions.kind, actions.actions.tobytes(), actions.confidence.tobytes())
    return read


def causes(tree):
    return [fault.cause for fault in tree.faults]
