"""The parameters that come with the package: small, and of use on skins that they never saw."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")
pytest.importorskip("safetensors")

from nitrogen_jax.labeling.parser import heat, scenes
from nitrogen_jax.labeling.parser.grounds import Grounds
from nitrogen_jax.labeling.parser.metrics import stick
from nitrogen_jax.labeling.parser.reader import NetReader
from nitrogen_jax.labeling.parser.shipped import SHIPPED, is_shipped
from nitrogen_jax.labeling.parser.stream import HELD_OUT
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.synth.footage import MadeUp

CLIPS = 4


def test_one_small_file_of_half_floats():
    assert is_shipped()
    data = SHIPPED.read_bytes()
    assert len(data) < 8_000_000
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert {one["dtype"] for name, one in header.items() if name != "__metadata__"} == {"F16"}
    assert "/" not in json.loads(header["__metadata__"]["nitrogen_jax"])["provenance"]["source"]


def test_it_reads_made_up_skins_that_it_never_saw():
    """Much better than saying that nothing moves and nothing is pressed, which scores 0."""
    net, grounds = NetReader.shipped(), Grounds.make(MadeUp(), 3, 4)
    true, said, pressed, read = [], [], [], []
    for seed in range(HELD_OUT, HELD_OUT + CLIPS):
        clip = scenes.record(generate(seed), seed, 0, grounds, exact=True)
        raw = net.raw(clip.frames, clip.template)
        for side in np.flatnonzero(clip.sticks):
            true.append(clip.positions[1:, side])
            said.append(heat.travels(raw.at, clip.travel)[1:, side])
        pressed.append((clip.buttons & clip.presses)[1:])
        read.append(((raw.buttons > 0.5) & clip.presses)[1:])
    true, said = np.concatenate(true), np.concatenate(said)
    assert stick(true, said, np.ones(len(true), bool))["r2"] > 0.5
    pressed, read = np.concatenate(pressed), np.concatenate(read)
    assert pressed.sum() > 50
    assert 2 * (pressed & read).sum() / (pressed.sum() + read.sum()) > 0.5
