"""One video: where is the overlay, which skin is it, and what does it show in every frame."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.labeling import agree, blocks, segments
from nitrogen_jax.labeling.assemble import assembled
from nitrogen_jax.labeling.discover.discover import discover
from nitrogen_jax.labeling.discover.read_made import MadePart, MadeReader
from nitrogen_jax.labeling.fit import siblings
from nitrogen_jax.labeling.fit.model import build
from nitrogen_jax.labeling.fit.read import read
from nitrogen_jax.labeling.fit.settle import settle
from nitrogen_jax.labeling.locate.locate import Found, locate
from nitrogen_jax.labeling.locate.templates import Templates, prepare
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.planes import aligned
from nitrogen_jax.labeling.result import Segment, VideoFailure, VideoLabels
from nitrogen_jax.labeling.sample import Sampled, sample
from nitrogen_jax.labeling.segments import Part
from nitrogen_jax.labeling.skins.draw import Region, overlay_region
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import States

if TYPE_CHECKING:
    from nitrogen_jax.labeling.parser.reader import NetReader

FEWEST_OF_HALF = 4  # pictures
UNEVEN = 0.25  # of the usual time between frames; more is a frame rate that varies
# What is wrong with a file -> the cause that is counted.
CAUSES = (("no video stream", "no_picture"), ("no frame", "damaged"))
MARGIN = 6.0  # pixels around an overlay that are cut out with it


@functools.lru_cache(maxsize=2)
def _prepared(library: Library) -> Templates:
    return prepare(library)


@functools.lru_cache(maxsize=2)
def _net(readers: str, parser: str | None) -> NetReader | None:
    return agree.net_reader(readers, parser)


def _net_of(options: LabelOptions) -> NetReader | None:
    """The network, loaded once whether it reads alone or not."""
    alone = options.readers == "net"
    return _net("both" if alone else options.readers, options.parser)


def label_video(
    path: Path,
    library: Library,
    options: LabelOptions | None = None,
    advance: Callable[[int], None] = lambda frames: None,
) -> VideoLabels:
    """The labels of a video, decoded from beginning to end.

    Args:
        library: the skins that its overlay may have.
        advance: is told how many frames more are read.

    Raises:
        VideoFailure: it has no labels; the cause says why.
    """
    return label_ways(path, library, [options or LabelOptions()], advance)[0]


def label_ways(
    path: Path,
    library: Library,
    ways: Sequence[LabelOptions],
    advance: Callable[[int], None] = lambda frames: None,
) -> list[VideoLabels]:
    """The labels of a video as several options have it, of which all but the first only read.

    It is decoded and its overlay is located once, as the first ones say; CPU seconds are theirs.
    """
    options = ways[0]
    clock = _Clock()
    with clock.stage("locate"):
        sampled = _sampled(path, options)
        try:
            parts = find(path, library, options, sampled)
        except VideoFailure as failure:
            if failure.cause != "no_overlay" or not options.discover:
                raise
            parts = None
            none = failure
    if parts is not None:
        models: dict = {}
        readers = [_Reader(parts, one, models) for one in ways]
        return _read(path, library, readers, parts, clock, advance)
    with clock.stage("discover"):
        try:
            made = discover(path, sampled.pictures, options.box)
        except video.Damaged as error:
            raise VideoFailure("damaged", f"video {path}: {error.reason}") from None
    if made is None:
        raise VideoFailure(none.cause, f"{none}, nor does anything move like the sticks of one")
    reader = MadeReader(made, options)
    return _read(path, library, [reader], reader.parts, clock, advance) * len(ways)


def _sampled(path: Path, options: LabelOptions) -> Sampled:
    """Pictures of all over a video; VideoFailure where it has none, or of several sizes."""
    try:
        sampled = sample(path, options.samples)
    except video.Damaged as error:
        cause = next((cause for word, cause in CAUSES if word in error.reason), "not_a_video")
        raise VideoFailure(cause, f"video {path}: {error.reason}") from None
    if sampled.other_sizes:
        raise VideoFailure("size_changes", f"video {path}: the size of its pictures changes")
    return sampled


def find(path: Path, library: Library, options: LabelOptions, sampled: Sampled) -> list[Part]:
    """When the overlay is where; VideoFailure where there is none of the library."""
    templates = _prepared(library)
    found = _found(sampled.pictures, templates, options.box, "refine" not in options.without)
    if not found:
        raise VideoFailure(
            "no_overlay", f"video {path}: no overlay of the {len(library.skins)} skins is in it"
        )
    if segments.apart(found):
        names = " and ".join(sorted({one.skin.name for one in found[:2]}))
        raise VideoFailure(
            "two_overlays", f"video {path}: two overlays are in it ({names}): give --box for one"
        )
    if found[0].visible < segments.LEAST_VISIBLE:
        raise VideoFailure(
            "overlay_cut_off",
            f"video {path}: only {found[0].visible:.0%} of the overlay are in the picture",
        )
    return segments.divide(path, sampled, found[0], templates, options.box, options.recheck_seconds)


def _found(
    pictures: Sequence[np.ndarray],
    templates: Templates,
    box: tuple[float, ...] | None,
    fine: bool = True,
) -> list[Found]:
    """The overlays of most pictures, or of most of one half: they may move, or come late."""
    found = locate(pictures, templates, box, fine=fine)
    half = len(pictures) // 2
    for part in (pictures[:half], pictures[half:]):
        if not found and half >= FEWEST_OF_HALF:
            found = locate(part, templates, box, everywhere=False, fine=fine)
    return found


def _read(
    path: Path,
    library: Library,
    readers: Sequence[_Reader] | Sequence[MadeReader],
    parts: Sequence[Part] | Sequence[MadePart],
    clock: _Clock,
    advance: Callable[[int], None],
) -> list[VideoLabels]:
    """What the parts of a video show, as each of some readers has it."""
    times: list[float] = []
    size: tuple[int, int] | None = None
    first, others = readers[0], readers[1:]
    try:
        for block in clock.over("decode", blocks.read(path, _cutter(parts), first.options.threads)):
            times += block.times
            size = block.size
            with clock.stage("read"):
                first.take(block)
            for reader in others:
                reader.take(block)
            advance(len(block.times))
    except video.Damaged as error:
        raise VideoFailure("damaged", f"video {path}: {error.reason}") from None
    except blocks.SizeChanges as error:
        raise VideoFailure("size_changes", f"video {path}: {error}") from None
    if size is None:
        raise VideoFailure("no_picture", f"video {path}: no frame of it can be decoded")
    if not first.segments:
        raise VideoFailure("no_overlay", f"video {path}: nothing on its overlay moves")
    cpu = dict(clock.seconds)
    return [_labels(library, reader, np.array(times), size, cpu) for reader in readers]


def _labels(
    library: Library,
    reader: _Reader | MadeReader,
    stamps: np.ndarray,
    size: tuple[int, int],
    cpu_seconds: dict[str, float],
) -> VideoLabels:
    states, confidence = reader.finished(len(stamps))
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 0.0
    warnings = []
    if len(stamps) > 2:
        steps = np.diff(stamps)
        if (np.abs(steps - np.median(steps)) > UNEVEN * np.median(steps)).mean() > 0.01:
            warnings.append("the frame rate varies")
    if isinstance(reader, MadeReader):
        warnings.append("its skin is not in the library: what it looks like is of the video")
    elif any(_cut_off(segment, library) for segment in reader.segments):
        warnings.append("the overlay leaves the picture")
    return VideoLabels(
        len(stamps),
        float(rate),
        stamps,
        size,
        tuple(reader.segments),
        states,
        confidence,
        confidence >= reader.options.keep_confidence,
        tuple(warnings),
        cpu_seconds,
    )


def _cut_off(segment: Segment, library: Library) -> bool:
    whole = segment.at.box(library[segment.skin])
    return any(abs(one - all_) > 1 for one, all_ in zip(segment.box, whole, strict=True))


def _cutter(parts: Sequence[Part] | Sequence[MadePart]) -> blocks.Cutter:
    """Tells of a moment which part it belongs to, and what to cut out of a picture."""

    # It is asked for every frame, and says the same for all frames of a part.
    @functools.cache
    def region(at: int, size: tuple[int, int]) -> Region:
        part = parts[at]
        if isinstance(part, MadePart):
            return part.made.region
        return aligned(overlay_region(part.found.skin, part.found.at, MARGIN), size, 16)

    def cut(seconds: float, size: tuple[int, int]) -> tuple[int, Region] | None:
        for at, part in enumerate(parts):
            if part.start <= seconds < part.end:
                return at, region(at, size)
        return None

    return cut


class _Reader:
    """Reads blocks and puts what they show together."""

    def __init__(self, parts: Sequence[Part], options: LabelOptions, models: dict):
        """
        Args:
            models: of each part, filled as they are needed; readers may share them.
        """
        self.parts, self.options, self._models = parts, options, models
        self.net = _net_of(options)
        self.segments: list[Segment] = []
        self._done: list[tuple[int, States, np.ndarray]] = []

    def take(self, block: blocks.Block) -> None:
        """Reads a block of frames of one part."""
        if block.part is None:
            return
        found, colours = self.parts[block.part].found, block.colours
        key = block.part
        if key not in self._models:
            found = siblings.choose(found, block.crops, block.region, block.size, colours)
            self._models[key] = found, build(found.skin, found.at, block.size, colours)
        found, models = self._models[key]
        if not models:
            return
        without = self.options.without
        readings = read(models, block.crops, block.region, found.opacity, without)
        settled = settle(models, readings, without, block.apart)
        if self.net is not None:
            second = self.net.read(found.skin, found.at, found.opacity, block, without)
            least, readers = self.options.keep_confidence, self.options.readers
            settled = agree.combine(settled, second, least, readers)
        self._done.append((block.first, settled.states, settled.confidence))
        last = block.first + len(block.times)
        if self.segments and self.segments[-1].end == block.first and self._same(found):
            old = self.segments.pop()
            first = old.start
        else:
            first = block.first
        self.segments.append(_segment(found, first, last, block.size))

    def _same(self, found: Found) -> bool:
        last = self.segments[-1]
        return last.skin == found.skin.name and last.at == found.at

    def finished(self, frames: int) -> tuple[States, np.ndarray]:
        """States and confidence of all frames."""
        return assembled(self._done, frames)


def _segment(found: Found, start: int, end: int, size: tuple[int, int]) -> Segment:
    x, y, wide, high = found.at.box(found.skin)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + wide, size[1]), min(y + high, size[0])
    return Segment(
        start,
        end,
        found.skin.name,
        found.at,
        (left, top, right - left, bottom - top),
        found.opacity,
        found.score,
        found.skin.controller,
    )


class _Clock:
    """CPU seconds of this process, by stage."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun

    def over(self, name: str, items: Iterator) -> Iterator:
        """The items; making them counts as a stage."""
        while True:
            with self.stage(name):
                item = next(items, None)
            if item is None:
                return
            yield item
