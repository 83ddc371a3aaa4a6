"""The loader's samples per second, beside the plain decoding of the same pictures."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, pairwise
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.data import records, stored_frames
from nitrogen_jax.data.catalogue import Catalogue
from nitrogen_jax.data.loader import Loader, LoaderConfig

PICTURES = 256  # that plain decoding goes round and round


@dataclass(frozen=True)
class Rate:
    """One way of reading."""

    way: str
    per_second: float  # pictures or samples, the median of the turns
    slowest: float
    fastest: float


@dataclass(frozen=True)
class Mixing:
    """How well batches are mixed, over some of them."""

    batches: int
    batch: int
    chunks: float  # different chunks in a batch, on average
    largest_video: float  # share of a batch that is from one video, the largest of all batches
    mean_video: float  # ... the largest of each batch, on average
    videos: int  # in the data
    ideal: float  # mean_video if samples were drawn independently


def measure(
    config: LoaderConfig,
    workers: list[int],
    seconds: float,
    turns: int,
    advance: Callable[[float], None] = lambda amount: None,
) -> list[Rate]:
    """All ways in turn, `turns` times.

    Args:
        config: one data set is decoded plainly, the first.
        seconds: of each way at each turn, after its start.
        advance: is told each way of each turn.
    """
    cv2.setNumThreads(1)  # plain decoding and workers use one core each
    dataset = config.datasets[0]
    with contextlib.ExitStack() as stack:
        loaders = {
            f"loader, {count} worker{'s' * (count != 1)}": stack.enter_context(
                Loader(replace(config, epochs=None), workers=count)
            )
            for count in dict.fromkeys(workers)
        }
        chunks, jpegs = _pictures(dataset.folder, dataset.split)
        ways: dict[str, Iterator[int]] = {"cv2.imdecode, one core": _plain(jpegs)}
        if chunks[0].codec == "h264":
            ways["H.264 in order, one core"] = _in_order(chunks)
        ways |= {way: _load(loader) for way, loader in loaders.items()}
        found: dict[str, list[float]] = {way: [] for way in ways}
        for way in ways.values():  # starts processes and opens files
            for _ in range(3):
                next(way)
        for _ in range(turns):
            for name, way in ways.items():
                found[name].append(_rate(way, seconds))
                advance(1)
    return [
        Rate(name, float(np.median(rates)), min(rates), max(rates)) for name, rates in found.items()
    ]


def mixing(config: LoaderConfig, batches: int) -> Mixing:
    """What is in batches one after the other; no picture is decoded for it."""
    catalogue = Catalogue(replace(config, epochs=None).check())
    names = [index.table["video_id"].to_pylist() for index in catalogue.indices]
    chunks, shares = [], []
    runs: dict[int, tuple] = {}
    for batch in range(batches):
        inside, videos = set(), Counter()
        for index in range(batch * config.batch, (batch + 1) * config.batch):
            place = catalogue.order.place(index)
            if place.run not in runs:
                runs = {number: run for number, run in runs.items() if number >= place.run - 4096}
                group, run = catalogue.order.get(place.run)
                runs[place.run] = catalogue.chunks[group][run.chunks].tolist()
            dataset, chunk = runs[place.run][place.at]
            inside.add((dataset, chunk))
            videos[dataset, names[dataset][chunk]] += 1
        chunks.append(len(inside))
        shares.append(max(videos.values()) / config.batch)
    sizes = Counter()
    for dataset, index in enumerate(catalogue.indices):
        counts = np.diff(index.offsets).tolist()
        for name, count in zip(names[dataset], counts, strict=True):
            sizes[dataset, name] += count
    parts = np.array(list(sizes.values()), float)
    draws = np.random.default_rng(0).multinomial(config.batch, parts / parts.sum(), 200)
    return Mixing(
        batches=batches,
        batch=config.batch,
        chunks=float(np.mean(chunks)),
        largest_video=max(shares),
        mean_video=float(np.mean(shares)),
        videos=len(sizes),
        ideal=float((draws.max(1) / config.batch).mean()),
    )


def _rate(way: Iterator[int], seconds: float) -> float:
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds / 5:
        next(way)  # what was made ready while the others had their turn
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        done += next(way)
    return done / (time.perf_counter() - begin)


def _pictures(folder: str | Path, split: str) -> tuple[list[records.Chunk], list[bytes]]:
    """Some records, and some of their pictures as JPEG."""
    chunks, jpegs = [], []
    for chunk in islice(records.read_records(folder, split), 64):
        chunks.append(chunk)
        if chunk.codec == "jpeg":
            jpegs += chunk.frames
        else:
            pictures = chunk.pictures(range(len(chunk.frames)))
            jpegs += stored_frames.encode("jpeg", [pictures[at] for at in sorted(pictures)])[0]
        if len(jpegs) >= PICTURES:
            break
    return chunks, jpegs[:PICTURES]


def _plain(jpegs: list[bytes]) -> Iterator[int]:
    for data in cycle(jpegs):
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        yield 1


def _in_order(chunks: list[records.Chunk]) -> Iterator[int]:
    for chunk in cycle(chunks):
        keys = [*chunk.key_frames.tolist(), len(chunk.frames)]
        for first, last in pairwise(keys):
            chunk.pictures(range(first, last))
            yield last - first


def _load(loader: Loader) -> Iterator[int]:
    for batch in loader:
        yield len(batch["valid"])
