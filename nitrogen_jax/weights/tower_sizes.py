"""Sizes of a vision tower from a file: `vision.json`, a Hugging Face `config.json`, or a preset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import VisionConfig
from nitrogen_jax.models.presets import vision_preset

# our field <- the published name
_FIELDS = {
    "image_size": "image_size",
    "patch_size": "patch_size",
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp": "intermediate_size",
}
# What a published config.json leaves out if it has the default value.
_PUBLISHED_TYPES = ("siglip", "siglip_vision_model")
_PUBLISHED_DEFAULTS = {
    "image_size": 224,
    "patch_size": 16,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
# Fields that must have one value, because our tower does nothing else with them.
_FIXED = {"hidden_act": "gelu_pytorch_tanh", "num_channels": 3}


MOST_LAYERS = 1000  # a file that names more is damaged or hostile: it would take hours to refuse


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NitrogenError(f"{path} is not a readable JSON file: {error}") from None


def read(path: Path, name: str = "custom") -> tuple[VisionConfig, dict[str, int] | None]:
    """A JSON file -> sizes of the tower, and games (name -> row) where it lists them."""
    data = read_json(path)
    sizes = data
    for key in ("vision", "vision_config"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            sizes = data[key]
    if not isinstance(sizes, dict):
        raise NitrogenError(f"{path}: a table with {', '.join(_FIELDS.values())} is needed")
    values = {}
    default = _PUBLISHED_DEFAULTS if sizes.get("model_type") in _PUBLISHED_TYPES else {}
    for ours, theirs in _FIELDS.items():
        value = sizes.get(theirs, default.get(theirs))
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise NitrogenError(
                f"{path}: {theirs} is {value!r}, where a whole number of at least 1 is needed"
            )
        values[ours] = value
    for theirs, wanted in _FIXED.items():
        if sizes.get(theirs, wanted) != wanted:
            raise NitrogenError(
                f"{path}: {theirs} is {sizes[theirs]!r}, which is not supported; "
                f"it must be {wanted!r}"
            )
    eps = sizes.get("layer_norm_eps", VisionConfig.eps)
    if not isinstance(eps, int | float) or isinstance(eps, bool) or not 0 <= eps < 1:
        raise NitrogenError(f"{path}: layer_norm_eps is {eps!r}, where a small number is needed")
    name = str(sizes.get("name", name))
    cfg = VisionConfig(name=name, eps=float(eps), **values)
    return check(cfg, str(path)), data.get("games")


def check(cfg: VisionConfig, source: str) -> VisionConfig:
    """Returns `cfg`; raises where the sizes of a tower do not fit each other."""
    for field in _FIELDS:
        if getattr(cfg, field) < 1:
            raise NitrogenError(f"{source}: {field} is {getattr(cfg, field)}, where 1 is the least")
    if cfg.depth > MOST_LAYERS:
        raise NitrogenError(
            f"{source}: the tower has {cfg.depth} layers, where {MOST_LAYERS} are the most"
        )
    if cfg.width % cfg.heads:
        raise NitrogenError(
            f"{source}: the tower's width {cfg.width} is not a multiple of its {cfg.heads} heads"
        )
    if cfg.patch_size > cfg.image_size:
        raise NitrogenError(
            f"{source}: the tower's patches of {cfg.patch_size} pixels are larger than its image "
            f"of {cfg.image_size}"
        )
    return cfg


def to_json(cfg: VisionConfig) -> dict[str, int]:
    """Sizes under their published names, as in `vision.json`."""
    return {theirs: getattr(cfg, ours) for ours, theirs in _FIELDS.items()}


def resolve(
    option: str | Path | VisionConfig | None, beside: Path
) -> tuple[VisionConfig | None, dict[str, int] | None]:
    """Sizes from the user's `--vision` (a file or a preset's name), else from `vision.json` beside.

    (None, None) where there is neither.
    """
    if isinstance(option, VisionConfig):
        return option, None
    if option is not None:
        path = Path(option)
        if path.suffix == ".json" or path.is_file():
            return read(path, path.stem)
        return vision_preset(str(option)), None
    path = beside / "vision.json"
    return read(path) if path.is_file() else (None, None)
