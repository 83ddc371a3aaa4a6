"""Any checkpoint in, any checkpoint out: Orbax, `.safetensors`, the original's `.pt`.

Each format is one module with `read` and `write`; this one finds out which it is.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import steps
from nitrogen_jax.weights.meta import Meta

log = logging.getLogger(__name__)

Progress = Callable[[int], None]  # bytes done since the last call

_FILE_SUFFIXES = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Parameters (nested dict of float32 NumPy arrays) and what they say about themselves."""

    params: Mapping[str, Any]
    meta: Meta


def shapes(meta: Meta) -> Mapping[str, Any]:
    """The parameters that `meta` promises, as a nested dict of `jax.ShapeDtypeStruct`s."""
    from nitrogen_jax.models import policy, segformer, siglip2

    network = {"policy": policy, "vision": siglip2, "segformer": segformer}[meta.kind]
    return network.shapes(meta.config)


def detect(path: Path) -> str:
    """ "orbax", "safetensors" or "torch", by content."""
    if path.is_dir():
        return "orbax"
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise NitrogenError(f"cannot read checkpoint {path}: {error.strerror}") from None
    if head[:2] == b"PK":
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return "safetensors"
    if path.suffix in (".pt", ".pth", ".ckpt"):
        return "torch"  # its reader says what is wrong
    if path.suffix == ".safetensors":
        return "safetensors"
    raise NitrogenError(
        f"{path} is not a checkpoint: an Orbax folder, a .safetensors or a .pt file is needed"
    )


def format_of(destination: Path) -> str:
    """The format that a name asks for: .pt, .safetensors, else an Orbax folder."""
    if destination.suffix in (".pt", ".pth"):
        return "torch"
    return "safetensors" if destination.suffix == ".safetensors" else "orbax"


def resolve(path: str | Path) -> Path:
    """The checkpoint that `path` means: itself, or one in a folder.

    A training run's folder, or the folder `checkpoints` in it, means the newest checkpoint that
    is whole; any other folder means the only checkpoint file in it.
    """
    path = Path(path)
    try:
        exists = path.exists()
    except OSError as error:  # such as a name that is too long
        raise NitrogenError(f"cannot read checkpoint {path}: {error.strerror}") from None
    if not exists:
        raise NitrogenError(f"checkpoint {path} does not exist")
    if path.is_dir() and not is_orbax(path):
        if trained := _of_a_run(path):
            return trained
        inside = [p for p in sorted(path.glob("[!.]*")) if p.suffix in _FILE_SUFFIXES]
        if len(inside) != 1:
            raise NitrogenError(
                f"{path} is not a checkpoint: it is no Orbax folder and holds {len(inside)} .pt or "
                ".safetensors files, where one is needed"
            )
        return inside[0]
    return path


def _of_a_run(path: Path) -> Path | None:
    """The newest whole checkpoint of a training run; None where `path` is no run."""
    for folder in (path / steps.FOLDER, path):
        found = steps.numbered(folder).values()
        found = [one for one in found if is_orbax(one) or (one / steps.SEAL).is_file()]
        for checkpoint in reversed(found):
            damage = steps.damage(checkpoint)
            if damage is None:
                return checkpoint
            log.warning("%s is damaged (%s): the one before is looked at", checkpoint, damage)
        if found:
            raise NitrogenError(f"{folder}: none of its {len(found)} checkpoints is whole")
    if (path / steps.FOLDER).is_dir():
        raise NitrogenError(f"{path / steps.FOLDER} holds no finished checkpoint")
    return None


def load(
    path: str | Path,
    vision: str | Path | None = None,
    progress: Progress = lambda amount: None,
) -> Checkpoint:
    """Reads and checks a checkpoint of any of the three formats.

    Args:
        path: an Orbax folder, a `.safetensors` or `.pt` file, or a folder as `resolve` takes it.
        vision: sizes of the vision tower, a JSON file or a preset's name; wins over a
            `vision.json` beside the file and over the preset that the checkpoint names.
        progress: called with the number of bytes of every tensor read.
    """
    path = resolve(path)
    return _module(detect(path)).read(path, vision, progress)


def save(
    checkpoint: Checkpoint, path: str | Path, progress: Progress = lambda amount: None
) -> None:
    """Writes `checkpoint` in the format that the name asks for; never half of it."""
    path = Path(path)
    try:
        _module(format_of(path)).write(checkpoint, path, progress)
    except OSError as error:
        raise NitrogenError(f"cannot write {path}: {error.strerror or error}") from error


def is_orbax(path: Path) -> bool:
    """Whether the folder `path` is an Orbax checkpoint, whole or not."""
    return (path / "_CHECKPOINT_METADATA").is_file() or (path / "_METADATA").is_file()


def _module(kind: str) -> Any:
    # NOTE: formats import each their own library, which an installation may lack.
    return importlib.import_module(f"nitrogen_jax.weights.format_{kind}")
