"""`nitrogen sim <what>`: unmodified games, frozen and stepped frame by frame."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Runs unmodified Linux games in lockstep: frozen, stepped and grabbed frame by frame."

PARTS = {
    "list": "which games are installed, and how to install the others",
    "check": "whether a game boots, stands still, obeys the pad and repeats exactly",
    "run": "any program, step by step: hashes of its frames, a video",
    "record": "plays a game: videos, actions, labels, with a controller overlay if wanted",
    "bench": "steps a second, and what they cost",
    "physics": "whether stopping a game changes it",
}

EXAMPLES = """\
  nitrogen sim list
  nitrogen sim check supertux
  nitrogen sim run --steps 300 --hashes frames.txt -- supertux2 --renderer sdl
'nitrogen sim <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("sim", args)
