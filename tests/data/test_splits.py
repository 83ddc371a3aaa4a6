"""Splits: every video in one of them, always the same one."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.data.splits import HOLDOUT, TRAIN, Splits, divide
from nitrogen_jax.errors import NitrogenError

GAMES = ("Celeste", "Hollow Knight", "Ori")

games = st.lists(st.sampled_from(GAMES), min_size=1, max_size=2).map(set)
videos_and_games = st.dictionaries(st.text(max_size=6), games, max_size=40)
names = st.sampled_from(["val", "test", "a1", "probe_2"])
shares = st.dictionaries(names, st.floats(0, 0.24), max_size=4)


def named(count, game="Celeste"):
    return {f"video-{n:05d}": {game} for n in range(count)}


def sizes(videos, how):
    return Counter(divide(videos, how).values())


@settings(max_examples=200)
@given(videos=videos_and_games, shares=shares, seed=st.integers(0, 99), data=st.data())
def test_every_video_has_one_split(videos, shares, seed, data):
    there = sorted(set().union(*videos.values()))
    held = data.draw(st.lists(st.sampled_from(there), unique=True)) if there else []
    how = Splits(shares, tuple(held), seed)
    found = divide(videos, how)
    assert found.keys() == videos.keys()
    assert set(found.values()) <= {TRAIN, HOLDOUT, *shares}
    for video, split in found.items():
        assert (split == HOLDOUT) == bool(videos[video] & set(held))
    # The order in which videos, and the games of one, are listed has no say.
    order = data.draw(st.permutations(list(videos)))
    assert divide({name: sorted(videos[name], reverse=True) for name in order}, how) == found
    # Each split that has a share gets a video, as long as there are enough.
    number = Counter(found.values())
    rest = len(videos) - number[HOLDOUT]
    wanted = [name for name, share in shares.items() if share]
    assert sum(number[name] > 0 for name in wanted) == min(len(wanted), max(rest - 1, 0))
    assert number[TRAIN] > 0 or not rest
    assert not any(number[name] for name, share in shares.items() if not share)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_met(seed):
    found = sizes(named(1000), Splits({"val": 0.02, "test": 0.1}, seed=seed))
    assert found == {"val": 20, "test": 100, TRAIN: 880}


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (0, {}),
        (1, {TRAIN: 1}),
        (2, {TRAIN: 1, "val": 1}),
        (3, {TRAIN: 1, "val": 1, "test": 1}),
        (4, {TRAIN: 1, "val": 2, "test": 1}),
        (10, {TRAIN: 1, "val": 5, "test": 4}),
    ],
)
def test_few_videos(count, wanted):
    assert sizes(named(count), Splits({"val": 0.5, "test": 0.4})) == wanted


def test_a_small_share_gets_a_video():
    assert sizes(named(10), Splits({"val": 0.001})) == {TRAIN: 9, "val": 1}
    assert sizes(named(10), Splits({"val": 0.0})) == {TRAIN: 10}
    assert sizes(named(10), Splits({})) == {TRAIN: 10}


def test_the_seed_decides_which():
    chosen = set()
    for seed in range(20):
        found = divide(named(100), Splits({"val": 0.01}, seed=seed))
        chosen.add(next(video for video, split in found.items() if split == "val"))
    assert len(chosen) > 10
    one, other = (divide(named(100), Splits({"val": 0.3}, seed=seed)) for seed in (1, 1))
    assert one == other


def test_it_is_the_same_on_every_machine():
    """Written down: another version of this must not move a video from val to train."""
    found = divide(named(12), Splits({"val": 0.25}))
    assert sorted(video[-2:] for video, split in found.items() if split == "val") == [
        "01",
        "07",
        "08",
    ]


def test_more_videos_move_few():
    """Videos keep their rank: with one more, a split's end moves by one video at most."""
    how = Splits({"val": 0.1, "test": 0.2})
    before = divide(named(200), how)
    after = divide(named(201), how)
    assert sum(after[video] != split for video, split in before.items()) <= 3


def test_videos_are_drawn_alike():
    """Each video is in val for about its share of all seeds."""
    counts = Counter()
    for seed in range(400):
        found = divide(named(10), Splits({"val": 0.2}, seed=seed))
        counts.update(video for video, split in found.items() if split == "val")
    assert len(counts) == 10
    for count in counts.values():
        assert abs(count - 80) < 5 * math.sqrt(400 * 0.2 * 0.8)


def test_games_that_are_held_out():
    videos = named(8) | {f"o{n}": {"Ori"} for n in range(4)} | {"both": {"Ori", "Celeste"}}
    found = divide(videos, Splits({"val": 0.25}, ("Ori",)))
    assert {video for video, split in found.items() if split == HOLDOUT} == {
        *("o0", "o1", "o2", "o3", "both")
    }
    assert Counter(found.values()) == {HOLDOUT: 5, "val": 2, TRAIN: 6}
    everything = divide(videos, Splits({"val": 0.25}, ("Ori", "Celeste")))
    assert set(everything.values()) == {HOLDOUT}


def test_a_game_that_nobody_plays():
    with pytest.raises(NitrogenError, match="game 'Orry' to hold out has no video; there are Cel"):
        divide(named(3), Splits({}, ("Orry",)))


@pytest.mark.parametrize(
    "name", ["", "train", "holdout", "all", "Val", "a-b", "1st", "a b", "../x", "val\n", "валид"]
)
def test_names_that_cannot_be(name):
    with pytest.raises(NitrogenError, match="a name of small letters, digits and _ is needed"):
        Splits({name: 0.1}).check()
    with pytest.raises(NitrogenError):
        divide(named(3), Splits({name: 0.1}))


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, math.nan, math.inf])
def test_shares_that_cannot_be(share):
    with pytest.raises(NitrogenError, match="split val: its share is"):
        Splits({"val": share}).check()


def test_something_is_left_for_training():
    with pytest.raises(NitrogenError, match=r"splits a, b: their shares sum to 1\.1, where"):
        Splits({"a": 0.6, "b": 0.5}).check()
    with pytest.raises(NitrogenError, match="sum to 1, where"):
        Splits({"a": 0.5, "b": 0.5}).check()
    assert Splits({"a": 0.5, "b": 0.4}).check().shares == {"a": 0.5, "b": 0.4}
