"""Corrections into a label tree: first everything is checked, then the tables are replaced.

Beside `actions/`, where no reader of a tree looks, the folder of a chunk that was corrected keeps
its tables as they were before the first correction, and a log of all corrections:

    corrections/SHARD_xxxx/<video>/<chunk>/{actions_raw.parquet, ..., log.json}

The log is written before the tables: where it was stopped in between, the same call goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nitrogen_jax.data import labels
from nitrogen_jax.data.label_fields import check_name, shown
from nitrogen_jax.data.label_tree import RawChunk, open_tree, read_metadata
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling import review_chunks, review_corrections, review_merge
from nitrogen_jax.labeling.remap import Remap
from nitrogen_jax.labeling.review_chunks import sha256
from nitrogen_jax.labeling.review_corrections import Corrections

FOLDER, LOG = "corrections", "log.json"


@dataclass(frozen=True, eq=False)
class Change:
    """What becomes of one chunk.

    Attributes:
        where: the chunk's folder.
        kept: the folder of its originals and its log.
        before: name of a table -> its bytes, of those that change.
        after: the same, changed.
        cells: name of a table -> column -> rows that change.
        entry: what the log gets, None where it is there already.
        applied: there is nothing to do: these corrections are in the chunk already.
    """

    where: Path
    kept: Path
    before: Mapping[str, bytes] = field(default_factory=dict)
    after: Mapping[str, bytes] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    entry: Mapping[str, Any] | None = None
    applied: bool = False


def tree_root(path: Path) -> Path:
    """The folder that holds `actions/`, of a tree that can be written to."""
    if (path / "actions").is_dir():
        return path
    if path.is_dir() and path.resolve().name == "actions":
        return path.resolve().parent
    raise NitrogenError(
        f"{shown(path)} cannot be corrected, where the folder that holds actions/ is needed"
    )


def plan(
    root: Path,
    files: Sequence[tuple[str, Corrections]],
    remap: Mapping[str, Remap] = {},
    raw_only: bool = False,
) -> list[Change]:
    """What each of the corrections would change; nothing is written.

    Args:
        files: (what messages call them, the corrections).
        remap: game -> pairs of buttons by which actions_processed was made of actions_raw.
        raw_only: leave actions_processed as it is.
    """
    seen: dict[tuple[str, str], str] = {}
    for where, one in files:
        key = (one.video_id, one.chunk_id)
        if key in seen:
            raise NitrogenError(
                f"{seen[key]} and {where} correct the same chunk: review what the one makes, then "
                "apply the other"
            )
        seen[key] = where
    tree = open_tree(root)
    raws: dict[str, list[RawChunk]] = {}
    for raw in tree.scan(videos={one.video_id for _, one in files}):
        raws.setdefault(raw.ref.video_id, []).append(raw)
    return [
        _plan_one(root, where, one, raws.get(one.video_id, []), remap, raw_only)
        for where, one in files
    ]


def carry_out(changes: Iterable[Change]) -> None:
    """Writes what was planned: originals that are not kept yet, the log, the tables."""
    for change in changes:
        if not change.after:
            continue
        change.kept.mkdir(parents=True, exist_ok=True)
        for name, data in change.before.items():
            if not (change.kept / name).exists():
                _write(change.kept / name, data)
        if change.entry is not None:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            log = [*_read_log(change.kept / LOG), {"applied": now, **change.entry}]
            _write(change.kept / LOG, json.dumps(log, indent=1).encode())
        # The table that was reviewed comes last: as long as it is the old one, work is left.
        for name, data in change.after.items():
            _write(change.where / name, data)


# ---------------------------------------------------------------------------------------------
# One chunk


def _plan_one(
    root: Path,
    where: str,
    wanted: Corrections,
    raws: list[RawChunk],
    remap: Mapping[str, Remap],
    raw_only: bool,
) -> Change:
    raw = _find(root, where, wanted, raws)
    folder, rows = Path(raw.ref.where), read_metadata(raw).chunk_size
    names = (raw.ref.shard, raw.ref.video_id, raw.ref.name)
    kept = root.joinpath(FOLDER, *(check_name(name, "folder") for name in names))
    tables = {name: raw.files[name]() for name in labels.TABLES.values() if name in raw.files}
    for name, data in tables.items():
        labels.parse_actions(data, rows, f"{raw.ref.where}/{name}")
    hashes = {name: sha256(data) for name, data in tables.items()}
    log = _read_log(kept / LOG)
    seen = labels.TABLES[review_chunks.seen_table(raw)]
    earlier = next(
        (entry for entry in reversed(log) if entry["corrections"] == wanted.digest), None
    )
    if earlier is not None and _is_in(earlier, log, hashes, seen):
        return Change(folder, kept, applied=True)
    if hashes[seen] != wanted.table:
        raise NitrogenError(
            f"{where} corrects another table than {raw.ref.where}/{seen}, which has changed since "
            "the review: make the page anew"
        )
    begun = earlier if log and earlier is log[-1] else None
    wanted_cells = review_merge.cells(wanted.edits, rows, where)
    merged = {seen: review_merge.merge(tables[seen], wanted_cells, f"{raw.ref.where}/{seen}")}
    for name in tables.keys() - {seen}:
        written = begun is not None and hashes[name] == begun["tables"].get(name, {}).get("after")
        if not raw_only and not written:
            merged = _other(raw, tables, wanted_cells, merged[seen], remap) | merged
    for name, one in merged.items():
        labels.parse_actions(one.data, rows, f"{raw.ref.where}/{name}")
    changed = {name: one for name, one in merged.items() if one.changed}
    entry = {
        "corrections": wanted.digest,
        "edits": [review_corrections.edit_to_json(edit) for edit in wanted.edits],
        "tables": {
            name: {"before": sha256(tables[name]), "after": sha256(one.data)}
            for name, one in merged.items()
        },
    }
    return Change(
        where=folder,
        kept=kept,
        before={name: tables[name] for name in changed},
        after={name: one.data for name, one in changed.items()},
        cells={name: one.changed for name, one in changed.items()},
        entry=None if begun else entry,
        applied=not changed,
    )


def _find(root: Path, where: str, wanted: Corrections, raws: list[RawChunk]) -> RawChunk:
    """The chunk that the corrections are of, among those of its video."""
    found = [raw for raw in raws if raw.ref.name == wanted.chunk_id]
    if not found:
        raise NitrogenError(
            f"{where} corrects chunk {shown(wanted.chunk_id)} of video {shown(wanted.video_id)}, "
            f"which {shown(root)} does not hold"
        )
    if len(found) > 1:
        raise NitrogenError(
            f"{where} corrects chunk {shown(wanted.chunk_id)}, which is in {shown(root)} twice"
        )
    raw = found[0]
    if not Path(raw.ref.where).is_dir():
        raise NitrogenError(f"{where} corrects {raw.ref.where}, which is in a tarball: unpack it")
    if review_chunks.fingerprint(raws) != wanted.tree:
        raise NitrogenError(
            f"{where} was made of another label tree: the chunks of video "
            f"{shown(wanted.video_id)} in {shown(root)} are others"
        )
    return raw


def _other(
    raw: RawChunk,
    tables: Mapping[str, bytes],
    wanted: review_merge.Cells,
    seen: review_merge.Merged,
    remap: Mapping[str, Remap],
) -> dict[str, review_merge.Merged]:
    """actions_processed after the corrections of actions_raw."""
    raw_name, name = labels.TABLES["raw"], labels.TABLES["processed"]
    path, meta = f"{raw.ref.where}/{name}", read_metadata(raw)
    before, after, other = (
        review_merge.read(data, path) for data in (tables[raw_name], seen.data, tables[name])
    )
    followed = review_merge.follow(before, after, other, wanted, remap.get(meta.game, ()))
    if followed is None:
        raise NitrogenError(
            f"{path} is not what {raw_name} and the remap table of game {shown(meta.game)!r:.80} "
            "give: name the table with --remap, or leave it as it is with --raw-only"
        )
    return {name: review_merge.merge(tables[name], followed, path)}


def _is_in(
    entry: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    hashes: Mapping[str, str],
    seen: str,
) -> bool:
    """Whether corrections of the log are in the chunk, wholly, perhaps with later ones on top."""
    if entry is not log[-1]:
        return hashes[seen] == log[-1]["tables"].get(seen, {}).get("after")
    return all(hashes.get(name) == one["after"] for name, one in entry["tables"].items())


# ---------------------------------------------------------------------------------------------
# Files


def _read_log(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        log = json.loads(path.read_bytes())
        for entry in log:
            good = isinstance(entry["corrections"], str) and all(
                isinstance(one[when], str)
                for one in entry["tables"].values()
                for when in ("before", "after")
            )
            if not good:
                raise TypeError
        return list(log)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NitrogenError(
            f"{shown(path)} is not the log of corrections that was written there: move it away"
        ) from None


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
