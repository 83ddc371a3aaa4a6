"""Edges that stay."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.labeling.discover import regions


def pictures(rng, still=None, number=20, size=(200, 320)):
    """Noise of blocks that is new in every picture, with what stays drawn onto it."""
    result = []
    for _ in range(number):
        blocks = rng.integers(30, 220, (size[0] // 8, size[1] // 8, 3)).astype(np.uint8)
        picture = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
        if still is not None:
            picture[still] = 250
        result.append(picture)
    return result


def grid(left, top, right, bottom, size=(200, 320)):
    still = np.zeros(size, bool)
    still[top:bottom:9, left:right] = True
    still[top:bottom, left:right:9] = True
    return still


def test_drawn_lines_are_found_where_they_are():
    still = grid(40, 60, 140, 120)
    (one,) = regions.regions(regions.edges(pictures(np.random.default_rng(0), still)))
    assert np.abs(np.subtract(one.box, (40, 60, 140, 120))).max() <= 3
    assert one.region.left % 2 == one.region.top % 2 == 0


def test_a_game_alone_has_none_and_small_things_are_none():
    rng = np.random.default_rng(1)
    assert regions.regions(regions.edges(pictures(rng))) == []
    assert regions.regions(regions.edges(pictures(rng, grid(40, 60, 70, 80)))) == []


def test_a_picture_that_stands_still_tells_nothing():
    one = pictures(np.random.default_rng(2), number=1)
    assert regions.regions(regions.edges(one * 20)) == []


def test_a_box_is_taken_as_it_is_and_clipped_to_the_picture():
    one = regions.given((-5, 20, 60, 40), (200, 320))
    assert one.box == (0, 20, 55, 60)
    outside = regions.given((400, 20, 60, 40), (200, 320))
    assert min(outside.region.shape) <= 16
