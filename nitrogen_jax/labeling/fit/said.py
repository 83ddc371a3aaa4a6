"""What was decided of one element, before all of them are put together as states of the pad."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Said(NamedTuple):
    """One element in N frames.

    Attributes:
        rests: (N,) bool, where it is at rest.
        value: (N, v) as `ElementModel.values`; between grid positions where it can be told.
        press: (N, b) bool of the buttons that it shows.
        sure: (N,) 0..1.
    """

    rests: np.ndarray
    value: np.ndarray
    press: np.ndarray
    sure: np.ndarray
