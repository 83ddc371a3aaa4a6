"""Sizes on the command line."""

from __future__ import annotations

import argparse
import re


def size(text: str) -> tuple[int, int]:
    """(width, height) of "640x480", as an argument's type."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not all(map(int, match.groups())):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, as in 640x480")
    return int(match[1]), int(match[2])
