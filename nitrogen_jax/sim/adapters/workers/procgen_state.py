"""Reads what a game of procgen2 knows of its level from the state that it saves.

A saved state is a row of 32-bit words and of strings, each after its length: options, the states
of two random generators, 16 numbers, the entities (31 words each, the player first), 19 numbers of
the base game, the state of a third generator, 9 numbers of the view, the grid, and what the game
adds to that. See `serialize` in procgen's game.cpp, basic-abstract-game.cpp and entity.cpp.
"""

from __future__ import annotations

import re
import struct

GENERATOR = re.compile(rb"(?:\d+ ){624}\d+")  # a Mersenne twister as text
ENTITY_WORDS, TYPE_WORD, THEME_WORD = 31, 6, 8
NUMBERS, VIEW_WORDS = 16, 9


def read(state: bytes) -> dict:
    """The parts of a state that a player or a judge can use.

    Returns:
        entities: [type, x, y, speed along x, along y, half width, half height, theme] each, in
            cells and cells a frame, y up; the player is the first.
        width, height: of the grid, in cells.
        cells: the types of what fills the cells, a row of `width` after the other from the bottom
            up, as little-endian 16-bit numbers.
    """
    starts = _generators(state)
    if len(starts) != 3:
        raise ValueError(f"a state with {len(starts)} random generators, where 3 are known")
    at = starts[1][1] + 4 * NUMBERS
    (count,) = struct.unpack_from("<i", state, at)
    entities, at = [], at + 4
    for _ in range(count):
        floats = struct.unpack_from("<6f", state, at)
        (kind,) = struct.unpack_from("<i", state, at + 4 * TYPE_WORD)
        (theme,) = struct.unpack_from("<i", state, at + 4 * THEME_WORD)
        entities.append([kind, *floats, theme])
        at += 4 * ENTITY_WORDS
    at = starts[2][1] + 4 * VIEW_WORDS
    width, height, size = struct.unpack_from("<3i", state, at)
    if size != width * height:
        raise ValueError(f"a grid of {width} x {height} cells with {size} of them")
    cells = struct.unpack_from(f"<{size}i", state, at + 12)
    return {
        "entities": entities,
        "width": width,
        "height": height,
        "cells": struct.pack(f"<{size}h", *cells),
    }


def _generators(state: bytes) -> list:
    """Where the strings of the random generators begin and end."""
    spans = [match.span() for match in GENERATOR.finditer(state)]
    return [
        (start, end)
        for start, end in spans
        if struct.unpack_from("<i", state, start - 4)[0] == end - start
    ]
