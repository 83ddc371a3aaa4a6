"""Which clips a benchmark consists of: skins, traces and streams at random, decided by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Skin
from nitrogen_jax.labeling.synth.clips import ClipPlan, Recipe, plan
from nitrogen_jax.labeling.synth.traces import Trace

GENERATED = 7_000_000  # seeds of made-up skins that stand for unknown ones


@dataclass(frozen=True)
class Case:
    """One clip: what is drawn, and what the locator is given.

    Attributes:
        kind: "known" (its skin is in the library), "unknown" or "none" (no overlay).
        skin: that is drawn.
        trace: that moves it.
    """

    kind: str
    plan: ClipPlan
    skin: Skin | None
    trace: Trace


def cases(
    number: int,
    seconds: float,
    seed: int,
    known: Library,
    drawn: Library,
    traces: Sequence[Trace],
    recipe: Recipe,
    skins_unknown: bool,
) -> list[Case]:
    """The clips of a benchmark.

    Shares of clips without an overlay and with an unknown skin are spread evenly; skins are taken
    by layout first and by colour then, so that a layout with many colours is not drawn more often.

    Args:
        known: what the locator is given.
        drawn: what is drawn; a skin whose layout is not in `known` is an unknown one.
        skins_unknown: whether the locator is given no skin of the layout that is drawn.
    """
    from nitrogen_jax.labeling.skins.generate import generate

    layouts: dict[str, list[Skin]] = {}
    for skin in drawn.skins:
        layouts.setdefault(skin.geometry, []).append(skin)
    order = np.random.default_rng(seed).permutation(sorted(layouts))
    geometries = {skin.geometry for skin in known.skins}
    made: list[Case] = []
    with_skin = 0
    for at in range(number):
        rng = np.random.default_rng([seed, at])
        trace = traces[rng.integers(len(traces))]
        name = f"clip{at:04d}"
        kind, skin = "known", None
        if _every(at, recipe.none):
            kind = "none"
        elif not skins_unknown and _every(at + 1, recipe.unknown):
            kind, skin = "unknown", generate(GENERATED + seed * 1000 + at)
        else:
            colours = layouts[order[with_skin % len(order)]]
            skin = colours[(with_skin // len(order)) % len(colours)]
            with_skin += 1
            if skins_unknown or skin.geometry not in geometries:
                kind = "unknown"
        clip = plan(name, rng, skin, kind == "known", trace, seconds, recipe)
        made.append(Case(kind, clip, skin, trace))
    return made


def _every(at: int, share: float) -> bool:
    """Whether the clip at a place is one of a share that is spread evenly."""
    return share > 0 and int((at + 1) * share) > int(at * share)


def given(case: Case, known: Library, skins_unknown: bool) -> Library:
    """What the locator is given for a clip."""
    if not skins_unknown or case.skin is None:
        return known
    others = tuple(skin for skin in known.skins if skin.geometry != case.skin.geometry)
    return Library(others, known.faults)


def core(one: ClipPlan, skin: Skin | None) -> bool:
    """Whether a clip is within the bounds in which labels are meant to be good."""
    if skin is None:
        return True
    travel = max([max(element.travel) for element in skin.elements] or [0.0]) * one.at.scale
    wide = skin.size[0] * one.at.scale
    return bool(wide >= 120 and one.opacity >= 0.6 and (travel == 0 or travel >= 4))
