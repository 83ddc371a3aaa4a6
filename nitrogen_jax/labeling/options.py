"""How videos are labelled: everything that decides the result, as one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass

# What can be left out: the placement's refinement, the first reading that tells the scene, the part
# of it that looks for a display of the game, values between grid positions, robustness against
# edges, the settling of sticks and doubtful presses, the parts of it that ask the frames before and
# after and that calibrate where a stick rests; and for the network: what the skin looks like, and
# the mean over cells near the best one.
STEPS = (
    *("refine", "scene", "display", "between", "edges", "settle", "time", "centre"),
    *("template", "softmax"),
)


@dataclass(frozen=True)
class LabelOptions:
    """Everything that decides the labels of a video.

    Attributes:
        box: (x, y, width, height) in pixels where the overlay is known to lie; None: it is looked
            for everywhere.
        samples: frames of a video in which the overlay is looked for.
        recheck_seconds: how often it is looked at whether the overlay is still there.
        keep_confidence: frames with less are not valid.
        remap: button -> button of the game's usual binding, for `actions_processed`.
        readers: "fit", "net", "both" or "auto": the fit, and the net as a second reader where
            parameters are given and there is an accelerator, see agree.py.
        parser: a file of the network's parameters, or the folder of a run; None: the package's.
        threads: that decode.
        discover: whether an overlay whose skin is not in the library is looked for, too.
        without: steps that are left out to see what they are worth, names of `STEPS`.
    """

    box: tuple[float, float, float, float] | None = None
    samples: int = 25
    recheck_seconds: float = 60.0
    keep_confidence: float = 0.5
    remap: tuple[tuple[str, str], ...] = ()
    readers: str = "auto"
    parser: str | None = None
    threads: int = 1
    discover: bool = False
    without: tuple[str, ...] = ()
