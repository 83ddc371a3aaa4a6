"""What a label tree holds, in numbers that can be added up: over chunks, shards and processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data.label_fields import LabelError
from nitrogen_jax.data.label_tables import TABLES, ChunkActions, Kind
from nitrogen_jax.data.label_tree import LabelTree, RawChunk, read_chunk
from nitrogen_jax.data.labels import ChunkMeta
from nitrogen_jax.errors import NitrogenError

BINS = 41  # of a stick's axis from -1 to 1; odd, so that rest is the middle of one
BATCH = 256  # chunks that are added up at once
# A hostile tree names a new game in each chunk: what comes after these is counted as one.
MAX_KEYS, MORE = 10_000, "(more)"
MAX_TEXT = 100


class GameSum(NamedTuple):
    """Of one game."""

    chunks: int
    seconds: float
    rows: int
    idle: int  # rows


def _zeros(*shape: int) -> Callable[[], np.ndarray]:
    return partial(np.zeros, shape, np.int64)


@dataclass(frozen=True, eq=False)
class LabelSummary:
    """Sums over chunks; nothing in it grows with their number.

    Attributes:
        chunks: those that were read; the numbers below are theirs.
        idle: rows in which nothing is done, see `gamepad.is_idle`.
        left_active: rows in which the left stick is beyond the dead zone.
        games: name -> its sums.
        buttons: (21,) rows in which each button is pressed.
        left: (BINS, BINS) rows by [y, x] of the left stick; y points down.
        rates: Hz, rounded to tenths -> chunks.
        resolutions: "width x height" -> chunks.
        overlay_shares: (101,) chunks by the whole per cent of the frame that the overlay covers.
        unplaced: chunks with an overlay and without a resolution.
        with_processed: chunks that have the processed table.
        broken: cause -> chunks that could not be read.
        examples: cause -> the sentence about the first of those.
        faults: cause -> files and members that are no part of a chunk.
    """

    chunks: int = 0
    rows: int = 0
    seconds: float = 0.0
    idle: int = 0
    left_active: int = 0
    right_active: int = 0
    games: Mapping[str, GameSum] = field(default_factory=dict)
    buttons: np.ndarray = field(default_factory=_zeros(gamepad.NUM_BUTTONS))
    left: np.ndarray = field(default_factory=_zeros(BINS, BINS))
    right: np.ndarray = field(default_factory=_zeros(BINS, BINS))
    rates: Mapping[float, int] = field(default_factory=dict)
    controllers: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    resolutions: Mapping[str, int] = field(default_factory=dict)
    overlay_shares: np.ndarray = field(default_factory=_zeros(101))
    no_overlay: int = 0
    unplaced: int = 0
    with_game_area: int = 0
    with_processed: int = 0
    broken: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def found(self) -> int:
        """All chunks, readable or not."""
        return self.chunks + sum(self.broken.values())


def merge(summaries: Iterable[LabelSummary]) -> LabelSummary:
    """The summary of all their chunks; of examples, the first of each cause is kept."""
    parts = list(summaries)
    merged: dict[str, Any] = {}
    for one in fields(LabelSummary):
        values = [getattr(part, one.name) for part in parts]
        if not values:
            continue
        if one.name == "examples":
            merged[one.name] = {k: v for value in reversed(values) for k, v in value.items()}
        elif isinstance(values[0], Mapping):
            merged[one.name] = _add_mappings(values)
        else:
            merged[one.name] = sum(values[1:], start=values[0])
    return LabelSummary(**merged)


def _add_mappings(mappings: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    total: dict[Any, Any] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            if key not in total and len(total) >= MAX_KEYS:
                key = MORE
            if key not in total:
                total[key] = value
            elif isinstance(value, GameSum):
                total[key] = GameSum(*(a + b for a, b in zip(total[key], value, strict=True)))
            else:
                total[key] += value
    return total


# ---------------------------------------------------------------------------------------------
# Of chunks


def of_chunk(meta: ChunkMeta, read: ChunkActions, has_processed: bool) -> LabelSummary:
    """The summary of one chunk."""
    pad = gamepad.decode(read.actions)
    idle = int(gamepad.is_idle(pad).sum())
    shares, unplaced = np.zeros(101, np.int64), 0
    if meta.overlay is not None and meta.video.resolution is not None:
        height, width = meta.video.resolution
        shares[min(int(100 * meta.overlay.w * meta.overlay.h / (height * width)), 100)] = 1
    elif meta.overlay is not None:
        unplaced = 1
    size = meta.video.resolution
    return LabelSummary(
        chunks=1,
        rows=meta.chunk_size,
        seconds=meta.seconds,
        idle=idle,
        left_active=int((gamepad.deflection(pad.left) > gamepad.DEAD_ZONE).sum()),
        right_active=int((gamepad.deflection(pad.right) > gamepad.DEAD_ZONE).sum()),
        games={_key(meta.game): GameSum(1, meta.seconds, meta.chunk_size, idle)},
        buttons=pad.pressed.sum(0),
        left=_positions(pad.left),
        right=_positions(pad.right),
        rates={round(meta.rate, 1): 1},
        controllers={_key(meta.controller_type): 1},
        sources={_key(meta.video.source): 1},
        resolutions={"not known" if size is None else f"{size[1]} x {size[0]}": 1},
        overlay_shares=shares,
        no_overlay=int(meta.overlay is None),
        unplaced=unplaced,
        with_game_area=int(meta.game_area is not None),
        with_processed=int(has_processed),
    )


def _key(text: str) -> str:
    return text[:MAX_TEXT] or "not named"


def _positions(stick: np.ndarray) -> np.ndarray:
    """Positions (N, 2) in [-1, 1] counted: (BINS, BINS) by [y, x]."""
    x, y = np.rint((stick.T + 1) / 2 * (BINS - 1)).astype(np.int64)
    return np.bincount(y * BINS + x, minlength=BINS * BINS).reshape(BINS, BINS)


def _of_raw(raw: RawChunk, prefer: Kind) -> LabelSummary:
    try:
        return of_chunk(*read_chunk(raw, prefer), TABLES["processed"] in raw.files)
    except LabelError as error:
        return LabelSummary(broken={error.cause: 1}, examples={error.cause: str(error)})


# ---------------------------------------------------------------------------------------------
# Of trees


def summarize(
    tree: LabelTree,
    prefer: Kind = "processed",
    advance: Callable[[float], None] = lambda amount: None,
) -> LabelSummary:
    """The summary of a tree, in one pass.

    Args:
        prefer: which table to count, where a chunk has both.
        advance: is told the progress, in the unit of `tree.size_unit`.
    """
    total, batch = LabelSummary(), []
    for raw in tree.scan(advance=advance):
        batch.append(_of_raw(raw, prefer))
        if len(batch) == BATCH:
            total, batch = merge([total, *batch]), []
    faults = Counter(fault.cause for fault in tree.faults)
    return merge([total, *batch, LabelSummary(faults=dict(faults))])


def summarize_parallel(
    tree: LabelTree,
    workers: int,
    prefer: Kind = "processed",
    advance: Callable[[float], None] = lambda amount: None,
) -> LabelSummary:
    """The same with several processes, each of which reads whole shards.

    Args:
        advance: is told 1 for each of `tree.parts()`.
    """
    parts = tree.parts()
    # NOTE: not "fork": the caller may have threads, of Arrow or JAX.
    with ProcessPoolExecutor(min(workers, len(parts)), get_context("spawn")) as pool:
        waiting = [pool.submit(summarize, part, prefer) for part in parts]
        try:
            for done in as_completed(waiting):
                done.result()
                advance(1)
        except BrokenProcessPool:
            raise NitrogenError(
                f"one of {workers} processes that read labels was killed, perhaps for want of "
                "memory: fewer of them may do"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C shall not wait for the rest
        return merge(done.result() for done in waiting)


def to_json(summary: LabelSummary) -> dict[str, Any]:
    """The summary as JSON data, with names of buttons; mappings are sorted, most first."""
    data: dict[str, Any] = {}
    for one in fields(LabelSummary):
        value = getattr(summary, one.name)
        if one.name == "games":
            ordered = sorted(value.items(), key=lambda item: (-item[1].seconds, item[0]))
            value = {name: game._asdict() for name, game in ordered}
        elif isinstance(value, Mapping) and one.name != "examples":
            value = {str(k): n for k, n in most(value)}
        elif one.name == "buttons":
            value = dict(zip(gamepad.BUTTONS, value.tolist(), strict=True))
        elif isinstance(value, np.ndarray):
            value = value.tolist()
        data[one.name] = value
    return data


def most(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    """Keys and counts, the largest count first."""
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
