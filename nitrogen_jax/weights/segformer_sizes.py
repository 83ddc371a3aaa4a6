"""Sizes of a SegFormer from its published `config.json`, or from the shapes of its tensors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.segformer_config import MOST_BLOCKS, PRESETS, SegformerConfig
from nitrogen_jax.weights import rules, segformer_names, tower_sizes
from nitrogen_jax.weights.meta import check_segformer

# our field <- the published name; what a file leaves out has the value of the smallest network
_TUPLES = {
    "depths": "depths",
    "widths": "hidden_sizes",
    "heads": "num_attention_heads",
    "reductions": "sr_ratios",
    "mlp_ratios": "mlp_ratios",
    "patches": "patch_sizes",
    "strides": "strides",
}
_NUMBERS = {"in_channels": "num_channels", "decoder_width": "decoder_hidden_size"}
# Fields that must have one value, because our network does nothing else with them.
_FIXED = {"hidden_act": "gelu"}
_BLOCK = re.compile(r"(?:segformer\.)?(?:encoder\.block|stages)\.(\d+)\.(?:blocks\.)?(\d+)\.")
_MARK = "decode_head.linear_fuse.weight"
_HEAD = "decode_head.classifier.weight"


def of(tensors: Mapping[str, Any], path: Path) -> SegformerConfig:
    """From the `config.json` beside `path`, or else from the tensors."""
    beside = path.parent / "config.json"
    data = tower_sizes.read_json(beside) if beside.is_file() else None
    if isinstance(data, Mapping) and data.get("model_type") == "segformer":
        cfg = _published(data, beside, decoder=_MARK in tensors)
        fused, head = (_sizes(tensors.get(name)) for name in (_MARK, _HEAD))
        outputs = head[0] if head and fused else 0
        return check_segformer(dataclasses.replace(cfg, outputs=outputs), str(beside))
    return check_segformer(_from_shapes(tensors, path), str(path))


def _published(data: Mapping[str, Any], path: Path, *, decoder: bool) -> SegformerConfig:
    default = SegformerConfig()
    for theirs, wanted in _FIXED.items():
        if data.get(theirs, wanted) != wanted:
            raise NitrogenError(
                f"{path}: {theirs} is {data[theirs]!r}, which is not supported; "
                f"it must be {wanted!r}"
            )
    values: dict[str, Any] = {}
    for ours, theirs in _TUPLES.items():
        found = data.get(theirs, list(getattr(default, ours)))
        if not isinstance(found, list) or not all(_is_count(value) for value in found):
            raise NitrogenError(
                f"{path}: {theirs} is {found!r}, where a whole number of at least 1 for each stage "
                "is needed"
            )
        values[ours] = tuple(found)
    for ours, theirs in _NUMBERS.items():
        values[ours] = data.get(theirs, getattr(default, ours))
        if not _is_count(values[ours]):
            raise NitrogenError(
                f"{path}: {theirs} is {values[ours]!r}, where a whole number of at least 1 is "
                "needed"
            )
    if not decoder:
        values["decoder_width"] = 0
    return SegformerConfig(_name(values["depths"], values["widths"]), outputs=0, **values)


def _from_shapes(tensors: Mapping[str, Any], path: Path) -> SegformerConfig:
    """All but the heads, which no shape tells: they are those of the published networks."""
    found = segformer_names.names_of(tensors)
    assert found is not None
    table = segformer_names.table_of(*found)

    def sizes(ours: str) -> tuple[int, ...] | None:
        """The shape of the tensor that the table calls like this, as it lies in the file."""
        return _sizes(tensors.get(rules.place([ours], table)[0].foreign))

    default = SegformerConfig()
    depths = [0] * default.stages
    for name in tensors:
        match = _BLOCK.match(name)
        if match and int(match[1]) < len(depths) and len(match[2]) < 5:
            depths[int(match[1])] = max(depths[int(match[1])], int(match[2]) + 1)
    values: dict[str, Any] = {field: list(getattr(default, field)) for field in _TUPLES}
    values["depths"] = [min(depth, MOST_BLOCKS) or 1 for depth in depths]
    for stage in range(default.stages):
        patches = sizes(f"stages_{stage}/patches/proj/kernel")
        if patches is None or len(patches) != 4:
            raise NitrogenError(
                f"{path}: the sizes of its SegFormer are not known, because the patches of stage "
                f"{stage} are missing or no convolution: put its config.json beside it"
            )
        width = values["widths"][stage] = patches[0]
        values["patches"][stage] = patches[2]
        reduce = sizes(f"stages_{stage}/blocks_0/reduce/proj/kernel")
        values["reductions"][stage] = reduce[-1] if reduce else 1
        hidden = sizes(f"stages_{stage}/blocks_0/mlp/fc1/kernel")
        values["mlp_ratios"][stage] = max(hidden[0] // max(width, 1), 1) if hidden else 4
    values = {field: tuple(value) for field, value in values.items()}
    if values["widths"] not in {preset.widths for preset in PRESETS.values()}:
        raise NitrogenError(
            f"{path}: how many heads its attention has is not known, because its widths "
            f"{values['widths']} are those of no published SegFormer: put its config.json beside it"
        )
    values["heads"] = next(p.heads for p in PRESETS.values() if p.widths == values["widths"])
    fused, head = sizes("decoder/fuse"), sizes("decoder/head/kernel")
    first = sizes("stages_0/patches/proj/kernel") or (0, 0)
    return SegformerConfig(
        _name(values["depths"], values["widths"]),
        in_channels=first[1],
        decoder_width=fused[0] if fused else 0,
        outputs=head[0] if head and fused else 0,
        **values,
    )


def _name(depths: tuple[int, ...], widths: tuple[int, ...]) -> str:
    """Of the published network with these blocks and channels."""
    names = (n for n, p in PRESETS.items() if (p.depths, p.widths) == (depths, widths))
    return next(names, "custom")


def _sizes(tensor: Any) -> tuple[int, ...] | None:
    return tuple(tensor.shape) if tensor is not None and len(tensor.shape) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
