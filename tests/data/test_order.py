"""The order of samples: complete, even, a pure function of its numbers."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("grain")
from nitrogen_jax.data import order
from nitrogen_jax.data.order import Endless, Pass, Place, Runs, Shuffle

SHUFFLES = st.builds(
    Shuffle,
    seed=st.integers(0, 1 << 40),
    window=st.integers(1, 9),
    run=st.integers(1, 9),
    spread=st.integers(1, 4),
)
COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any)


def samples(play, indices):
    """(chunk, sample) of each index."""
    found = []
    for index in indices:
        place = play.place(index)
        run = play.get(place.run)[1]
        found.append((int(run.chunks[place.at]), int(run.samples[place.at])))
    return found


def everything(counts):
    return [(chunk, sample) for chunk, count in enumerate(counts) for sample in range(count)]


def one_group(counts, shuffle, **kw):
    return Endless({0: Runs(np.array(counts), shuffle, **kw)}, {0: 1.0}, shuffle)


@settings(max_examples=50)
@given(COUNTS, SHUFFLES, st.integers(1, 3))
def test_a_pass_holds_every_sample_once_in_each_epoch(counts, shuffle, epochs):
    play = Pass(Runs(np.array(counts), shuffle), epochs)
    assert play.length == sum(counts) * epochs
    found = samples(play, range(play.length))
    for epoch in range(epochs):
        part = found[epoch * sum(counts) : (epoch + 1) * sum(counts)]
        assert sorted(part) == everything(counts)


@given(COUNTS, SHUFFLES)
def test_an_epoch_of_an_endless_stream_repeats_less_than_a_run(counts, shuffle):
    runs = Runs(np.array(counts), shuffle)
    for epoch in range(2):
        found = Counter()
        for number in range(epoch * runs.count, (epoch + 1) * runs.count):
            run = runs.get(number, padded=True)
            assert run.chunks.shape == run.samples.shape == (shuffle.run,)
            found.update(zip(run.chunks.tolist(), run.samples.tolist(), strict=True))
        assert sorted(found) == everything(counts)
        assert 0 <= found.total() - sum(counts) < shuffle.run


@given(COUNTS, SHUFFLES, st.integers(0, 1))
def test_where_an_index_of_a_pass_leads(counts, shuffle, epoch):
    """Whole turns are runs side by side; the last one is dealt out in equal shares."""
    runs, window = Runs(np.array(counts), shuffle), shuffle.window
    play, first = Pass(runs, 2), epoch * runs.count
    expected = []
    for turn in range(0, runs.count, window):
        # Of a run in its place in the turn: its samples one after the other.
        rows = [
            [Place(first + number, at) for at in range(len(runs.get(number, False).chunks))]
            for number in range(turn, min(turn + window, runs.count))
        ]
        line = [place for row in rows for place in row]
        sizes = [len(part) for part in np.array_split(np.arange(len(line)), window)]
        lanes = [list(islice(it, size)) for it in [iter(line)] for size in sizes]
        if len(line) == window * shuffle.run:
            assert lanes == rows
        for round_ in range(max(sizes)):
            expected += [lane[round_] for lane in lanes if round_ < len(lane)]
        assert all(len({place.run for place in lane}) <= 2 for lane in lanes)
    begin = epoch * sum(counts)
    assert [play.place(begin + at) for at in range(sum(counts))] == expected


@given(SHUFFLES, st.integers(0, 1000))
def test_where_an_index_of_an_endless_stream_leads(shuffle, turn):
    play = one_group([7, 9], shuffle)
    size = shuffle.window * shuffle.run
    for at in range(size):
        round_, lane = divmod(at, shuffle.window)
        assert play.place(turn * size + at) == Place(turn * shuffle.window + lane, round_)


@given(COUNTS, SHUFFLES, st.booleans())
def test_what_a_lane_plays_next_and_what_has_been_played(counts, shuffle, endless):
    play = one_group(counts, shuffle) if endless else Pass(Runs(np.array(counts), shuffle), 3)
    size = shuffle.window * shuffle.run
    total = 3 * size if endless else play.length
    epoch = total if endless else sum(counts)
    played: list[int] = []
    for index in range(total):
        run = play.place(index).run
        turn_start = index - index % epoch % size
        assert play.turn(run) == play.place(turn_start).run
        assert all(play.turn(run) <= other for other in played[turn_start:])
        played.append(run)
        following = play.next_run(run)
        if following is None:  # the next turn is not a whole one, or the run is not in one
            assert epoch - (index % epoch - index % epoch % size) < 2 * size
        else:
            assert play.place(index + size) == Place(following, play.place(index).at)


@given(COUNTS, SHUFFLES)
def test_a_run_is_drawn_from_a_stretch_of_its_chunk(counts, shuffle):
    runs = Runs(np.array(counts), shuffle)
    for number in range(runs.count):
        run = runs.get(number, padded=False)
        for chunk in set(run.chunks.tolist()):
            inside = run.samples[run.chunks == chunk]
            spans = [((inside - start) % counts[chunk]).max() + 1 for start in inside]
            assert min(spans) <= shuffle.run * shuffle.spread


@settings(max_examples=25)
@given(COUNTS, SHUFFLES, st.randoms(use_true_random=False))
def test_a_pure_function_whatever_was_asked_before(counts, shuffle, random):
    indices = list(range(3 * sum(counts)))
    one = dict(zip(indices, samples(one_group(counts, shuffle), indices), strict=True))
    random.shuffle(indices)
    two = dict(zip(indices, samples(one_group(counts, shuffle), indices), strict=True))
    assert one == two


def test_seeds_epochs_and_groups_differ():
    counts, size = [40, 30, 50, 17], 137

    def epoch(number, seed, group=0):
        play = Pass(Runs(np.array(counts), Shuffle(seed, 4, 8), group), 9)
        return samples(play, range(number * size, (number + 1) * size))

    chosen = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 1 << 40), (0, 0, 1), (0, 0, 2)]
    streams = [tuple(epoch(*one)) for one in chosen]
    assert len(set(streams)) == len(chosen)
    for one, stream in zip(chosen, streams, strict=True):
        assert tuple(epoch(*one)) == stream
        alike = [np.mean([a == b for a, b in zip(stream, o, strict=True)]) for o in streams]
        assert sorted(alike)[-2] < 0.15  # beside itself, nothing is alike by more than chance


@pytest.mark.parametrize("count", [order.SMALL, 16_384, 65_536, 70_000, 1 << 20])
def test_runs_are_shuffled_well(count):
    """Where a run is tells nothing of where the run is that a lane, or the next one, plays then."""
    assert order.SMALL < 16_384
    tried = range(min(count, 40_000))
    at = np.array([order._shuffled(number, count, 7) for number in tried]) * 16 // count
    for lag in (1, 2, 8, 64, 128, 256, 512, 1024):
        pairs = np.bincount(at[:-lag] * 16 + at[lag:], minlength=256)
        expected = len(at[lag:]) / 256
        chi_squared = ((pairs - expected) ** 2 / expected).sum()
        assert chi_squared < 255 + 6 * np.sqrt(2 * 255), lag  # six standard deviations


def test_the_shuffle_is_one_to_one():
    for count in (1, 2, 3, 100, order.SMALL, order.SMALL + 1, 9999):
        for seed in (0, (1 << 32) - 1):
            found = [order._shuffled(at, count, seed) for at in range(count)]
            assert sorted(found) == list(range(count))


def test_rounds_mix_chunks():
    """A batch as wide as the window is of as many runs."""
    shuffle = Shuffle(3, window=16, run=8)
    play = Pass(Runs(np.full(64, 33), shuffle), 1)
    widths = []
    for begin in range(0, play.length // 128 * 128, 16):
        places = [play.place(begin + at) for at in range(16)]
        assert len({place.run for place in places}) == 16
        widths.append(len({chunk for chunk, _ in samples(play, range(begin, begin + 16))}))
    assert np.mean(widths) > 13  # 16 draws from 64 chunks: 14.3


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30),
    st.sampled_from([30, 100, order.PERIOD]),
)
def test_shares_are_whole_and_nearest(weights, total):
    found = order._apportion(weights, total)
    exact = np.array(weights) / sum(weights) * total
    assert found.sum() == total
    assert found.min() >= 1
    if exact.min() >= 1:
        assert np.abs(found - exact).max() < 1
        rest = np.sort(exact % 1)[::-1]  # the largest of which are rounded up
        up = round(rest.sum())
        least = (1 - rest[:up]).sum() + rest[up:].sum()
        assert np.abs(found - exact).sum() == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "shares"),
    [([1, 3], [2500, 7500]), ([0.7, 0.2, 0.1], [7000, 2000, 1000]), ([1e-9, 1], [1, 9999])],
)
def test_shares_that_can_be_met_are_met(weights, shares):
    assert order._apportion(weights, order.PERIOD).tolist() == shares


def test_weights_are_met_exactly_over_a_period():
    shuffle = Shuffle(5, window=10, run=4)
    counts = {3: [9, 30], 7: [5], 8: [60, 2, 70]}
    groups = {key: Runs(np.array(one), shuffle, key) for key, one in counts.items()}
    play = Endless(groups, {3: 0.5, 7: 0.1, 8: 0.4}, shuffle)
    for period in range(2):
        found, numbers = Counter(), {key: Counter() for key in counts}
        for number in range(period * order.PERIOD, (period + 1) * order.PERIOD):
            key, run = play.get(number)
            found[key] += len(run.chunks)
            numbers[key].update(zip(run.chunks.tolist(), run.samples.tolist(), strict=True))
        assert found == {3: 20_000, 7: 4_000, 8: 16_000}
        for key, one in counts.items():  # and within a group everything comes equally often
            often = found[key] / sum(one)
            assert sorted(numbers[key]) == everything(one)
            assert max(numbers[key].values()) < 2 * often + 10


def test_the_groups_of_a_mixture_are_spread_over_the_period():
    shuffle = Shuffle(1, window=10, run=4)
    groups = {key: Runs(np.array([40]), shuffle, key) for key in (0, 1)}
    play = Endless(groups, {0: 1.0, 1: 1.0}, shuffle)
    parts = [
        sum(play.get(number)[0] for number in range(begin, begin + 400))
        for begin in range(0, 4000, 400)
    ]
    assert all(140 < part < 260 for part in parts)  # 200 and six standard deviations


def test_millions_of_chunks():
    """A year of play and more: 7.2 million chunks, 2 billion samples."""
    counts = np.random.default_rng(0).integers(0, 600, 7_200_000)
    shuffle = Shuffle(2, window=1024, run=32)
    play = one_group(counts, shuffle)
    for index in (0, 12_345_678_901, 1 << 50):
        place = play.place(index)
        _, run = play.get(place.run)
        assert (run.samples < counts[run.chunks]).all()
        assert len(set(zip(run.chunks.tolist(), run.samples.tolist(), strict=True))) == 32
    whole = Pass(Runs(counts, shuffle), 2)
    assert whole.length == 2 * counts.sum()
    place = whole.place(whole.length - 1)
    assert place.at < len(whole.get(place.run)[1].chunks)


@pytest.mark.parametrize("name", ["window", "run", "spread"])
def test_numbers_that_make_no_sense(name):
    with pytest.raises(NitrogenError, match=rf"^shuffle: {name} is 0, where at least 1 is needed$"):
        Shuffle(**{name: 0}).check()
    with pytest.raises(NitrogenError, match="seed is -1"):
        Shuffle(seed=-1).check()
    assert Shuffle().check() == Shuffle()
