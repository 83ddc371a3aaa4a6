"""Where a checkpoint came from: the size and the SHA-256 of its source."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nitrogen_jax.weights.checkpoint import Checkpoint, Progress
from nitrogen_jax.weights.meta import changed

_BLOCK = 1 << 22


def files(path: Path) -> list[Path]:
    """The file, or every file of the folder in a fixed order."""
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    return [path]


def size(path: Path) -> int:
    """Bytes of the file or folder."""
    return sum(p.stat().st_size for p in files(path))


def sha256(path: Path, progress: Progress = lambda amount: None) -> str:
    """Hash of a file's content, or of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for each in files(path):
        if path.is_dir():
            digest.update(str(each.relative_to(path)).encode() + b"\0")
        with each.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                progress(len(block))
    return digest.hexdigest()


def stamped(
    checkpoint: Checkpoint, source: Path, progress: Progress = lambda amount: None
) -> Checkpoint:
    """`checkpoint`, whose provenance names `source` and its hash, and what that came from."""
    earlier = dict(checkpoint.meta.provenance)
    note = {"source": source.name, "sha256": sha256(source, progress)}
    if "sha256" not in earlier and "source_format" in earlier:
        note["source_format"] = earlier["source_format"]
    elif earlier:
        note["from"] = earlier  # it had a history before this file
    return Checkpoint(checkpoint.params, changed(checkpoint.meta, provenance=note))
