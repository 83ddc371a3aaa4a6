"""`nitrogen convert`: a checkpoint from one format to another."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.weights.checkpoint import Checkpoint

SUMMARY = "Reads a checkpoint of any format, checks every tensor, and writes it in another."
EXAMPLES = """\
  nitrogen convert ng.pt ng_converted/            the released weights -> Orbax
  nitrogen convert ng.pt ng.safetensors           ... -> one file
  nitrogen convert trained/ ng.pt                 ours -> the original's format
  nitrogen convert random:tiny tiny.safetensors   random weights, to start from
  nitrogen convert siglip2/model.safetensors tower/ --vision google/siglip2-large-patch16-256
  nitrogen convert mit-b0/model.safetensors mit/  a published SegFormer
The name of DST decides: .pt, .safetensors, anything else is an Orbax folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.weights.policies import add_vision_argument

    kinds = "an Orbax folder, .safetensors, .pt or random:PRESET"
    parser.add_argument("source", metavar="SRC", help=kinds)
    parser.add_argument("destination", metavar="DST", type=Path, help="what to write")
    add_vision_argument(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.weights import checkpoint, policies, provenance

    start = time.monotonic()
    destination: Path = args.destination
    if args.source.startswith(policies.RANDOM):
        _check_destination(destination, Path(args.source), args.overwrite)
        return write(policies.load_policy(args.source), args.source, args, start)
    source = checkpoint.resolve(args.source)
    _check_destination(destination, source, args.overwrite)
    size = provenance.size(source)
    with terminal.progress(f"reading {source}", size, "bytes") as advance:
        loaded = checkpoint.load(source, args.vision, advance)
    with terminal.progress("hashing", size, "bytes") as advance:
        loaded = provenance.stamped(loaded, source, advance)
    return write(loaded, str(source), args, start)


def write(loaded: Checkpoint, source: str, args: argparse.Namespace, start: float) -> int:
    """Writes the checkpoint and says what was written; `start` is when all began."""
    from nitrogen_jax import terminal
    from nitrogen_jax.weights import checkpoint, rules

    destination: Path = args.destination
    for notice in loaded.meta.notices:
        logging.getLogger(__name__).warning("%s", notice)
    flat = rules.flatten(loaded.params)
    amount = sum(array.nbytes for array in flat.values())
    with terminal.progress(f"writing {destination}", amount, "bytes") as advance:
        checkpoint.save(loaded, os.path.abspath(destination), advance)
    summary = {
        "source": source,
        "destination": str(destination),
        "format": checkpoint.format_of(destination),
        "kind": loaded.meta.kind,
        "tensors": len(flat),
        "parameters": sum(array.size for array in flat.values()),
        "seconds": round(time.monotonic() - start, 2),
        "notices": list(loaded.meta.notices),
    }
    if args.json:
        terminal.out().print(json.dumps(summary), markup=False)
    else:
        terminal.out().print(
            f"{destination}: {summary['format']}, {summary['tensors']} tensors, "
            f"{summary['parameters']:,} parameters, {summary['seconds']} s",
            markup=False,
        )
    return 0


def _check_destination(destination: Path, source: Path, overwrite: bool) -> None:
    """Raises unless `destination` may be written: --overwrite deletes what is there."""
    from nitrogen_jax.weights import checkpoint

    place = Path(os.path.abspath(destination))  # "." and ".." have no name to write under
    if not place.parent.is_dir():
        raise NitrogenError(f"the folder {place.parent} does not exist")
    if not place.exists():
        return
    if place.resolve() in (source.resolve(), *source.resolve().parents):
        raise NitrogenError(f"{destination} is the source or holds it: give another name")
    if not overwrite:
        raise NitrogenError(f"{destination} exists already: give another name or --overwrite")
    folder_wanted = checkpoint.format_of(place) == "orbax"
    if place.is_dir() != folder_wanted:
        there, wanted = ("folder", "file") if place.is_dir() else ("file", "folder")
        raise NitrogenError(
            f"{destination} is a {there} and a {wanted} is to be written: give another name"
        )
    if folder_wanted and not checkpoint.is_orbax(place) and any(place.iterdir()):
        raise NitrogenError(
            f"{destination} is a folder of other things than an Orbax checkpoint, which "
            "--overwrite does not delete: give another name"
        )
