"""Siblings: skins of one layout in other colours, some in those of presses only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nitrogen_jax.labeling import blocks
from nitrogen_jax.labeling.fit.siblings import choose
from nitrogen_jax.labeling.locate.locate import Found
from nitrogen_jax.labeling.planes import aligned
from nitrogen_jax.labeling.skins.draw import overlay_region


@pytest.fixture(scope="module")
def family(made, skin):
    """The skin, one of another colour all over, two of other colours where pressed."""
    return (
        skin,
        made.tinted(skin, "all", (0.4, 1, 0.4)),
        made.tinted(skin, "red", (1, 0.1, 0.1), pressed=True),
        made.tinted(skin, "blue", (0.1, 0.1, 1), pressed=True),
    )


def seen(path, skin, place):
    """(found, crops, region, size, colours) of a video."""
    cut = aligned(overlay_region(skin, place, 6), (360, 640), 16)
    (block,) = blocks.read(path, lambda seconds, size: (0, cut))
    found = Found(skin, place, 1.0, 0.9, 1.0, 1.0)
    return found, block.crops, block.region, block.size, block.colours


@pytest.mark.parametrize(("true", "first"), [(0, 3), (2, 0), (3, 3)])
def test_pressed_colours_tell_siblings_apart(made, folder, game, family, place, true, first):
    path = folder / f"sibling{true}.mp4"
    if not path.exists():
        states = made.played(len(game))
        made.write(path, made.drawn(game, family[true], place, states))
    found, *rest = seen(path, family[true], place)
    alike = tuple((one, 0.9, 1.0) for one in (family[0], *family[2:]))
    found = replace(found, skin=family[first], siblings=alike)
    assert choose(found, *rest).skin is family[true]


def test_a_much_better_median_picture_decides_without_frames(family, place):
    scores = (0.97, 0.6, 0.7, 0.7)
    siblings = tuple((one, score, 0.5) for one, score in zip(family, scores, strict=True))
    found = Found(family[1], place, 1.0, 0.6, 1.0, 1.0, siblings)
    chosen = choose(found, None, None, (360, 640), None)
    assert chosen.skin is family[0]
    assert (chosen.score, chosen.opacity) == (0.97, 0.5)


@pytest.mark.parametrize("score", [1.0, 1.0 + 1e-7])
def test_a_perfect_score_is_no_trouble(family, place, score):
    siblings = ((family[0], score, 1.0), (family[1], 0.8, 1.0))
    found = Found(family[1], place, 1.0, 0.8, 1.0, 1.0, siblings)
    assert choose(found, None, None, (360, 640), None).skin is family[0]


def test_without_siblings_the_skin_stays(skin, place):
    for siblings in ((), ((skin, 0.8, 1.0),)):
        found = Found(skin, place, 1.0, 0.8, 1.0, 1.0, siblings)
        assert choose(found, None, None, (360, 640), None) is found


def test_siblings_in_which_nothing_moves_are_told_by_score(made, plain, skin, place):
    bare = replace(skin, elements=skin.elements[:1])
    other = made.tinted(bare, "other", (0.5, 1, 1))
    found, *rest = seen(plain, skin, place)
    found = replace(found, skin=bare, siblings=((bare, 0.88, 1.0), (other, 0.9, 1.0)))
    assert choose(found, *rest).skin is other
