"""Labels without their meaning: the same actions, each where another one was.

What a policy can learn from shuffled labels is how often things are pressed and how they go on;
nothing of it has to do with the pictures. It is what learning from labels is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nitrogen_jax.data import label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path


def shuffle_tree(labels: Path, out: Path, seed: int = 0, block: float = 1.0) -> int:
    """Writes a label tree with the same videos and rows, whose actions change places; its chunks.

    Args:
        out: a folder that is not there yet.
        block: seconds of actions that stay together, in their order; the last ones of the tree may
            be fewer.
    """
    if out.exists():
        raise NitrogenError(f"{out} exists: shuffled labels need a new folder")
    if not 0 < block <= 60:
        raise NitrogenError(f"block is {block} s, where more than 0 and up to 60 is possible")
    found = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(labels).scan()]
    found.sort(key=lambda one: (one[0].video.video_id, one[0].video.start_frame))
    rate = float(np.median([meta.rate for meta, _ in found]))
    order = orders([meta.chunk_size for meta, _ in found], max(1, round(block * rate)), seed)
    actions = np.concatenate([table.actions for _, table in found])[order]
    confidence = np.concatenate([table.confidence for _, table in found])[order]
    start = 0
    with atomic_path(out) as temporary:
        temporary.mkdir()
        for meta, _ in found:
            rows = slice(start, start := start + meta.chunk_size)
            label_tree.write_chunk(
                temporary, meta, actions[rows], processed=actions[rows], confidence=confidence[rows]
            )
    return len(found)


def orders(sizes: Sequence[int], block: int, seed: int) -> np.ndarray:
    """Of which row each row gets its action: all rows once, in blocks that change places.

    Args:
        sizes: rows of each chunk.
        block: rows that stay together.
    """
    rows = np.arange(sum(sizes))
    blocks = np.split(rows, range(block, len(rows), block))
    rng = np.random.default_rng(seed)
    return np.concatenate([blocks[at] for at in rng.permutation(len(blocks))])
