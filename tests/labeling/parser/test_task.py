"""The reader as a task: its loss against NumPy, and that the trainer makes it smaller."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")
pytest.importorskip("safetensors")

from nitrogen_jax import config as configs
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser import heat, network
from nitrogen_jax.labeling.parser.scene_cache import SceneOptions
from nitrogen_jax.labeling.parser.slots import CLICKS, PRESS_CORNERS, PRESSES, READ
from nitrogen_jax.labeling.parser.stream import ParserData, StreamOptions
from nitrogen_jax.labeling.parser.task import ParserTask
from nitrogen_jax.models import segformer
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.training import loop
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation

sys.path.insert(0, str(Path(__file__).parent))
from small import NETWORK, parameters

TASK = ParserTask(NETWORK)


def random_batch(number, seed=0):
    """Any samples, of skins that lack one thing or another."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, one in TASK.batch_spec(number).items():
        if one.dtype == bool:
            found[name] = rng.random(one.shape) < 0.6
        elif one.dtype == np.uint8:
            found[name] = rng.integers(0, 256, one.shape).astype(np.uint8)
        else:
            found[name] = rng.uniform(0, 1, one.shape).astype(one.dtype)
    return found


@pytest.fixture(scope="module")
def params():
    return parameters()


@pytest.fixture(scope="module")
def read(params):
    """A random batch, what the network says of it, and the cells that it says it with."""
    batch = random_batch(6)

    def run(params, batch):
        given = batch["frames"], batch["template"]
        cells = segformer.logits(NETWORK, params, network.inputs(*given), compute=Compute())
        return network.run(NETWORK, params, *given, compute=Compute()), cells

    return batch, *jax.device_get(jax.jit(run)(params, batch))


def test_the_loss_is_that_of_a_count_by_hand(params, read):
    batch, said, _ = read
    found = jax.device_get(jax.jit(TASK.loss)(params, batch, jax.random.key(0)))
    sticks = buttons = 0.0
    for at in range(6):
        if not batch["valid"][at]:
            continue
        for side in range(2):
            if batch["has_sticks"][at, side]:
                where = batch["sticks"][at, side] * batch["travel"][at, side]
                axis = np.arange(11) - 5
                wanted = (
                    np.exp(-0.5 * ((axis - where[0]) / heat.SPREAD) ** 2)[None]
                    * np.exp(-0.5 * ((axis - where[1]) / heat.SPREAD) ** 2)[:, None]
                )
                wanted /= wanted.sum()
                logits = said.sticks[at, side].astype(float)
                log = logits - np.log(np.exp(logits).sum())
                sticks += float((wanted * (np.log(wanted) - log)).sum())
        for at_button in range(len(READ)):
            if batch["has_buttons"][at, at_button]:
                sign = 1 if batch["buttons"][at, at_button] else -1
                buttons += float(np.log1p(np.exp(-sign * float(said.buttons[at, at_button]))))
    assert found.total == pytest.approx(sticks + buttons, rel=1e-4)
    assert found.weight == batch["valid"].sum()
    assert found.parts["stick"][0] == pytest.approx(sticks, rel=1e-4)
    assert found.parts["button"][0] == pytest.approx(buttons, rel=1e-4)
    there = batch["valid"][:, None]
    assert found.parts["button"][1] == (there & batch["has_buttons"]).sum()


def test_each_reading_is_of_its_own_slot(read):
    _, said, cells = read
    assert cells.shape == (6, 24, 24, 3)
    np.testing.assert_array_equal(said.sticks[:, 0], cells[:, :11, :11, network.KNOB])
    np.testing.assert_array_equal(said.sticks[:, 1], cells[:, :11, 12:23, network.KNOB])
    left = cells[:, :11, :11, network.CLICKED].mean((1, 2))
    np.testing.assert_allclose(said.buttons[:, CLICKS[0]], left, rtol=1e-4, atol=1e-5)
    for name, (x, y) in zip(PRESSES, PRESS_CORNERS, strict=True):
        part = cells[:, y // 4 : y // 4 + 4, x // 4 : x // 4 + 4, network.PRESSED].mean((1, 2))
        np.testing.assert_allclose(said.buttons[:, READ.index(name)], part, rtol=1e-4, atol=1e-5)


def test_a_frame_that_shows_the_template_differs_from_it_by_nothing():
    batch = random_batch(1)
    template = batch["template"].copy()
    template[..., 3] = template[..., 7] = 255
    frames = np.stack([template[..., :3], template[..., 4:7]], 1)
    found = np.asarray(network.inputs(frames, template))
    assert found.shape == (1, 96, 96, network.INPUTS)
    np.testing.assert_array_equal(found[..., 9:12], 0)  # as pressed
    np.testing.assert_array_equal(found[..., 3:6], found[..., 6:9])  # before was at rest


def test_flops_are_those_that_the_compiler_counts():
    """Of a wide network, in which norms and activations, which are not counted, are little."""
    wide = network.parser_config(
        depths=(1, 2, 1, 1), widths=(128, 256, 640, 1024), heads=(2, 4, 8, 16), decoder_width=1024
    )
    run = jax.jit(lambda p, x: segformer.logits(wide, p, x, compute=Compute()))

    def counted(batch):
        x = jax.ShapeDtypeStruct((batch, 96, 96, network.INPUTS), np.float32)
        return run.lower(segformer.shapes(wide), x).cost_analysis()["flops"]

    # Matrices of the decoder are multiplied with each other once for a whole batch.
    assert 0.9 < network.flops(wide) / (counted(2) - counted(1)) < 1.0


def test_networks_that_cannot_read_mosaics_are_refused():
    from nitrogen_jax.models.segformer_config import segformer_preset

    with pytest.raises(NitrogenError, match="a reader needs 14, 3 and 4"):
        ParserTask(segformer_preset("mit-test")).check()
    with pytest.raises(NitrogenError, match=r"task\.dtype"):
        ParserTask(NETWORK, dtype="int8").check()


def test_the_config_says_what_it_should():
    found = configs.load(Path(__file__).parents[3] / "configs" / "parser_b0.py").check()
    assert found.task.check().network.outputs == 3


def test_the_trainer_makes_the_loss_smaller(tmp_path):
    data = ParserData(
        SceneOptions(pictures=3, folder=str(tmp_path / "scenes")),
        StreamOptions(made_up=2, variants=1, clips=1, block=64),
        held_out=1,
    )
    config = TrainConfig(
        task=TASK,
        data=data,
        steps=30,
        batch=8,
        optimizer=Optimizer(rate=1e-2, warmup=3, ema=0.9),
        checkpoints=Keep(every=None),
        validation=Validation(every=None, batches=1),
        log_every=1,
    )
    result = loop.train(config, tmp_path / "run", view=False)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [one["loss"] for one in map(json.loads, lines) if one["kind"] == "train"]
    assert len(losses) == 30
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    validation = result.metrics["validation"]
    assert validation["samples"] == 8
    assert validation["loss"] > 0
    from nitrogen_jax.labeling.parser import weights

    weights.export(tmp_path / "run", tmp_path / "reader.safetensors")
    _, cfg = weights.read(tmp_path / "reader.safetensors")
    assert cfg == NETWORK
