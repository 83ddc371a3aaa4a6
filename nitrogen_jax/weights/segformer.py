"""A SegFormer from a file: as published, or as a start for a network that differs at its ends."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import segformer
from nitrogen_jax.models.segformer_config import SegformerConfig
from nitrogen_jax.weights import checkpoint, segformer_names, segformer_sizes
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress
from nitrogen_jax.weights.meta import Meta
from nitrogen_jax.weights.rules import Flat, flatten, unflatten

log = logging.getLogger(__name__)

_FIRST = "stages_0/patches/proj/kernel"
# what a start may have otherwise than the network that it is for; the encoder is the same
_FREE = frozenset({"name", "in_channels", "decoder_width", "outputs", "norm", "drop_path"})


def from_tensors(tensors: Mapping[str, Any], path: Path, progress: Progress) -> Checkpoint:
    """The tensors of a published file: whole, an encoder alone, or one that classifies pictures."""
    cfg = segformer_sizes.of(tensors, path)
    hint = f"The sizes are those of {cfg.name}; a config.json beside the file may say others."
    params = segformer_names.to_ours(tensors, cfg, str(path), hint, progress)
    return Checkpoint(
        params, Meta(cfg, provenance={"source": path.name, "source_format": "segformer"})
    )


def load_segformer(
    path: str | Path, cfg: SegformerConfig, key: jax.Array | None = None
) -> dict[str, Any]:
    """Float32 parameters of `cfg` with the encoder of a file, and as much else as fits.

    Input channels beyond those of the file have kernels of zeros, so that the first answer is the
    file's. The decoder is taken where its width and its norm are the same, its last layer where
    it also has as many outputs; the rest is random.

    Args:
        path: any checkpoint of a SegFormer, published or of this program.
        cfg: the network that is to start.
        key: of the random parameters; a fixed one without it.
    """
    loaded = checkpoint.load(path)
    found = loaded.meta.config
    if not isinstance(found, SegformerConfig):
        raise NitrogenError(f"{path} is a {loaded.meta.name_of_kind}, where a SegFormer is needed")
    _check_encoder(found, cfg.check(), path)
    given = flatten(loaded.params)
    given[_FIRST] = _with_channels(given[_FIRST], cfg.in_channels)
    wanted = flatten(segformer.shapes(cfg))
    taken = {name: given[name] for name in wanted if _is_taken(name, given, wanted, found, cfg)}
    missing = [name for name in wanted if name not in taken]
    if missing:
        log.info("%s lacks %d tensors, which are random: %s", path, len(missing), missing)
        made = _random(cfg, tuple(missing), jax.random.key(0) if key is None else key)
        taken |= {name: np.asarray(value) for name, value in made.items()}
    return unflatten({name: taken[name] for name in wanted})


@functools.partial(jax.jit, static_argnums=(0, 1))
def _random(cfg: SegformerConfig, names: tuple[str, ...], key: jax.Array) -> Flat:
    """Those of `init`; the others are not even compiled."""
    made = flatten(segformer.init(cfg, key))
    return {name: made[name] for name in names}


def _check_encoder(found: SegformerConfig, cfg: SegformerConfig, path: str | Path) -> None:
    differing = [
        f"{field.name} {getattr(found, field.name)} there, {getattr(cfg, field.name)} here"
        for field in dataclasses.fields(cfg)
        if field.name not in _FREE and getattr(found, field.name) != getattr(cfg, field.name)
    ]
    if cfg.in_channels < found.in_channels:
        differing.append(f"in_channels {found.in_channels} there, {cfg.in_channels} here")
    if differing:
        raise NitrogenError(f"{path} cannot start {cfg.name}: {'; '.join(differing)}")


def _is_taken(
    name: str, given: Flat, wanted: Flat, found: SegformerConfig, cfg: SegformerConfig
) -> bool:
    if not name.startswith("decoder/"):
        return True
    same = (found.decoder_width, found.norm) == (cfg.decoder_width, cfg.norm)
    return same and name in given and given[name].shape == wanted[name].shape


def _with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """(k, k, in, out) with zeros for further inputs."""
    more = channels - kernel.shape[2]
    return np.pad(kernel, ((0, 0), (0, 0), (0, more), (0, 0)))
