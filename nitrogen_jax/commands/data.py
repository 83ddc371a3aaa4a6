"""`nitrogen data <what>`: labels, videos and records."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Looks after training data: label trees, videos, records."

PARTS = {
    "inspect": "what a label tree holds: hours, buttons, sticks, rates",
    "validate": "every violation of the label format, with its path",
    "missing": "the videos that a label tree names and a folder lacks, as CSV",
    "build": "training records from labels and videos",
    "index": "which samples of records to train on: filters",
    "shuffle": "a label tree whose actions change places, as a control",
    "demo": "a small made-up data set: real videos and a real label tree",
}

EXAMPLES = """\
  nitrogen data demo demo/
  nitrogen data validate demo/labels
  nitrogen data build --labels demo/labels --videos demo/videos --out records/
'nitrogen data <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("data", args)
