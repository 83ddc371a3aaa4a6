"""The original's `.pt`: read through the allow-list, written so that `torch.load` takes it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nitrogen_jax import config
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.weights import ckpt_config, original, rules, segformer, segformer_names
from nitrogen_jax.weights import meta as metadata
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress
from nitrogen_jax.weights.torch_read import read_torch

_META = "nitrogen_jax"  # an entry of ours beside the original's four, ignored by its code


def read(path: Path, vision: str | Path | None, progress: Progress) -> Checkpoint:
    """A checkpoint in the released format, the original's or ours."""
    content = read_torch(path)
    if not isinstance(content, Mapping):
        raise NitrogenError(f"{path}: it holds a {type(content).__name__}, not a checkpoint")
    if "model" not in content:
        if original.POLICY_MARK in content:
            raise NitrogenError(
                f"{path}: it holds the tensors of a policy without 'ckpt_config' beside them, so "
                "its sizes are not known"
            )
        if original.tower_prefix(content) is not None:
            return original.from_tower(_tensors(content, path), path, vision, progress)
        if segformer_names.names_of(content) is not None:
            return segformer.from_tensors(_tensors(content, path), path, progress)
        raise NitrogenError(
            f"{path} is not a NitroGen checkpoint: it has no entry 'model' beside "
            f"{', '.join(map(str, list(content)[:5])) or 'nothing'}"
        )
    if "ckpt_config" not in content:
        raise NitrogenError(f"{path}: it has no entry 'ckpt_config', so its sizes are not known")
    own = _own_meta(content, path)
    if own is not None:
        own = metadata.with_vision(own, vision, path)
    checkpoint = original.from_policy(
        _tensors(content["model"], path),
        content["ckpt_config"],
        path,
        vision if own is None else own.config.vision,
        progress,
        step=_count(content, "step", path),
        epoch=_count(content, "epoch", path),
    )
    if own is None:
        return checkpoint
    _check_agreement(own.config, checkpoint.meta.config, path)
    both = checkpoint.meta.notices + own.notices
    meta = metadata.changed(
        own, step=checkpoint.meta.step, epoch=checkpoint.meta.epoch, notices=both
    )
    return Checkpoint(checkpoint.params, meta)


def write(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """The original's four entries, and ours as a JSON string beside them."""
    meta = checkpoint.meta
    if meta.kind != "policy":
        raise NitrogenError(
            f"cannot write {path}: the .pt format holds a whole policy, and this checkpoint is a "
            f"{meta.name_of_kind} alone: write .safetensors or an Orbax folder"
        )
    content = {
        "model": OrderedDict(original.to_tensors(checkpoint)),
        "step": meta.step,
        "epoch": meta.epoch,
        "ckpt_config": ckpt_config.from_policy_config(meta.config, meta.original_config),
        _META: json.dumps(metadata.to_json(meta)),
    }
    from nitrogen_jax.weights.torch_write import write_torch

    write_torch(path, content, progress)


def _own_meta(content: Mapping, path: Path) -> metadata.Meta | None:
    if _META not in content:
        return None
    try:
        data = json.loads(content[_META])
    except (TypeError, json.JSONDecodeError, RecursionError):
        raise NitrogenError(f"{path}: its entry {_META!r} is not JSON text") from None
    own = metadata.from_json(data, str(path))
    if own.kind != "policy":
        raise NitrogenError(
            f"{path}: its entry {_META!r} describes a {own.name_of_kind}, not a policy"
        )
    return own


def _check_agreement(own: PolicyConfig, theirs: PolicyConfig, path: Path) -> None:
    """Our entry and `ckpt_config` say the same, unless other hands changed one of them."""
    ours = dict(rules.flatten(config.to_dict(own)))
    for name, value in rules.flatten(config.to_dict(theirs)).items():
        if ours[name] != value:
            raise NitrogenError(
                f"{path}: {name.replace('/', '.')} is {ours[name]!r} in its entry {_META!r} and "
                f"{value!r} in its ckpt_config: make them equal or remove the entry"
            )


def _tensors(entry: object, path: Path) -> Mapping[str, np.ndarray]:
    if not isinstance(entry, Mapping):
        raise NitrogenError(f"{path}: its entry 'model' is not a table of tensors")
    for name, tensor in entry.items():
        if not isinstance(name, str) or not isinstance(tensor, np.ndarray):
            raise NitrogenError(f"{path}: model entry {name!r} is not a tensor")
    return entry


def _count(content: Mapping, name: str, path: Path) -> int:
    value = content.get(name, 0)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NitrogenError(f"{path}: {name} is {value!r}, where a whole number is needed")
    return value
