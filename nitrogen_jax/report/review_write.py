"""Review pages of many chunks: a video is decoded once, a page written when it is complete."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nitrogen_jax.data.label_fields import LabelError, shown
from nitrogen_jax.data.label_tree import RawChunk
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling import review_chunks
from nitrogen_jax.labeling.review_chunks import Reviewed
from nitrogen_jax.report import review_page
from nitrogen_jax.report.review_clip import Clip, ClipOptions, clips

INDEX = "index.html"


@dataclass(frozen=True, eq=False)
class Page:
    """A chunk and its page, or why it has none.

    Attributes:
        reviewed: None where the labels cannot be read.
        text: of the page; "" where there is a reason for none.
    """

    chunk_id: str
    reviewed: Reviewed | None
    text: str = ""
    reason: str = ""


def wanted(raws: Iterable[RawChunk], number: int | None) -> list[RawChunk]:
    """Those of a video's chunks that are to be reviewed."""
    return [raw for raw in raws if number is None or review_chunks.is_number(raw, number)]


def pages(
    found: Mapping[str, list[RawChunk]],
    number: int | None,
    videos: Path,
    options: ClipOptions,
    threads: int = 1,
) -> Iterator[Page]:
    """The pages of all chunks, video by video, a video's in the order of their last frames.

    Args:
        found: video -> all its chunks in the tree.
        number: only the chunk of this number; None: all.
        videos: the folder of `<video>.mp4` and the like.
    """
    for video_id, raws in found.items():
        tree, read = review_chunks.fingerprint(raws), []
        for raw in wanted(raws, number):
            try:
                read.append(review_chunks.read(raw, tree))
            except LabelError as error:
                yield Page(raw.ref.name, None, reason=str(error))
        path = review_chunks.find_video(videos, video_id)
        if path is None:
            reason = f"{videos} holds no file of video {shown(video_id)}"
            yield from (Page(one.chunk_id, one, reason=reason) for one in read)
            continue
        for index, clip in clips(path, [one.meta for one in read], options, threads):
            yield _page(read[index], clip)


def write(made: Iterable[Page], out: Path, name: str) -> Iterator[Page]:
    """Writes the pages, and an index where `out` is no HTML file; yields each without its text.

    Args:
        out: the file of the only page, or a folder.
        name: what the tree is called.
    """
    alone = out.suffix.lower() in (".html", ".htm")
    if not alone:
        out.mkdir(exist_ok=True)
    entries: list[review_page.Entry] = []
    taken = {INDEX}
    for page in made:
        file = _file(page.chunk_id, taken)
        if page.text:
            with atomic_path(out if alone else out / file) as temporary:
                temporary.write_text(page.text, encoding="utf-8")
        if page.reviewed is not None:
            entries.append(review_page.Entry(page.reviewed, file, page.reason))
        yield Page(page.chunk_id, page.reviewed, reason=page.reason)
    if not alone:
        with atomic_path(out / INDEX) as temporary:
            text = review_page.index_page(name, sorted(entries, key=lambda entry: entry.file))
            temporary.write_text(text, encoding="utf-8")


def _page(reviewed: Reviewed, clip: Clip | str) -> Page:
    if isinstance(clip, str):
        return Page(reviewed.chunk_id, reviewed, reason=clip)
    return Page(reviewed.chunk_id, reviewed, review_page.page(reviewed, clip))


def _file(chunk_id: str, taken: set[str]) -> str:
    """A name that every file system and address takes, and that no other page has."""
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", chunk_id).lstrip(".")[:200] or "chunk"
    more = (f"{stem}-{number}.html" for number in itertools.count(2))
    name = next(one for one in itertools.chain([f"{stem}.html"], more) if one not in taken)
    taken.add(name)
    return name
