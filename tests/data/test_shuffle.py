"""Shuffled labels: the same rows as often, in the same videos, at other places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import label_tree, shuffle
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import play, record

pytestmark = pytest.mark.needs("pyarrow")


@pytest.fixture
def tree(tmp_path):
    """Two videos at 10 Hz, of 25 and 8 seconds."""
    for number, rows in enumerate((249, 79)):
        about = record.Labelled(f"video-{number}", "A Game", 10.0, (64, 64), None)
        record.write_tree(tmp_path / "labels", about, play.take(play.chance(10.0, number), rows))
    return tmp_path / "labels"


def read(root):
    found = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(root).scan()]
    return sorted(found, key=lambda one: one[0].uuid)


def test_rows_change_places_and_nothing_else(tree, tmp_path):
    assert cli.main(["data", "shuffle", "--labels", str(tree), "--out", str(tmp_path / "new")]) == 0
    old, new = read(tree), read(tmp_path / "new")
    assert [meta for meta, _ in old] == [meta for meta, _ in new]
    before, after = (np.concatenate([table.actions for _, table in one]) for one in (old, new))
    assert np.mean((before == after).all(1)) < 0.5
    np.testing.assert_array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    assert sorted(map(bytes, before)) == sorted(map(bytes, after))


def test_confidence_goes_along(tree, tmp_path):
    meta, _ = read(tree)[0]
    sure = np.where(np.arange(meta.chunk_size) % 7 == 0, 0.0, 1.0).astype(np.float32)
    marked = gamepad.neutral(meta.chunk_size)
    marked[sure == 0, :21] = 1  # rows of confidence 0 can be told by what they press
    label_tree.write_chunk(tmp_path / "one", meta, marked, processed=marked, confidence=sure)
    shuffle.shuffle_tree(tmp_path / "one", tmp_path / "new")
    ((_, found),) = read(tmp_path / "new")
    np.testing.assert_array_equal(found.confidence == 0, found.actions[:, 0] == 1)
    assert not (found.confidence == sure).all()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 9))
def test_every_row_is_used_once_and_blocks_stay_together(sizes, block, seed):
    order = shuffle.orders(sizes, block, seed)
    np.testing.assert_array_equal(np.sort(order), np.arange(sum(sizes)))
    breaks = np.count_nonzero(np.diff(order) != 1)
    assert breaks <= sum(sizes) // block
    np.testing.assert_array_equal(order, shuffle.orders(sizes, block, seed))


def test_what_cannot_be(tree, tmp_path):
    with pytest.raises(NitrogenError, match="need a new folder"):
        shuffle.shuffle_tree(tree, tree)
    with pytest.raises(NitrogenError, match="block is 0"):
        shuffle.shuffle_tree(tree, tmp_path / "new", block=0)
    (tmp_path / "empty" / "actions").mkdir(parents=True)
    with pytest.raises(NitrogenError, match="holds no chunk"):
        shuffle.shuffle_tree(tmp_path / "empty", tmp_path / "new")
