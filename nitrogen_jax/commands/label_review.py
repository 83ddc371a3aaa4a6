"""`nitrogen label review`: pages on which a person checks and corrects labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Writes pages on which a person plays videos beside their labels and corrects them."
EXAMPLES = """\
  nitrogen label review labels/ --videos videos/ --out review/
  nitrogen label review labels/ --videos videos/ --video abc --chunk 3 --out chunk.html
  nitrogen label apply labels/ abc_chunk_0003.corrections.json
A page is one file, needs no network, and holds the pictures of one chunk: 20 to 60 MB for 20 s of
60 Hz. With --out FOLDER there is one page for each chunk, and index.html.
Exit code 0: all pages are written; 1: some chunks could not be shown; 2: none could."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tree", type=Path, metavar="TREE", help="a label tree")
    parser.add_argument(
        "--videos", type=Path, metavar="DIR", required=True, help="<video>.mp4, ..."
    )
    parser.add_argument("--video", metavar="ID", help="only this video")
    parser.add_argument("--chunk", type=int, metavar="N", help="only chunk N, from 0")
    parser.add_argument(
        "--out", type=Path, metavar="PATH", required=True, help="a file in .html, or a folder"
    )
    parser.add_argument(
        "--width", type=int, metavar="N", default=480, help="pixels of the frames (default: 480)"
    )
    parser.add_argument(
        "--quality", type=int, metavar="N", default=75, help="of JPEG, 1 to 100 (default: 75)"
    )
    parser.add_argument(
        "--max-mb", type=float, metavar="N", default=100, help="of one page (default: 100)"
    )
    parser.add_argument("--threads", type=int, metavar="N", default=0, help="that decode; 0: all")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data.label_fields import shown
    from nitrogen_jax.data.label_tree import open_tree
    from nitrogen_jax.labeling import review_chunks
    from nitrogen_jax.report import review_write
    from nitrogen_jax.report.review_clip import ClipOptions

    if not 0 < args.max_mb <= 1000:
        raise NitrogenError(f"--max-mb is {args.max_mb}, where up to 1000 is possible")
    if args.threads < 0:
        raise NitrogenError(f"--threads is {args.threads}, where 0 or more is needed")
    if not args.videos.is_dir():
        raise NitrogenError(f"folder {args.videos} of videos does not exist")
    options = ClipOptions(args.width, args.quality, round(args.max_mb * 1e6)).check()
    one = args.out.suffix.lower() in (".html", ".htm")
    if not args.out.absolute().parent.is_dir() or (args.out.exists() and args.out.is_dir() == one):
        what = "a file" if one else "a folder"
        raise NitrogenError(f"--out is {args.out}, where {what} in a folder that exists is needed")
    found = review_chunks.select(open_tree(args.tree), args.video, args.chunk)
    screen, written, failed = terminal.console(), 0, 0
    total = sum(len(review_write.wanted(raws, args.chunk)) for raws in found.values())
    if one and total > 1:
        raise NitrogenError(
            f"{shown(args.tree)} has {total} chunks to review, where --out {args.out} holds one: "
            "name one with --video and --chunk, or a folder with --out"
        )
    with terminal.progress("pages", total, "chunks") as advance:
        pages = review_write.pages(found, args.chunk, args.videos, options, args.threads)
        for page in review_write.write(pages, args.out, shown(args.tree)):
            advance(1)
            written, failed = written + (not page.reason), failed + bool(page.reason)
            if page.reason:
                screen.print(f"{shown(page.chunk_id)} has no page: {page.reason}", markup=False)
    if not written:
        raise NitrogenError(f"none of the {total} chunks can be shown, for the reasons above")
    screen.print(f"wrote {args.out}: {written} of {total} chunks", markup=False)
    return 1 if failed else 0
