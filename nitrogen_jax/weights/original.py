"""The original's named tensors and `ckpt_config` <-> a checkpoint of ours, in any file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy, siglip2
from nitrogen_jax.models.configs import VisionConfig
from nitrogen_jax.weights import ckpt_config, rules, tables, tower_sizes
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress
from nitrogen_jax.weights.meta import Meta, check_games

POLICY_MARK = "action_encoder.W1.W"  # a tensor that every policy has and no tower
_GAMES = "game_embedding.weight"
_TOWER_MARK = "embeddings.patch_embedding.weight"


def from_policy(
    tensors: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    path: Path,
    vision: str | Path | None,
    progress: Progress,
    *,
    step: int = 0,
    epoch: int = 0,
) -> Checkpoint:
    """The tensors of a whole policy under the original's names."""
    sizes, games = tower_sizes.resolve(vision, path.parent)
    rows = None
    if _GAMES in tensors:
        shape = tuple(tensors[_GAMES].shape)
        if len(shape) != 2 or shape[0] < 1:
            raise NitrogenError(f"{path}: {_GAMES} is {shape}, where (games, width) is needed")
        rows = shape[0]
    cfg, notices = ckpt_config.to_policy_config(config, vision=sizes, games=rows, source=str(path))
    hint = (
        f"The tower's sizes are those of {cfg.vision.name}; if the tower is another, give its "
        "sizes with --vision FILE."
    )
    params = rules.to_ours(tensors, policy.shapes(cfg), tables.NITROGEN, str(path), hint, progress)
    meta = Meta(
        config=cfg,
        games=None if games is None else check_games(games, rows, f"vision.json beside {path}"),
        step=step,
        epoch=epoch,
        original_config=ckpt_config.plain(config),
        provenance={"source": path.name, "source_format": "nitrogen"},
        notices=tuple(notices),
    )
    return Checkpoint(params, meta)


def from_tower(
    tensors: Mapping[str, np.ndarray], path: Path, vision: str | Path | None, progress: Progress
) -> Checkpoint:
    """A SigLIP tower as published: alone or with its text half, which is left out."""
    prefix = tower_prefix(tensors)
    assert prefix is not None
    sizes, _ = tower_sizes.resolve(vision, path.parent)
    if sizes is None and (path.parent / "config.json").is_file():
        sizes, _ = tower_sizes.read(path.parent / "config.json", path.parent.name)
    if sizes is None:
        raise NitrogenError(
            f"{path}: the tower's sizes are not known: put its config.json beside it or give "
            "--vision with a file or a preset such as google/siglip2-large-patch16-256"
        )
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and not _is_text(name)
    }
    hint = f"The sizes are those of {sizes.name}; give others with --vision FILE."
    params = rules.to_ours(own, siglip2.shapes(sizes), tables.SIGLIP, str(path), hint, progress)
    provenance = {"source": path.name, "source_format": "siglip"}
    return Checkpoint(params, Meta(config=sizes, provenance=provenance))


def tower_prefix(tensors: Mapping[str, Any]) -> str | None:
    """What stands before a published tower's names; None unless there is one tower.

    "" or "vision_model." in files of SigLIP itself, longer in models that it is a part of.
    """
    names = [n for n in tensors if isinstance(n, str) and f".{n}".endswith(f".{_TOWER_MARK}")]
    return names[0].removesuffix(_TOWER_MARK) if len(names) == 1 else None


def to_tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """A policy's parameters under the original's names, or a tower's under the published ones."""
    is_tower = isinstance(checkpoint.meta.config, VisionConfig)
    return rules.to_foreign(checkpoint.params, tables.SIGLIP if is_tower else tables.NITROGEN)


def _is_text(name: str) -> bool:
    return name.startswith("text_model.") or name in ("logit_scale", "logit_bias")
