"""What labelling finds out about one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import States

UNKNOWN_SKIN = "unknown"  # what stands for the name of a skin that is not in the library


@dataclass(frozen=True)
class Segment:
    """A part of a video in which the overlay stays where it is.

    Attributes:
        start, end: frames, the end not included.
        skin: its name in the library, or UNKNOWN_SKIN.
        at: where it lies in the picture.
        box: (x, y, width, height) of what it covers, clipped to the picture.
        opacity: of the whole overlay, about.
        score: how well the picture agrees with the skin, 0..1.
    """

    start: int
    end: int
    skin: str
    at: Placement
    box: tuple[float, float, float, float]
    opacity: float
    score: float
    controller: str = "unknown"


class VideoFailure(Exception):
    """A video that gives no labels; `cause` is one stable word for counting.

    Causes: no_overlay, two_overlays, overlay_cut_off, not_a_video, no_picture, damaged,
    size_changes, too_short, low_confidence, error.
    """

    def __init__(self, cause: str, message: str):
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, eq=False)
class VideoLabels:
    """Labels of the frames of a video.

    Attributes:
        frames: how many the video has.
        rate: of them a second, on average.
        times: (frames,) seconds since the first one.
        size: (height, width) of a picture.
        segments: those with an overlay, in order; frames in none of them have no labels.
        states: of all frames; idle where there are no labels.
        confidence: (frames,) float32 in 0..1; 0 where there are no labels.
        valid: (frames,) bool: labels that are good enough to train on.
        warnings: sentences about what was odd and did no harm, such as a variable frame rate.
        cpu_seconds: stage -> CPU seconds of this process.
    """

    frames: int
    rate: float
    times: np.ndarray
    size: tuple[int, int]
    segments: tuple[Segment, ...]
    states: States
    confidence: np.ndarray
    valid: np.ndarray
    warnings: tuple[str, ...] = ()
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
