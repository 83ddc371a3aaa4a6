"""Labels that were read off an overlay, against the pads that were held."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTONS
from nitrogen_jax.labeling.accuracy import score
from nitrogen_jax.labeling.skins.skin import States


def accuracy(labels: Path, truth: Path, seed: int = 0) -> dict[str, Any]:
    """How far the labels of a tree agree with the true ones of the same videos.

    Args:
        labels: a tree of `nitrogen label run`; frames of confidence 0 and frames without a label
            count as not covered, and are in no other number.
        truth: a tree that has all frames, of `nitrogen eval record`.
        seed: of the resampling.

    Returns:
        What `score.summary` does, with 95 % intervals over videos, and `frames`, `pressed`: the
        buttons that were ever pressed.
    """
    true, read = _by_video(truth), _by_video(labels)
    if unknown := sorted(read.keys() - true.keys()):
        raise NitrogenError(f"{labels} has video {unknown[0]}, which {truth} does not have")
    clips, pressed = [], np.zeros(len(BUTTONS), bool)
    for video, rows in sorted(true.items()):
        size = max(start + len(actions) for start, (actions, _) in rows.items())
        wanted, _ = _whole(rows, size)
        found, kept = _whole(read.get(video, {}), size)
        pressed |= wanted.buttons.any(0)
        one = score.score(found, wanted, kept, BUTTONS) if kept.any() else None
        clips.append(
            {"kind": "known", "frames": size, "located": one is not None, "accepted": True}
            | {"score": one}
        )
    names = [name for at, name in enumerate(BUTTONS) if pressed[at]]
    frames = sum(clip["frames"] for clip in clips)
    return {**score.summary(clips, seed), "frames": frames, "pressed": names}


Rows = Mapping[int, tuple[np.ndarray, np.ndarray]]  # first frame -> actions (N, 25), kept (N,)


def _by_video(root: Path) -> dict[str, dict[int, tuple[np.ndarray, np.ndarray]]]:
    found: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for raw in label_tree.open_tree(root).scan():
        meta, table = label_tree.read_chunk(raw)
        rows = table.actions, table.confidence > 0
        found.setdefault(meta.video.video_id, {})[meta.video.start_frame] = rows
    return found


def _whole(rows: Rows, size: int) -> tuple[States, np.ndarray]:
    """The states of all frames of a video, at rest where nothing is known, and which are known."""
    actions, kept = gamepad.neutral(size), np.zeros(size, bool)
    for start, (some, good) in rows.items():
        end = min(start + len(some), size)
        actions[start:end], kept[start:end] = some[: end - start], good[: end - start]
    pad = gamepad.decode(actions)
    pulled = np.zeros((size, 2), np.float32)  # how far triggers are: they count as buttons here
    return States(pad.pressed, pad.left, pad.right, pulled), kept
