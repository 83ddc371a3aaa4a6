"""XFeat's parameters out of the published file: folding, refusals, the converter."""

from __future__ import annotations

from collections import OrderedDict

import jax
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("safetensors")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import xfeat
from nitrogen_jax.weights import rules, xfeat_convert
from nitrogen_jax.weights import xfeat as weights
from nitrogen_jax.weights.torch_write import write_torch


@pytest.fixture
def published():
    """Random tensors under the original's names, with batch norms and a fine matcher."""
    rng = np.random.default_rng(0)
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), xfeat.shapes())
    found = OrderedDict()
    for name, zeros in rules.to_foreign(like, weights.TABLE).items():
        values = rng.normal(size=zeros.shape).astype(np.float32)
        if name.endswith(".layer.0.bias"):
            layer = name.removesuffix("0.bias")
            found[f"{layer}1.running_mean"] = values
            found[f"{layer}1.running_var"] = np.abs(values) + 0.1
            found[f"{layer}1.num_batches_tracked"] = np.asarray(7)
        else:
            found[name] = values
    found["fine_matcher.0.weight"] = np.zeros((512, 128), np.float32)
    return found


def test_a_folded_layer_is_convolution_and_norm(published):
    params = weights.from_original(published, "here")
    x = np.random.default_rng(1).normal(size=24).astype(np.float32)  # one pixel
    kernel = published["block3.0.layer.0.weight"][:, :, 1, 1]
    mean, variance = (published[f"block3.0.layer.1.running_{n}"] for n in ("mean", "var"))
    wanted = (kernel @ x - mean) / np.sqrt(variance + 1e-5)
    layer = params["block3"]["layers_0"]
    np.testing.assert_allclose(x @ layer["kernel"][1, 1] + layer["bias"], wanted, rtol=1e-4)
    head = params["points_out"]["kernel"]
    np.testing.assert_array_equal(head[0, 0], published["keypoint_head.3.weight"][:, :, 0, 0].T)


def test_the_converter(published, tmp_path):
    source, target = tmp_path / "xfeat.pt", tmp_path / "out.safetensors"
    write_torch(source, published)
    assert xfeat_convert.main([str(source), str(target)]) == 0
    ours = rules.flatten(weights.read(target))
    exact = rules.flatten(weights.from_original(published, "here"))
    assert ours.keys() == exact.keys()
    for path, array in ours.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, exact[path], rtol=1e-3, atol=1e-6)
    assert target.stat().st_size < 1.4e6


def test_what_does_not_fit_is_listed(published):
    del published["skip1.1.weight"]
    del published["block4.1.layer.1.running_var"]
    published["block1.0.layer.0.weight"] = np.zeros((4, 2, 3, 3), np.float32)
    published["strange"] = np.zeros(3, np.float32)
    with pytest.raises(NitrogenError) as error:
        weights.from_original(published, "here")
    lines = str(error.value).splitlines()
    assert "  missing: skip1.1.weight (24, 1, 1, 1)" in lines
    assert "  missing: block4.1.layer.0.bias (64,)" in lines
    assert "  mis-shaped: block1.0.layer.0.weight is (4, 2, 3, 3), needed (4, 1, 3, 3)" in lines
    assert "  extra: strange (3,)" in lines


def test_files_that_are_none(tmp_path, capsys):
    write_torch(tmp_path / "list.pt", [1, 2])
    assert xfeat_convert.main([str(tmp_path / "list.pt"), str(tmp_path / "x.safetensors")]) == 2
    assert "it holds a list, not XFeat's tensors" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()
    (tmp_path / "cut.safetensors").write_bytes(weights.SHIPPED.read_bytes()[:1000])
    with pytest.raises(NitrogenError, match="is not a complete"):
        weights.read(tmp_path / "cut.safetensors")


def test_the_shipped_file_names_its_origin():
    note = weights.SHIPPED.with_name("xfeat.NOTICE.txt").read_text()
    assert "Apache License, Version 2.0" in note
    assert "xfeat_convert" in note
    kernels = [a for path, a in rules.flatten(weights.shipped()).items() if "kernel" in path]
    assert all(np.isfinite(a).all() and a.std() > 0 for a in kernels)
