"""`nitrogen sim <what>`: unmodified games, frozen and stepped frame by frame."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Runs unmodified Linux games in lockstep: frozen, stepped and grabbed frame by frame."

PARTS = {
    "run": "any program, step by step: hashes of its frames, a video",
}

EXAMPLES = """\
  nitrogen sim run --steps 300 --hashes frames.txt -- supertux2 --renderer sdl
'nitrogen sim <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("sim", args)
