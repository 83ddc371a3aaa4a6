"""The reader's parameters as one file, and those that come with this package, if any do."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser import network
from nitrogen_jax.labeling.parser.shipped import SHIPPED, is_shipped
from nitrogen_jax.models.segformer_config import SegformerConfig
from nitrogen_jax.weights import checkpoint, rules
from nitrogen_jax.weights.checkpoint import Checkpoint
from nitrogen_jax.weights.meta import Meta


def write(
    params: Mapping[str, Any],
    cfg: SegformerConfig,
    path: str | Path,
    step: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Parameters in 16-bit floats and their config, as one `.safetensors`."""
    if Path(path).suffix != ".safetensors":
        raise NitrogenError(f"cannot write {path}: the reader's file must end in .safetensors")
    flat = {name: np.asarray(leaf, np.float16) for name, leaf in rules.flatten(params).items()}
    meta = Meta(network.check(cfg), step=step, provenance=dict(provenance or {}))
    checkpoint.save(Checkpoint(rules.unflatten(flat), meta), path)


def read(path: str | Path) -> tuple[dict[str, Any], SegformerConfig]:
    """Float32 parameters and their config, of a file, a checkpoint or the folder of a run."""
    loaded = checkpoint.load(path)
    cfg = loaded.meta.config
    if not isinstance(cfg, SegformerConfig):
        raise NitrogenError(f"{path} is a {loaded.meta.kind}, where a reader's network is needed")
    try:
        network.check(cfg)
    except NitrogenError as error:
        raise NitrogenError(f"{path}: {error}") from None
    return dict(loaded.params), cfg


def export(run: str | Path, path: str | Path) -> None:
    """A training run's newest checkpoint as one file."""
    params, cfg = read(run)
    meta = checkpoint.load(run).meta
    write(params, cfg, path, meta.step, meta.provenance)


@functools.cache
def shipped() -> tuple[dict[str, Any], SegformerConfig]:
    """What `read` says of the file that comes with this package."""
    if not is_shipped():
        raise NitrogenError(
            "no parameters of the neural reader come with this version: train some with "
            "configs/parser_b0.py, or read with readers = 'fit'"
        )
    with resources.as_file(SHIPPED) as path:
        return read(path)
