"""`.safetensors`: ours (metadata inside), a published tower or SegFormer, or the original's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.weights import meta as metadata
from nitrogen_jax.weights import original, rules, segformer, segformer_names, tower_sizes
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress, shapes

_META = "nitrogen_jax"
OWN = [rules.Rule("(.*)", r"\1")]  # our paths are our paths


# names of types in the file -> NumPy's; others, such as those of 8-bit floats, stay as they are
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class LazyTensor:
    """A tensor of an open file, read when NumPy asks for its values."""

    def __init__(self, file: Any, name: str):
        about = file.get_slice(name)
        self._file, self._name = file, name
        self.shape = tuple(about.get_shape())
        self.dtype = _DTYPES.get(about.get_dtype(), about.get_dtype())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._file.get_tensor(self._name)
        return array if dtype is None else array.astype(dtype)


class LazyTensors(Mapping[str, LazyTensor]):
    """Tensors of an open file by name."""

    def __init__(self, file: Any):
        self._tensors = {name: LazyTensor(file, name) for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> LazyTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def read(path: Path, vision: str | Path | None, progress: Progress) -> Checkpoint:
    """A checkpoint of any of these kinds, told apart by what is inside."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors, note = LazyTensors(file), file.metadata() or {}
            if _META in note:
                return _read_own(tensors, note[_META], path, vision, progress)
            if original.POLICY_MARK in tensors:
                return _read_original(tensors, path, vision, progress)
            if original.tower_prefix(tensors) is not None:
                return original.from_tower(tensors, path, vision, progress)
            if segformer_names.names_of(tensors) is not None:
                return segformer.from_tensors(tensors, path, progress)
    except SafetensorError as error:
        raise NitrogenError(f"{path} is not a complete .safetensors file: {error}") from None
    raise NitrogenError(
        f"{path}: neither a checkpoint of nitrogen_jax, nor NitroGen tensors, nor a SigLIP tower, "
        "nor a SegFormer"
    )


def write(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """Our parameters under our paths, metadata in the header."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    flat = {k: np.ascontiguousarray(v) for k, v in rules.flatten(checkpoint.params).items()}
    note = {_META: json.dumps(metadata.to_json(checkpoint.meta))}
    with atomic_path(path) as temporary:
        try:
            save_file(flat, temporary, metadata=note)
        except SafetensorError as error:
            raise NitrogenError(f"cannot write {path}: {error}") from error
        progress(sum(array.nbytes for array in flat.values()))


def _read_own(tensors, note, path, vision, progress) -> Checkpoint:
    try:
        meta = metadata.from_json(json.loads(note), str(path))
    except (json.JSONDecodeError, RecursionError):
        raise NitrogenError(f"{path}: its metadata is not JSON text") from None
    meta = metadata.with_vision(meta, vision, path)
    return Checkpoint(own_params(tensors, meta, str(path), progress), meta)


def own_params(tensors, meta, source: str, progress: Progress) -> dict[str, Any]:
    """Tensors under our own paths -> checked nested parameters."""
    return rules.to_ours(tensors, shapes(meta), OWN, source, progress=progress)


def _read_original(tensors, path, vision, progress) -> Checkpoint:
    config = path.parent / "ckpt_config.json"
    if not config.is_file():
        raise NitrogenError(f"{path}: NitroGen tensors need ckpt_config.json beside them")
    data = tower_sizes.read_json(config)
    return original.from_policy(tensors, data, path, vision, progress)
