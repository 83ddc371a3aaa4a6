"""The reader: its file, its batches, and what its numbers mean."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")
pytest.importorskip("safetensors")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.blocks import Block
from nitrogen_jax.labeling.parser import reader as readers
from nitrogen_jax.labeling.parser import weights
from nitrogen_jax.labeling.parser.reader import NetReader, Raw, settled
from nitrogen_jax.labeling.parser.slots import READ, slots
from nitrogen_jax.labeling.planes import Colours, Planes
from nitrogen_jax.labeling.skins.draw import Placement, Region
from nitrogen_jax.models.segformer_config import segformer_preset

sys.path.insert(0, str(Path(__file__).parent))
from small import NETWORK, parameters, skin


@pytest.fixture(scope="module")
def params():
    return parameters()


def block(number):
    """Frames of noise."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 256, (number, 160, 272)).astype(np.uint8)
    uv = rng.integers(0, 256, (number, 2, 80, 136)).astype(np.uint8)
    region = Region(16, 16, 288, 176)
    return Block(0, 0, [0.0] * number, (720, 1280), region, Planes(y, uv), Colours(1, False))


def test_parameters_come_back_from_one_file_of_half_the_size(params, tmp_path):
    path = tmp_path / "reader.safetensors"
    weights.write(params, NETWORK, path, 12, {"source": "a test"})
    found, cfg = weights.read(path)
    assert cfg == NETWORK
    for one, other in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(one, np.float16).astype(np.float32), other)
    assert path.stat().st_size < 2 * sum(leaf.size for leaf in jax.tree.leaves(params)) + 20_000
    read = NetReader.load(path).read(skin(), Placement(1.0, 24.0, 24.0), 1.0, block(3))
    assert read.states.number == 3


def test_files_that_are_no_readers_are_refused(params, tmp_path):
    with pytest.raises(NitrogenError, match=r"must end in \.safetensors"):
        weights.write(params, NETWORK, tmp_path / "reader.pt")
    from nitrogen_jax.weights import checkpoint, meta

    cfg = segformer_preset("mit-test")
    other = parameters(cfg)
    checkpoint.save(checkpoint.Checkpoint(other, meta.Meta(cfg)), tmp_path / "o.safetensors")
    with pytest.raises(NitrogenError, match=r"o\.safetensors.*a reader needs 14, 3 and 4"):
        weights.read(tmp_path / "o.safetensors")


def test_frames_read_alike_however_many_there_are(params, monkeypatch):
    monkeypatch.setattr(readers, "BUCKETS", (2, 4))
    net = NetReader(params, NETWORK)
    rng = np.random.default_rng(0)
    mosaics = rng.integers(0, 256, (11, 96, 96, 3)).astype(np.uint8)
    template = rng.integers(0, 256, (96, 96, 8)).astype(np.uint8)
    whole = net.raw(mosaics, template)
    assert whole.at.shape == (11, 2, 2)
    assert whole.buttons.shape == (11, 17)
    for first in range(1, 11):
        pair = net.raw(mosaics[first - 1 : first + 1], template)
        np.testing.assert_allclose(pair.at[1], whole.at[first], atol=1e-4)
        np.testing.assert_allclose(pair.buttons[1], whole.buttons[first], atol=1e-5)


def test_numbers_become_states_and_confidence():
    seen = slots(skin())
    number = 40
    at = np.zeros((number, 2, 2))
    raw = Raw(at, np.full((number, 2), 0.95), at.copy(), np.full((number, 17), 0.02))
    raw.at[30:, 0] = seen.travel[0] * (0.5, -1.0) + 0.1  # and at rest a little off the middle
    raw.at[:30, 0] = 0.1
    raw.buttons[3, READ.index("SOUTH")] = 0.99
    raw.buttons[4, READ.index("SOUTH")] = 0.55  # undecided
    raw.buttons[5, READ.index("NORTH")] = 0.99  # which the skin does not have
    raw.buttons[6, READ.index("LEFT_TRIGGER")] = 0.98
    raw.mass[7, 0], raw.mass[8, 1] = 0.2, 0.2
    found = settled(raw, seen)
    np.testing.assert_array_equal(found.states.left[:30], 0)
    np.testing.assert_allclose(found.states.left[30:], np.tile([0.5, -1.0], (10, 1)), atol=1e-5)
    pressed = found.states.buttons
    assert np.flatnonzero(pressed[:, BUTTON_INDEX["SOUTH"]]).tolist() == [3, 4]
    assert not pressed[:, BUTTON_INDEX["NORTH"]].any()
    assert not found.buttons[BUTTON_INDEX["NORTH"]]
    assert found.states.triggers[6].tolist() == [1, 0]
    assert np.flatnonzero(found.confidence < 0.5).tolist() == [4, 7]
    assert found.sticks.tolist() == [True, False]
    assert found.sure_sticks[7, 0] == np.float32(0.2)
    south, north = BUTTON_INDEX["SOUTH"], BUTTON_INDEX["NORTH"]
    np.testing.assert_allclose(found.sure_buttons[:6, south], [0.96] * 3 + [0.98, 0.1, 0.96])
    assert (found.sure_buttons[:, north] == 1).all()


def test_steps_of_the_network_can_be_left_out(params):
    net, read = NetReader(params, NETWORK), []
    for without in ((), ("softmax",), ("template",)):
        at = Placement(1.0, 24.0, 24.0)
        read.append(net.read(skin(), at, 1.0, block(5), without))
    usual, cell, blind = (one.states.left for one in read)
    assert (usual != cell).any()
    assert (usual != blind).any()
    np.testing.assert_array_equal(read[0].states.buttons, read[1].states.buttons)


def test_a_block_without_crops_is_refused(params):
    empty = Block(None, 0, [0.0], (720, 1280), None, None, Colours(1, False))
    with pytest.raises(NitrogenError, match="no crops"):
        NetReader(params, NETWORK).read(skin(), Placement(1.0, 0.0, 0.0), 1.0, empty)
