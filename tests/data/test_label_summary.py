"""Sums over a label tree, and that it does not matter how it is divided."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
from nitrogen_jax.data import label_summary, label_tree
from nitrogen_jax.data.label_summary import BINS, GameSum, LabelSummary, merge
from nitrogen_jax.data.labels import Box, ChunkActions, ChunkMeta, OriginalVideo

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)


def plain(summary):
    """A summary as something that can be compared; sums of floats may differ in the last bit."""
    text = json.dumps(label_summary.to_json(summary))
    return json.loads(text, parse_float=lambda number: round(float(number), 6))


def a_chunk(actions, **changes):
    video = {"resolution": (720, 1280), "source": "youtube", "duration": len(actions) / 60}
    video |= {key: changes.pop(key) for key in list(changes) if key in video}
    meta = ChunkMeta(
        **{
            **{"uuid": "u", "chunk_id": "0", "chunk_size": len(actions), "game": "G"},
            **{"controller_type": "ps4", "overlay": Box(0, 0, 128, 72), "game_area": None},
            **changes,
        },
        video=OriginalVideo(video_id="vid", **video),
    )
    return meta, ChunkActions(actions, np.ones(len(actions), np.float32), "raw")


def actions_of(steps):
    """Actions of which the first presses SOUTH, the next moves a stick, the rest is idle."""
    buttons, left = np.zeros((steps, 21), bool), np.zeros((steps, 2), np.float32)
    buttons[0, gamepad.BUTTON_INDEX["SOUTH"]] = True
    left[1] = 1.0, -0.5
    right = np.full((steps, 2), 0.05, np.float32)  # within the dead zone
    return gamepad.pack(gamepad.Pad(buttons, left, right))


def test_one_chunk():
    found = label_summary.of_chunk(*a_chunk(actions_of(6)), True)
    assert (found.chunks, found.rows, found.found) == (1, 6, 1)
    assert found.seconds == pytest.approx(0.1)
    assert (found.idle, found.left_active, found.right_active) == (4, 1, 0)
    assert found.games == {"G": GameSum(1, pytest.approx(0.1), 6, 4)}
    assert found.buttons.sum() == found.buttons[gamepad.BUTTON_INDEX["SOUTH"]] == 1
    assert found.rates == {60.0: 1}
    assert (found.controllers, found.sources) == ({"ps4": 1}, {"youtube": 1})
    assert found.resolutions == {"1280 x 720": 1}
    assert found.overlay_shares[1] == found.overlay_shares.sum() == 1
    assert (found.with_processed, found.no_overlay, found.unplaced) == (1, 0, 0)


def test_where_sticks_are_counted():
    found = label_summary.of_chunk(*a_chunk(actions_of(6)), False)
    middle = BINS // 2
    assert found.left[middle, middle] == 5
    assert found.left[middle // 2, BINS - 1] == 1  # y -0.5 is above the middle, x 1 at the edge
    assert found.right[middle + 1, middle + 1] == 6
    assert found.left.sum() == found.right.sum() == 6


def test_corners_are_counted():
    actions = gamepad.neutral(4)
    actions[:, 21:23] = [[0, 0], [0, 1], [1, 0], [1, 1]]
    found = label_summary.of_chunk(*a_chunk(actions), False)
    assert [found.left[y, x] for y in (0, -1) for x in (0, -1)] == [1, 1, 1, 1]


def test_overlays_without_a_place():
    actions = gamepad.neutral(4)
    found = label_summary.of_chunk(*a_chunk(actions, resolution=None), False)
    assert (found.unplaced, found.overlay_shares.sum()) == (1, 0)
    assert found.resolutions == {"not known": 1}
    found = label_summary.of_chunk(*a_chunk(actions, overlay=None, resolution=None), False)
    assert (found.unplaced, found.no_overlay) == (0, 1)
    whole = Box(0, 0, 1280, 720)
    assert label_summary.of_chunk(*a_chunk(actions, overlay=whole), False).overlay_shares[100] == 1


def test_nothing_merged_is_nothing():
    assert plain(merge([])) == plain(LabelSummary())


counts = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), max_size=3)


@st.composite
def summaries(draw):
    made = {}
    for one in dataclasses.fields(LabelSummary):
        default = getattr(LabelSummary(), one.name)
        if one.name == "games":
            sums = st.builds(GameSum, *[st.integers(0, 9)] * 4)
            made[one.name] = draw(st.dictionaries(st.sampled_from("abc"), sums))
        elif one.name == "examples":
            made[one.name] = draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")))
        elif isinstance(default, Mapping):
            made[one.name] = draw(counts)
        elif isinstance(default, np.ndarray):
            made[one.name] = default + draw(st.integers(0, 9))
        else:
            made[one.name] = draw(st.integers(0, 9))
    return LabelSummary(**made)


@given(st.lists(summaries(), max_size=5), st.data())
def test_merging_is_associative_and_changes_nothing(parts, data):
    before = [plain(part) for part in parts]
    cut = data.draw(st.integers(0, len(parts)))
    once = merge(parts)
    assert plain(merge([merge(parts[:cut]), merge(parts[cut:])])) == plain(once)
    assert plain(merge([LabelSummary(), once])) == plain(once)
    assert [plain(part) for part in parts] == before
    assert once.chunks == sum(part.chunks for part in parts)
    for key in once.games:
        rows = sum(part.games[key].rows for part in parts if key in part.games)
        assert once.games[key].rows == rows
    for key in once.examples:
        assert once.examples[key] == next(p.examples[key] for p in parts if key in p.examples)


def test_names_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(label_summary, "MAX_KEYS", 3)
    parts = [LabelSummary(controllers={str(i): 1}) for i in range(10)]
    assert merge(parts).controllers == {"0": 1, "1": 1, "2": 1, label_summary.MORE: 7}
    (key,) = label_summary.of_chunk(*a_chunk(actions_of(3), game="x" * 10_000), False).games
    assert len(key) == label_summary.MAX_TEXT


@pytest.fixture
def tree(tmp_path):
    """Twelve sound chunks, one without metadata, one with other rows, and a stray file."""
    label_trees.sound_tree(tmp_path)
    broken = label_trees.files("video-00", 7) | {label_trees.METADATA: b"{"}
    label_trees.write(tmp_path, broken, "video-00", 7)
    short = label_trees.files("video-00", 8, rows=5, chunk_size=6)
    label_trees.write(tmp_path, short, "video-00", 8)
    (tmp_path / "actions/notes.txt").touch()
    return label_tree.open_tree(tmp_path)


def test_a_tree(tree):
    found = label_summary.summarize(tree)
    assert (found.chunks, found.found, found.rows) == (12, 14, 360)
    assert found.broken == {"json_invalid": 1, "rows_differ": 1}
    assert "video-00_chunk_0007" in found.examples["json_invalid"]
    assert found.faults == {"unexpected_file": 1}
    assert found.with_processed == 4
    assert found.seconds == pytest.approx(6)
    assert found.games["Some Game"].chunks == 12
    # The truth, from what was written, by another way.
    pressed = sum(sum(label_trees.columns(30, 1000 + i if i % 2 else i)["south"]) for i in range(3))
    assert found.buttons[gamepad.BUTTON_INDEX["SOUTH"]] == 4 * pressed


def test_the_raw_tables_of_a_tree(tree):
    found = label_summary.summarize(tree, "raw")
    pressed = sum(sum(label_trees.columns(30, i)["south"]) for i in range(3))
    assert found.buttons[gamepad.BUTTON_INDEX["SOUTH"]] == 4 * pressed


def test_small_batches_are_the_same(tree, monkeypatch):
    whole = plain(label_summary.summarize(tree))
    monkeypatch.setattr(label_summary, "BATCH", 3)
    assert plain(label_summary.summarize(tree)) == whole


def test_several_processes_are_the_same(tree):
    told = []
    found = label_summary.summarize_parallel(tree, 2, advance=told.append)
    assert plain(found) == plain(label_summary.summarize(tree))
    assert told == [1, 1, 1]


def test_a_process_that_dies_is_named(tree, monkeypatch):
    # NOTE: the other process cannot import this file, so that nothing of it can be sent there.
    monkeypatch.setattr(label_summary, "summarize", eval)
    tree.parts = lambda: ["__import__('os')._exit(3)"]
    with pytest.raises(NitrogenError, match="was killed"):
        label_summary.summarize_parallel(tree, 1, prefer={})


def test_a_summary_can_be_sent_to_another_process(tree):
    found = label_summary.summarize(tree)
    assert plain(pickle.loads(pickle.dumps(found))) == plain(found)


def test_json_has_names_and_is_sorted(tree):
    data = label_summary.to_json(label_summary.summarize(tree))
    assert list(data) == [one.name for one in dataclasses.fields(LabelSummary)]
    assert set(data["buttons"]) == set(gamepad.BUTTONS)
    assert np.shape(data["left"]) == (BINS, BINS)
    counted = label_summary.to_json(LabelSummary(controllers={"a": 1, "b": 3, "c": 2}))
    assert list(counted["controllers"]) == ["b", "c", "a"]
