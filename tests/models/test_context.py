"""Where tokens stand in the context, and how the game embedding learns."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.context import assemble, check_fits, game_lookup


def by_hand(tokens, dropped, game, length):
    """The context of one example as one would write it down."""
    kept = [t for frame, gone in zip(tokens, dropped, strict=True) if not gone for t in frame]
    row = ([game] if game is not None else []) + kept
    return np.stack([np.zeros(tokens.shape[-1])] * (length - len(row)) + row)


@given(
    drops=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=4),
    with_game=st.booleans(),
    spare=st.integers(0, 3),
)
def test_assemble_equals_the_context_by_hand(drops, with_game, spare):
    rng = np.random.default_rng(len(drops))
    tokens = rng.normal(size=(len(drops), 3, 2, 4)).astype(np.float32)
    game = rng.normal(size=(len(drops), 4)).astype(np.float32) if with_game else None
    length = 3 * 2 + with_game + spare
    found = assemble(jnp.asarray(tokens), jnp.asarray(drops), game, length)
    for i, row in enumerate(drops):
        wanted = by_hand(tokens[i], row, None if game is None else game[i], length)
        np.testing.assert_array_equal(found[i], wanted)


def test_a_context_that_only_fits_without_the_dropped_frames():
    tokens = np.arange(2 * 3 * 2 * 1, dtype=np.float32).reshape(2, 3, 2, 1) + 1
    drops = np.asarray([[True, False, False], [False, True, False]])
    found = assemble(jnp.asarray(tokens), jnp.asarray(drops), None, 4)
    np.testing.assert_array_equal(found[0, :, 0], tokens[0, 1:].ravel())
    np.testing.assert_array_equal(found[1, :, 0], tokens[1, [0, 2]].ravel())


@pytest.mark.parametrize(("kept", "game"), [(3, False), (np.asarray([1, 2]), True)])
def test_too_little_room_is_one_sentence(kept, game):
    with pytest.raises(NitrogenError, match="the context has 4 positions"):
        check_fits(kept, 2, game, 4)


def test_gradient_of_the_game_embedding_is_per_occurrence_and_never_for_no_game():
    table = jnp.ones((4, 2))
    ids = jnp.asarray([1, 3, 1, 0])
    upstream = jnp.asarray([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0], [7.0, 8.0]])
    gradient = jax.grad(lambda t: (game_lookup(t, ids) * upstream).sum())(table)
    np.testing.assert_allclose(gradient, [[0, 0], [2, 3], [0, 0], [5, 6]])


def test_games_that_occur_often_are_counted_exactly_in_bfloat16():
    """bfloat16 counts to 256 and no further, and sums of many small numbers stop growing."""
    ids = jnp.asarray([1] * 1000 + [2] * 3)
    weights = jnp.asarray([1.0] * 200 + [3.0] * 800 + [0.5] * 3)[:, None]
    table = jnp.ones((3, 2), jnp.bfloat16)
    gradient = jax.grad(lambda t: (weights * game_lookup(t, ids)).sum())(table)
    assert gradient.dtype == jnp.bfloat16
    wanted = [[0, 0], [2.6, 2.6], [0.5, 0.5]]  # means, over how often the game occurs
    np.testing.assert_allclose(gradient.astype(jnp.float32), wanted, rtol=0.01)
