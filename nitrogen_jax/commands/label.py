"""`nitrogen label <what>`: from videos with a controller overlay to action labels."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import nested

SUMMARY = "Reads what players pressed off the controller overlays of their videos."

PARTS = {
    "run": "videos to a label tree",
    "skins": "what overlays a folder of skins holds: a table and a contact sheet",
    "bake-skin": "a skin of a web page (HTML, CSS, SVG) as sprites",
    "review": "a page on which a person checks and corrects labels",
    "apply": "corrections of a review into a label tree",
    "bench": "how well all of it works on videos whose truth is known",
}

EXAMPLES = """\
  nitrogen label skins skins/ --out sheet.png
  nitrogen label run --videos videos/ --skins skins/ --out labels/
'nitrogen label <what> --help' explains one, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nested.add_arguments(parser, PARTS)


def run(args: argparse.Namespace) -> int:
    return nested.run("label", args)
