"""`nitrogen data inspect`: what a label tree holds, as tables, plots and a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

SUMMARY = "Prints and plots what a label tree holds: hours, buttons, sticks, rates."
EXAMPLES = """\
  nitrogen data inspect labels/
  nitrogen data inspect SHARD_0000.tar.gz --out report.html
  nitrogen data inspect labels/ --png plots/ --workers 8 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "tree", metavar="TREE", help="a folder with actions/, shards or tarballs, or one tarball"
    )
    parser.add_argument("--out", metavar="FILE", help="also write one self-contained HTML page")
    parser.add_argument("--png", metavar="FOLDER", help="also write each plot as a PNG file")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument(
        "--top", metavar="N", type=int, default=20, help="name this many games (default: 20)"
    )
    parser.add_argument(
        "--prefer",
        choices=("processed", "raw"),
        default="processed",
        help="the table to count where a chunk has both (default: processed)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=1, help="processes that read (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.data import label_summary
    from nitrogen_jax.data.label_fields import shown
    from nitrogen_jax.data.label_tree import open_tree
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.report import label_page

    for name in ("top", "workers"):
        if getattr(args, name) < 1:
            raise NitrogenError(f"--{name} is {getattr(args, name)}, where at least 1 is needed")
    _check_outputs(args)
    tree, name = open_tree(args.tree), shown(args.tree)
    if args.workers > 1 and len(tree.parts()) > 1:
        with terminal.progress(f"reading {name}", len(tree.parts()), "shards") as advance:
            summary = label_summary.summarize_parallel(tree, args.workers, args.prefer, advance)
    else:
        with terminal.progress(f"reading {name}", tree.size(), tree.size_unit) as advance:
            summary = label_summary.summarize(tree, args.prefer, advance)

    if args.json:
        terminal.out().print(json.dumps(label_summary.to_json(summary)), markup=False)
    else:
        for table in label_page.tables(summary, args.top):
            terminal.out().print(terminal.table(*table))
    if args.out or args.png:
        _write(args, label_page, summary, name)
    if not summary.chunks:
        raise NitrogenError(
            f"label tree {name}: none of its {summary.found} chunks can be read: "
            "'nitrogen data validate' says why of each"
        )
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Before hours of reading, and not after them."""
    from nitrogen_jax.errors import NitrogenError

    for path in (args.out, args.png):
        if path and not Path(path).absolute().parent.is_dir():
            raise NitrogenError(
                f"cannot write {path}: the folder {Path(path).parent} does not exist"
            )
    if args.out and Path(args.out).is_dir():
        raise NitrogenError(f"cannot write {args.out}: it is a folder, where a file is needed")
    if args.png and Path(args.png).exists() and not Path(args.png).is_dir():
        raise NitrogenError(f"cannot write into {args.png}: it is not a folder")


def _write(args: argparse.Namespace, label_page, summary, name: str) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.files import atomic_path

    drawn = label_page.draw(summary, args.top)
    if args.png:
        Path(args.png).mkdir(exist_ok=True)
        for key, plot in drawn.items():
            with atomic_path(Path(args.png) / f"{key}.png") as temporary:
                temporary.write_bytes(plot.png)
    if args.out:
        with atomic_path(args.out) as temporary:
            text = label_page.page(summary, name, drawn, args.top)
            temporary.write_text(text, encoding="utf-8")
    for path in filter(None, (args.out, args.png)):
        terminal.console().print(f"wrote {path}", markup=False)
