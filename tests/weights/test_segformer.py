"""SegFormers out of published files of both generations of names, and starts for other networks."""

from __future__ import annotations

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

pytest.importorskip("jax")
save_file = pytest.importorskip("safetensors.numpy").save_file
load_file = pytest.importorskip("safetensors.numpy").load_file

from nitrogen_jax import cli  # noqa: E402
from nitrogen_jax.errors import NitrogenError  # noqa: E402
from nitrogen_jax.models import segformer  # noqa: E402
from nitrogen_jax.models.configs import FLOAT32  # noqa: E402
from nitrogen_jax.models.segformer_config import segformer_preset  # noqa: E402
from nitrogen_jax.weights import checkpoint, policies, rules, segformer_names  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.meta import Meta  # noqa: E402
from nitrogen_jax.weights.segformer import load_segformer  # noqa: E402
from nitrogen_jax.weights.torch_write import write_torch  # noqa: E402

SMALL = segformer_preset("mit-test")
MARKS = list(segformer_names.TABLES)
HUB = {  # config.json of SMALL, as published
    "model_type": "segformer",
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [8, 16, 24, 32],
    "num_attention_heads": [1, 2, 3, 4],
    "decoder_hidden_size": 16,
}


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes most of the time of a load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segformer, "shapes", functools.cache(segformer.shapes))
        yield


def random_params(cfg, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda like: rng.normal(size=like.shape).astype(np.float32)  # noqa: E731
    return jax.tree.map(draw, segformer.shapes(cfg))


def published(params, mark=MARKS[0], prefix="segformer."):
    """Our parameters under the names of a file."""
    named = rules.to_foreign(params, segformer_names.TABLES[mark])
    return {n if n.startswith("decode_head.") else prefix + n: a for n, a in named.items()}


@functools.cache
def maps_of(cfg):
    """Compiled once for all files of the same encoder."""
    return jax.jit(functools.partial(segformer.features, cfg, compute=FLOAT32))


def same(ours, theirs):
    ours, theirs = rules.flatten(ours), rules.flatten(theirs)
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        np.testing.assert_array_equal(array, theirs[path], path)


@pytest.mark.parametrize("config", [True, False], ids=["config.json", "shapes"])
@pytest.mark.parametrize("prefix", ["segformer.", ""])
@pytest.mark.parametrize("mark", MARKS)
def test_both_names_with_and_without_prefix(tmp_path, mark, prefix, config):
    params = random_params(SMALL)
    named = published(params, mark, prefix)
    named["decode_head.batch_norm.num_batches_tracked"] = np.asarray(3)
    save_file(named, tmp_path / "model.safetensors")
    if config:
        (tmp_path / "config.json").write_text(json.dumps(HUB))
    loaded = checkpoint.load(tmp_path)
    assert loaded.meta.kind == "segformer"
    assert loaded.meta.config == SMALL
    same(loaded.params, params)


def test_an_encoder_that_classifies_pictures(tmp_path):
    cfg = dataclasses.replace(SMALL, decoder_width=0, outputs=0)
    params = random_params(cfg)
    named = published(params)
    named |= {"classifier.weight": np.zeros((10, 32)), "classifier.bias": np.zeros(10)}
    save_file(named, tmp_path / "mit.safetensors")
    write_torch(tmp_path / "mit.pt", named)
    (tmp_path / "config.json").write_text(json.dumps(HUB))
    for name in ("mit.safetensors", "mit.pt"):
        loaded = checkpoint.load(tmp_path / name)
        assert loaded.meta.config == cfg
        same(loaded.params, params)


@pytest.mark.needs("torch", "transformers")
@pytest.mark.parametrize("original_names", [True, False])
@pytest.mark.parametrize("kind", ["SemanticSegmentation", "ImageClassification"])
def test_files_of_transformers(tmp_path, kind, original_names):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    settings = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        sr_ratios=[4, 4, 2, 1],
        mlp_ratios=[4, 2, 4, 4],
        decoder_hidden_size=16,
        num_labels=5,
    )
    theirs = getattr(transformers, f"SegformerFor{kind}")(settings).eval()
    theirs.save_pretrained(tmp_path, save_original_format=original_names)
    names = load_file(tmp_path / "model.safetensors")
    assert any("encoder.block.0.0." in name for name in names) is original_names
    loaded = checkpoint.load(tmp_path)
    cfg = loaded.meta.config
    decoder = (16, 5) if kind == "SemanticSegmentation" else (0, 0)
    assert (cfg.decoder_width, cfg.outputs) == decoder
    assert (cfg.reductions, cfg.mlp_ratios) == ((4, 4, 2, 1), (4, 2, 4, 4))
    images = np.random.default_rng(0).normal(size=(1, 40, 52, 3)).astype(np.float32)
    with torch.no_grad():
        found = theirs.segformer(torch.from_numpy(images).movedim(-1, 1), output_hidden_states=True)
    encoder = dataclasses.replace(cfg, decoder_width=0, outputs=0)
    for ours, wanted in zip(
        maps_of(encoder)(loaded.params, images), found.hidden_states, strict=True
    ):
        np.testing.assert_allclose(ours, wanted.movedim(1, -1).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["out", "out.safetensors"])
def test_convert_and_info(tmp_path, capsys, name):
    pytest.importorskip("orbax.checkpoint")
    params = random_params(SMALL)
    save_file(published(params), tmp_path / "mit.safetensors")
    source, target = str(tmp_path / "mit.safetensors"), str(tmp_path / name)
    assert cli.main(["convert", source, target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "segformer"
    loaded = checkpoint.load(target)
    assert loaded.meta.config == SMALL
    same(loaded.params, params)
    assert cli.main(["info", target, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["kind"] == "segformer"
    assert data["config"]["widths"] == [8, 16, 24, 32]
    assert set(data["parts"]) == {*(f"stages_{i}" for i in range(4)), "decoder"}
    assert data["parameters"] == 53_499
    assert cli.main(["info", target]) == 0
    assert "trainable" not in capsys.readouterr().out


def test_what_does_not_fit_is_listed(tmp_path):
    named = published(random_params(SMALL))
    block = "segformer.encoder.block.1.0."
    del named[block + "mlp.dense2.bias"]
    named[block + "attention.self.key.weight"] = np.zeros((16, 17), np.float32)
    named[block + "layer_norm_1.weight"] = np.zeros(16, np.int32)
    named["decode_head.strange"] = np.zeros(3, np.float32)
    save_file(named, tmp_path / "model.safetensors")
    with pytest.raises(NitrogenError) as error:
        checkpoint.load(tmp_path)
    text = str(error.value)
    assert "4 tensor(s) do not fit the configuration" in text
    assert "  missing: segformer.encoder.block.1.0.mlp.dense2.bias (16,)" in text
    assert "  mis-shaped: segformer.encoder.block.1.0.attention.self.key.weight is (16, 17)" in text
    assert "  mis-typed: segformer.encoder.block.1.0.layer_norm_1.weight is I32" in text
    assert "  extra: decode_head.strange (3,)" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu', which is not supported"),
        ({"depths": [1, 1, 1]}, "differ in their stages"),
        ({"depths": [1, 1, 1, 10**9]}, "more than 1000 blocks"),
        ({"depths": "many"}, "depths is 'many', where a whole number of at least 1"),
        ({"num_channels": True}, "num_channels is True, where a whole number"),
        ({"num_attention_heads": [3, 2, 3, 4]}, "is not a multiple of its 3 heads"),
    ],
)
def test_a_config_that_is_refused(tmp_path, change, message):
    save_file(published(random_params(SMALL)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(HUB | change))
    with pytest.raises(NitrogenError) as error:
        checkpoint.load(tmp_path)
    assert str(tmp_path / "config.json") in str(error.value)
    assert message in str(error.value)


def test_heads_that_no_shape_tells(tmp_path):
    named = published(random_params(dataclasses.replace(SMALL, widths=(8, 16, 24, 36))))
    save_file(named, tmp_path / "model.safetensors")
    with pytest.raises(NitrogenError, match=r"how many heads .* put its config\.json beside it"):
        checkpoint.load(tmp_path)
    save_file({MARKS[0]: np.zeros((8, 3, 7, 7))}, tmp_path / "model.safetensors")
    with pytest.raises(NitrogenError, match="the patches of stage 1 are missing"):
        checkpoint.load(tmp_path)


def test_metadata_of_a_hostile_file(tmp_path):
    path = tmp_path / "x.safetensors"
    cfg = dataclasses.replace(SMALL, depths=(1, 1, 1, 10**9))
    checkpoint.save(Checkpoint({"a": np.zeros(1, np.float32)}, Meta(cfg)), path)
    with pytest.raises(NitrogenError, match="more than 1000 blocks"):
        checkpoint.load(path)


def test_it_is_no_policy(tmp_path):
    save_file(published(random_params(SMALL)), tmp_path / "mit.safetensors")
    with pytest.raises(NitrogenError, match="is a SegFormer alone, where a whole policy is needed"):
        policies.load_policy(str(tmp_path / "mit.safetensors"))
    loaded = checkpoint.load(tmp_path)
    with pytest.raises(NitrogenError, match="this checkpoint is a SegFormer alone"):
        checkpoint.save(loaded, tmp_path / "x.pt")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A file of SMALL and its parameters."""
    params = random_params(SMALL)
    path = tmp_path_factory.mktemp("start") / "mit.safetensors"
    save_file(published(params), path)
    return path, params


def test_a_start_as_it_is(start):
    path, params = start
    same(load_segformer(path, SMALL), params)


def test_further_channels_change_nothing_at_first(start):
    path, params = start
    cfg = dataclasses.replace(SMALL, in_channels=5)
    wider = load_segformer(path, cfg)
    kernel = wider["stages_0"]["patches"]["proj"]["kernel"]
    assert kernel.shape == (7, 7, 5, 8)
    assert not np.any(kernel[:, :, 3:])
    np.testing.assert_array_equal(kernel[:, :, :3], params["stages_0"]["patches"]["proj"]["kernel"])


def test_another_end_is_random(start):
    path, params = start
    more = load_segformer(path, dataclasses.replace(SMALL, outputs=7))
    same(more["decoder"]["project_0"], params["decoder"]["project_0"])
    assert more["decoder"]["head"]["kernel"].shape == (1, 1, 16, 7)
    cfg = dataclasses.replace(SMALL, norm="layer", outputs=0)
    first, again, other = (load_segformer(path, cfg, jax.random.key(k)) for k in (0, 0, 1))
    assert rules.flatten(first).keys() == rules.flatten(segformer.shapes(cfg)).keys()
    same(first, again)
    same(first["stages_3"], params["stages_3"])
    assert np.any(first["decoder"]["fuse"] != other["decoder"]["fuse"])
    assert np.any(first["decoder"]["fuse"] != params["decoder"]["fuse"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depths": (1, 2, 1, 1)}, "depths (1, 1, 1, 1) there, (1, 2, 1, 1) here"),
        ({"heads": (2, 2, 3, 4)}, "heads (1, 2, 3, 4) there, (2, 2, 3, 4) here"),
        ({"in_channels": 1}, "in_channels 3 there, 1 here"),
    ],
)
def test_another_encoder_is_refused(start, fields, message):
    with pytest.raises(NitrogenError) as error:
        load_segformer(start[0], dataclasses.replace(SMALL, **fields))
    assert message in str(error.value)
