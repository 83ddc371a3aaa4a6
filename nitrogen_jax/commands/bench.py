"""`nitrogen bench <what>`: measures speed."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Measures speed: several ways in turn, ratios within one run."

PARTS = {
    "sample": "the sampler: ms per call, compile time, FLOPs, memory",
    "serve": "the server: chunks per second in batches and one at a time",
    "data": "the loader: samples per second by number of workers",
    "train": "the training step: samples/s, data wait, MFU, memory, compile time",
}

EXAMPLES = """\
  nitrogen bench sample --policy random:nitrogen --naive --torch
  nitrogen bench serve --policy random:test --clients 32 --max-batch 32
  nitrogen bench data records/ --workers 0,1,2
  nitrogen bench train --config configs/nitrogen_tiny.py --records records/
'nitrogen bench <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("bench", args)
