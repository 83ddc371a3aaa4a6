"""What each step of reading is worth: a clip's labels without it, and those of each reader."""

from __future__ import annotations

from dataclasses import replace

from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.parser.shipped import is_shipped

FIT = ("scene", "display", "between", "edges", "settle", "time", "centre")  # steps of the fit
NET = ("template", "softmax")  # steps of the network
PLACE = "refine"  # the step that decides where the overlay is


def ways(options: LabelOptions) -> dict[str, LabelOptions]:
    """Name -> options that differ in one thing; readers are compared where there is a network."""

    def without(step: str, **changes: str) -> LabelOptions:
        return replace(options, without=tuple(sorted({*options.without, step})), **changes)

    found = {f"without {step}": without(step, readers="fit") for step in FIT}
    if options.parser is not None or is_shipped():
        found |= {f"readers {one}": replace(options, readers=one) for one in ("fit", "both", "net")}
        found |= {f"net without {step}": without(step, readers="net") for step in NET}
    return found


def elsewhere(options: LabelOptions) -> dict[str, LabelOptions]:
    """The same, of what also changes where the overlay is looked for."""
    return {f"without {PLACE}": replace(options, without=tuple(sorted({*options.without, PLACE})))}
