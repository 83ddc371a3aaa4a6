"""Odd skins: other sprites at the same places."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")

from nitrogen_jax.labeling.parser import slots as canonical_slots
from nitrogen_jax.labeling.parser.odd import odd

sys.path.insert(0, str(Path(__file__).parent))
from small import skin

SEEDS = range(60)


def stick(one):
    return next(element for element in one.elements if element.kind == "stick")


def test_a_seed_makes_the_same_skin_and_others_make_others():
    def looks(seed):
        return [sprite for one in odd(skin(), seed).elements for sprite in one.sprites]

    for one, other in zip(looks(7), looks(7), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({b"".join(sprite.tobytes() for sprite in looks(seed)) for seed in SEEDS}) > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_stays_in_its_slot_and_premultiplied(seed):
    found = odd(skin(), seed)
    wanted, seen = (canonical_slots.slots(one) for one in (skin(), found))
    assert [w.slot for w in seen.windows] == [w.slot for w in wanted.windows]
    for one, other in zip(seen.windows, wanted.windows, strict=True):
        np.testing.assert_allclose((one.left, one.width), (other.left, other.width))
    np.testing.assert_array_equal(seen.presses, wanted.presses)
    for element in found.elements:
        for sprite in element.sprites:
            assert (sprite[..., :3] <= sprite[..., 3:]).all()


def test_some_buttons_are_outlines_until_they_are_pressed():
    insides = []
    for seed in SEEDS:
        one = next(e for e in odd(skin(), seed).elements if e.button == "SOUTH")
        released, pressed = one.sprites
        insides.append(int(released[10, 10, 3]))
        assert released[0, 10, 3] > 200  # its edge
        assert pressed[10, 10, 3] == 255
    assert 0 in insides
    assert insides.count(255) > 20


def test_some_knobs_are_hollow_and_some_have_a_ring_that_stays():
    made = [odd(skin(), seed) for seed in SEEDS]
    middles, rims = [], []
    for one in made:
        alpha = stick(one).sprites[0][..., 3]
        middles.append(int(alpha[alpha.shape[0] // 2, alpha.shape[1] // 2]))
        rims.append(int(alpha[alpha.shape[0] // 2, 0]))
    assert 0 in middles
    assert middles.count(255) > 20
    assert min(rims) > 200
    ringed = [one for one in made if len(one.elements) > len(skin().elements)]
    assert 5 < len(ringed) < 40
    for one in ringed:
        at = one.elements.index(stick(one))
        ring, knob = one.elements[at - 1], one.elements[at]
        assert ring.kind == "texture"
        for axis in range(2):
            middles = [e.position[axis] + e.sprites[0].shape[1 - axis] / 2 for e in (ring, knob)]
            assert abs(middles[0] - middles[1]) < 1e-6
