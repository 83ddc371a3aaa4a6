"""`nitrogen study <what>`: the paper's claims, tested in small."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Tests the paper's claims at a size that an ordinary machine can afford."

PARTS = {
    "labels": "a policy trained on true actions, on labels read off an overlay, on shuffled ones",
    "transfer": "a policy pre-trained on other games, against one from scratch",
}

EXAMPLES = """\
  nitrogen study labels --out studies/labels
  nitrogen study labels --short --out /tmp/labels      the same steps, a fraction of the size
'nitrogen study <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("study", args)
