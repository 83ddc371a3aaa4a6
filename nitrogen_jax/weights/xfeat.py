"""XFeat's parameters: from the published `.pt`, and from the file that comes with this package."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.models import xfeat
from nitrogen_jax.weights import rules
from nitrogen_jax.weights.format_safetensors import OWN, LazyTensors
from nitrogen_jax.weights.rules import CONV, COPY, Rule
from nitrogen_jax.weights.torch_read import read_torch

BATCH_NORM_EPS = 1e-5
SHIPPED = resources.files("nitrogen_jax.models") / "data" / "xfeat.safetensors"
_UNUSED = ("fine_matcher.", "num_batches_tracked")

_BLOCKS = {
    **{name: name for name in ("block1", "block2", "block3", "block4", "block5")},
    "fusion": "block_fusion",
    "reliability": "heatmap_head",
    "points": "keypoint_head",
}
_LAST = {  # the layers without a batch norm
    "skip": "skip1.1",
    "fusion_out": "block_fusion.2",
    "reliability_out": "heatmap_head.2",
    "points_out": "keypoint_head.3",
}
_TENSORS = (("kernel", "weight", CONV), ("bias", "bias", COPY))
# the tensors of the original, after its batch norms have become biases
TABLE = [
    *[
        Rule(f"{ours}/{leaf}", f"{theirs}.{name}", layout)
        for ours, theirs in _LAST.items()
        for leaf, name, layout in _TENSORS
    ],
    *[
        Rule(rf"{ours}/layers_(\d+)/{leaf}", rf"{theirs}.\1.layer.0.{name}", layout)
        for ours, theirs in _BLOCKS.items()
        for leaf, name, layout in _TENSORS
    ],
]


def from_original(tensors: Mapping[str, np.ndarray], source: str) -> dict[str, Any]:
    """The original's tensors -> our float32 parameters, batch norms folded into convolutions."""
    own = {
        name: tensor
        for name, tensor in tensors.items()
        if isinstance(name, str) and not any(word in name for word in _UNUSED)
    }
    return rules.to_ours(_folded(own), xfeat.shapes(), TABLE, source)


def read_original(path: str | Path) -> dict[str, Any]:
    """The published `xfeat.pt` -> our parameters; nothing in it is executed."""
    content = read_torch(path)
    if not isinstance(content, Mapping):
        raise NitrogenError(f"{path}: it holds a {type(content).__name__}, not XFeat's tensors")
    return from_original({k: v for k, v in content.items() if isinstance(v, np.ndarray)}, str(path))


def write(params: Mapping[str, Any], path: str | Path) -> None:
    """Our parameters in 16-bit floats, `.safetensors`."""
    from safetensors.numpy import save_file

    flat = {k: np.asarray(v, np.float16, "C") for k, v in rules.flatten(params).items()}
    with atomic_path(path) as temporary:
        save_file(flat, temporary)


def read(path: str | Path) -> dict[str, Any]:
    """A file that `write` wrote -> float32 parameters."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return rules.to_ours(LazyTensors(file), xfeat.shapes(), OWN, str(path))
    except (SafetensorError, OSError) as error:
        raise NitrogenError(f"{path} is not a complete .safetensors file: {error}") from None


@functools.cache
def shipped() -> dict[str, Any]:
    """The parameters that come with this package; read once."""
    with resources.as_file(SHIPPED) as path:
        return read(path)


def _folded(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each "...layer.1" batch norm goes into the kernel and the bias of its "...layer.0"."""
    found = dict(tensors)
    for name in tensors:
        if not name.endswith(".layer.0.weight"):
            continue
        layer = name.removesuffix("0.weight")
        names = (f"{layer}1.running_mean", f"{layer}1.running_var")
        kernel = tensors[name]
        if not all(n in tensors and tensors[n].shape == kernel.shape[:1] for n in names):
            continue  # what is missing or odd is listed with all the rest
        mean, variance = (np.asarray(found.pop(n), np.float64) for n in names)
        gain = 1 / np.sqrt(variance + BATCH_NORM_EPS)
        gain_of = gain.reshape(-1, *[1] * (kernel.ndim - 1))
        found[name] = (kernel * gain_of).astype(np.float32)
        found[f"{layer}0.bias"] = (-mean * gain).astype(np.float32)
    return found
