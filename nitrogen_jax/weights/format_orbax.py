"""Orbax v1: a folder with the item `params`, and our metadata as its custom metadata."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.weights import meta as metadata
from nitrogen_jax.weights import rules, tower_sizes
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress, shapes
from nitrogen_jax.weights.format_safetensors import OWN, own_params

_META, _ITEM = "nitrogen_jax", "params"
_ROOT_FILE = "_CHECKPOINT_METADATA"


def read(path: Path, vision: str | Path | None, progress: Progress) -> Checkpoint:
    """Compares names, shapes and types before any array is read."""
    from orbax.checkpoint import v1 as ocp

    source = str(path)
    note, listed = _described(path)
    if _META not in note:
        raise NitrogenError(
            f"{path} is an Orbax checkpoint, but none of nitrogen_jax: its custom metadata has no "
            f"entry {_META!r}"
        )
    meta = metadata.from_json(note[_META], source)
    meta = metadata.with_vision(meta, vision, path)
    like = shapes(meta)
    wanted = rules.flatten(like)
    placed = rules.place(list(wanted), OWN)
    rules.report(rules.compare(listed, wanted, placed), source)
    # NOTE: NumPy leaves ask for NumPy arrays; structs would place everything on a device.
    like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), like)
    try:
        with _quiet():
            restored = ocp.load(path.absolute(), like, checkpointable_name=_ITEM)
    except Exception as error:
        raise NitrogenError(f"{path}: its arrays cannot be read: {_first_line(error)}") from error
    return Checkpoint(own_params(rules.flatten(restored), meta, source, progress), meta)


def write(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """A whole folder under a temporary name, then renamed."""
    from orbax.checkpoint import v1 as ocp

    note = {_META: metadata.to_json(checkpoint.meta)}
    params = jax.tree.map(np.asarray, dict(checkpoint.params))
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    with atomic_path(path) as temporary:
        _check_room(path.absolute().parent, size)
        # NOTE: Orbax makes a temporary folder beside its target and leaves it when it fails.
        with tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".orbax-") as room:
            target = Path(room).absolute() / "checkpoint"
            try:
                with _quiet():
                    ocp.save(target, params, checkpointable_name=_ITEM, custom_metadata=note)
            except Exception as error:
                raise NitrogenError(f"cannot write {path}: {_first_line(error)}") from error
            os.replace(target, temporary)
        progress(size)


def _described(path: Path) -> tuple[Mapping[str, Any], rules.Flat]:
    """Custom metadata and the listing of the arrays, of a checkpoint whose files are whole."""
    from orbax.checkpoint import v1 as ocp

    if (path / _ROOT_FILE).is_file():
        tower_sizes.read_json(path / _ROOT_FILE)  # Orbax takes a broken one for an empty one
    try:
        _check_chunks(path / _ITEM)
        with _quiet():
            found = ocp.metadata(path.absolute(), checkpointable_name=_ITEM)
        if not isinstance(found.metadata, Mapping):
            raise ValueError("its list of arrays cannot be read")
    except Exception as error:  # Orbax raises many kinds, and hides the reason in the cause
        raise NitrogenError(
            f"{path} is not a complete Orbax checkpoint with an item {_ITEM!r}: "
            f"{_first_line(error)}"
        ) from error
    listed = rules.flatten(found.metadata)
    odd = [name for name, leaf in listed.items() if not hasattr(leaf, "shape")]
    rules.report([f"mis-typed: {name} is no array" for name in odd], str(path))
    return found.custom_metadata or {}, listed


def _check_chunks(item: Path) -> None:
    """Raises unless every stored piece of every array is there in full length.

    NOTE: Orbax reads all arrays at once, and when one fails the others' callbacks find their
    event loop closed and fill standard error with tracebacks. So the pieces are looked at first.
    """
    import tensorstore

    if not item.is_dir():
        raise FileNotFoundError(f"there is no folder {item.name}")
    if (item / "manifest.ocdbt").is_file():
        base = {"driver": "file", "path": f"{item.absolute()}/"}
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
        for key in store.list().result():
            if not store.read(key).result().value:  # nothing is what it reads from a missing file
                raise FileNotFoundError(f"the file that holds {key.decode()} is missing")
    elif not any(item.glob("*/zarr.json")) and not any(item.glob("*/.zarray")):
        raise FileNotFoundError("there is no file manifest.ocdbt")


def _check_room(folder: Path, size: int) -> None:
    """Raises where `size` bytes do not fit, for the reason of `_check_chunks`."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise NitrogenError(f"cannot write to {folder}: {size:,} bytes are needed, {free:,} free")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Orbax from logging what becomes our exception."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
