"""Two independent readers of one overlay: where they disagree, a frame is not to be trained on.

The fit of sprites is the more exact one, and its states are kept; the network says where something
is wrong with them.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.fit.settle import Settled

if TYPE_CHECKING:
    from nitrogen_jax.labeling.parser.reader import NetReader, NetReading

READERS = ("fit", "net", "both", "auto")
APART = 0.2  # travels by which two readings of a stick may differ
SURE_PLACE = 0.9  # of a map's mass that is at one place
SURE_PRESS = 0.9  # of a press: twice the distance of its probability from a half
OFTEN = 0.03  # of the frames in which the network is sure of an element
FEW = 2  # frames that are not often
DOUBTED = 0.5  # of the least usable confidence, that of a frame in which the readers disagree


def net_reader(readers: str, parser: str | None = None) -> NetReader | None:
    """The network for `LabelOptions.readers`, where it is to read.

    "fit" never needs it, "net" and "both" do; with "auto" it is the second reader where there is
    an accelerator and parameters of one's own. Those of the package are of a small network, and
    are asked only by name: "both".

    Args:
        parser: a file of its parameters, or the folder of a run; None: those of this package.
    """
    if readers not in READERS:
        raise NitrogenError(f"readers is {readers!r}, where one of {', '.join(READERS)} is needed")
    if readers == "fit" or (readers == "auto" and (parser is None or not _accelerator())):
        return None
    if importlib.util.find_spec("jax") is None:
        raise NitrogenError(f"readers is {readers!r}, and the network needs jax: install '.[jax]'")
    from nitrogen_jax.labeling.parser.reader import NetReader

    return NetReader.shipped() if parser is None else NetReader.load(parser)


def _accelerator() -> bool:
    if importlib.util.find_spec("jax") is None:
        return False
    import jax

    return jax.default_backend() != "cpu"


def combine(fit: Settled, net: NetReading, usable: float, readers: str = "both") -> Settled:
    """What both readers together say of some frames.

    Args:
        usable: confidence from which on frames are trained on.
        readers: "net" keeps the network's reading alone.
    """
    if readers == "net":
        return Settled(net.states, net.confidence, net.confidence[:, None])
    apart = disagree(fit, net)
    doubted = np.minimum(fit.confidence, np.float32(DOUBTED * usable))
    return fit._replace(confidence=np.where(apart, doubted, fit.confidence).astype(np.float32))


def disagree(fit: Settled, net: NetReading) -> np.ndarray:
    """(N,) bool: a stick more than APART from each other, or a button, of what the network sees.

    The network has a say only where it is sure, and only about what it can read: an element on
    which it differs from the fit time and again is one that it does not understand.
    """
    apart = np.zeros(fit.states.number, bool)
    for side, name in enumerate(("left", "right")):
        if net.sticks[side]:
            gap = getattr(fit.states, name) - getattr(net.states, name)
            differs = np.hypot(*gap.T) > APART
            apart |= _telling(differs, net.sure_sticks[:, side] >= SURE_PLACE)
    for at in np.flatnonzero(net.buttons):
        differs = fit.states.buttons[:, at] != net.states.buttons[:, at]
        apart |= _telling(differs, net.sure_buttons[:, at] >= SURE_PRESS)
    return apart


def _telling(differs: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Where an element's readings differ, if that says something about the frame."""
    found = differs & sure
    return found if found.sum() <= max(OFTEN * sure.sum(), FEW) else np.zeros_like(found)
