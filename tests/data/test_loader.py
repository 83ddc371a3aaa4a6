"""Batches: what is in them, in which order, and that a stream can be taken up anywhere.

All in one process; `test_loader_processes.py` has the worker processes.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.data.control import Steps
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("grain")
from nitrogen_jax.data import order, records, window_index
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle, position_of
from nitrogen_jax.data.window_index import Filters, IndexOptions

sys.path.insert(0, str(Path(__file__).parent))
import record_sets

RECORDINGS, Recording, HORIZON = record_sets.RECORDINGS, record_sets.Recording, record_sets.HORIZON
PLAIN = Steps(horizon=HORIZON)
SAMPLES = [(at, n) for at, one in enumerate(RECORDINGS) for n in one.samples(PLAIN)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same recordings as JPEG and as H.264, in records of different lengths."""
    root = tmp_path_factory.mktemp("loader")
    record_sets.write_set(root / "jpeg", codec="jpeg", per_record=12, ahead=5, files=2)
    record_sets.write_set(root / "h264", codec="h264", per_record=40, ahead=9, files=3)
    return root


def config(folder, **options):
    values = {"batch": 8, "size": record_sets.SIZE, "shuffle": Shuffle(3, window=4, run=8)}
    folders = folder if isinstance(folder, tuple) else (Dataset(str(folder)),)
    return LoaderConfig(folders, **{**values, **options})


def batches(chosen, count=None, **options):
    with Loader(chosen, **options) as loader:
        return list(islice(loader, count))


def joined(found):
    """Batches one after the other."""
    return {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype == other[key].dtype
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def where_from(batch):
    """(data set, chunk, picture) of the samples that are valid."""
    names = ("dataset", "chunk", "picture")
    rows = zip(*(batch[name].tolist() for name in names), strict=True)
    return [row for row, valid in zip(rows, batch["valid"], strict=True) if valid]


def check(found, steps=PLAIN, frames=1, spacing=18, recordings=RECORDINGS):
    """Compares every valid sample with what it should be."""
    for row, (_, chunk, picture) in enumerate(where_from(found)):
        one = recordings[chunk]
        actions, exists = one.chunk(picture, steps)
        np.testing.assert_array_equal(found["actions"][row], actions)
        np.testing.assert_array_equal(found["mask"][row], np.tile(exists[:, None], 25))
        shown = one.context(picture, steps, frames, spacing)
        assert found["dropped"][row].tolist() == [number is None for number in shown]
        for frame, number in zip(found["frames"][row], shown, strict=True):
            if number is None:
                assert not frame.any()
            else:
                assert record_sets.spell(frame) == (one.serial, number)


# ---------------------------------------------------------------------------------------------
# What is in a batch


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_a_pass_delivers_every_sample_once_and_rightly(folders, codec):
    found = batches(config(folders / codec, epochs=1))
    assert len(found) == -(-len(SAMPLES) // 8)
    for batch in found:
        check(batch)
    valid = joined(found)["valid"]
    assert valid[: len(SAMPLES)].all()
    assert not valid[len(SAMPLES) :].any()
    everything = where_from(joined(found))
    assert sorted(everything) == [(0, *sample) for sample in SAMPLES]


def test_the_arrays_of_a_batch(folders):
    with Loader(config(folders / "jpeg", batch=6, frames=2, spacing=5)) as loader:
        batch = next(loader)
        assert (loader.steps, loader.samples, loader.length) == (PLAIN, len(SAMPLES), None)
        assert loader.games == ("alpha", "beta", "gamma")
    shapes = {key: (value.shape, value.dtype) for key, value in batch.items()}
    assert shapes == {
        "frames": ((6, 2, 32, 32, 3), np.uint8),
        "dropped": ((6, 2), bool),
        "actions": ((6, HORIZON, 25), np.float32),
        "mask": ((6, HORIZON, 25), bool),
        "valid": ((6,), bool),
        **dict.fromkeys(("game_ids", "dataset", "chunk", "picture"), ((6,), np.int32)),
    }
    assert all(value.flags.owndata and value.flags.writeable for value in batch.values())
    one = RECORDINGS[batch["chunk"][2]]
    with Loader(config(folders / "jpeg")) as loader:
        assert loader.provenance(batch, 2) == {
            "folder": str(folders / "jpeg"),
            "split": "train",
            "video_id": one.video,
            "chunk_id": one.chunk_id,
            "game": one.game,
            "frame": one.start + batch["picture"][2] * one.stride,
            "time": one.start / one.rate + one.times[batch["picture"][2] * one.stride],
        }


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
@pytest.mark.parametrize(
    "steps", [PLAIN, Steps(5, rate=30.0), Steps(4, 0, rate=20.0), Steps(3, 3, rate=7.5)], ids=str
)
def test_actions_and_context_at_other_rates(folders, tmp_path, codec, steps):
    folder = shutil.copytree(folders / codec, tmp_path / "a")
    options = IndexOptions(steps, Filters(min_active=0.0))
    window_index.write_index(folder, "train", options=options)
    found = batches(config(folder, epochs=1, frames=3, spacing=4))
    for batch in found:
        check(batch, steps, 3, 4)
    pictures = [(at, n) for at, one in enumerate(RECORDINGS) for n in one.samples(steps)]
    assert sorted(row[1:] for row in where_from(joined(found))) == pictures
    valid = joined(found)["valid"]
    assert {0, 1, 2} == set(joined(found)["dropped"][valid].sum(1).tolist())


def test_codecs_and_divisions_deliver_the_same(folders):
    for chosen in ({"epochs": 1}, {"shuffle": Shuffle(9, 8, 3, 4), "frames": 2, "spacing": 9}):
        one, other = (
            joined(batches(config(folders / codec, **chosen), 20)) for codec in ("jpeg", "h264")
        )
        both = [record_sets.spell(x["frames"][at, -1]) for x in (one, other) for at in range(99)]
        assert both[:99] == both[99:]
        del one["frames"], other["frames"]
        assert_same(one, other)


def test_filters_leave_samples_out(folders, tmp_path):
    folder = shutil.copytree(folders / "jpeg", tmp_path / "a")
    window_index.write_index(folder, "train", "busy", IndexOptions(PLAIN, Filters(1.0)))
    dataset = (Dataset(str(folder), index="busy"),)
    found = joined(batches(config(dataset, epochs=1)))
    busy = [
        (at, n)
        for at, n in SAMPLES
        if (RECORDINGS[at].chunk(n, PLAIN)[0] != record_sets.REST).any(-1).all()
    ]
    # The index leaves chunks out of which no sample passes.
    names = sorted({at for at, _ in busy})
    assert sorted((names[c], p) for _, c, p in where_from(found)) == busy
    assert 0 < len(busy) < len(SAMPLES)


# ---------------------------------------------------------------------------------------------
# Games and mixtures


@pytest.mark.parametrize(
    ("games", "ids"),
    [
        (None, {"alpha": 1, "beta": 2, "gamma": 3}),
        (("gamma", "alpha"), {"alpha": 2, "beta": 0, "gamma": 1}),
        (("zeta", "beta"), {"alpha": 0, "beta": 2, "gamma": 0}),
        ((), {"alpha": 0, "beta": 0, "gamma": 0}),
    ],
)
def test_game_ids(folders, games, ids):
    found = joined(batches(config(folders / "jpeg", epochs=1, games=games)))
    for row, (_, chunk, _) in enumerate(where_from(found)):
        assert found["game_ids"][row] == ids[RECORDINGS[chunk].game]


@pytest.fixture
def short_period(monkeypatch):
    """A mixture that meets its weights after 20 runs: of 8 samples, 20 batches of 8."""
    monkeypatch.setattr(order, "PERIOD", 20)
    monkeypatch.setattr(order, "SMALL", 1 << 12)
    return 20


@pytest.mark.parametrize(
    ("weights", "runs"),
    [
        ({"alpha": 1, "beta": 2, "gamma": 1}, {"alpha": 5, "beta": 10, "gamma": 5}),
        ({"gamma": 3, "*": 1}, {"gamma": 15}),
        ({"beta": 0.3, "alpha": 0.9}, {"alpha": 15, "beta": 5}),
        ({"alpha": 0, "*": 7}, {"alpha": 0}),
        ({"*": 0, "gamma": 1e-9}, {"gamma": 20}),
    ],
)
def test_game_weights_are_met_exactly(folders, short_period, weights, runs):
    with Loader(config(folders / "jpeg", game_weights=weights)) as loader:
        for _ in range(2):
            found = joined(list(islice(loader, short_period)))
            check(found)
            count = Counter(RECORDINGS[chunk].game for _, chunk, _ in where_from(found))
            assert sum(count.values()) == 160
            for game, expected in runs.items():
                assert count[game] == 8 * expected


def test_by_number_without_weights(folders):
    """Every sample equally often, whatever game or data set it is of."""
    found = joined(batches(config(folders / "jpeg"), 4 * len(SAMPLES) // 8))
    often = Counter(where_from(found))
    assert len(often) == len(SAMPLES)
    assert np.mean(list(often.values())) == pytest.approx(4, rel=0.01)
    assert np.mean([3 <= number <= 5 for number in often.values()]) > 0.9


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another data set with a game of its own, in a split of its own."""
    folder = tmp_path_factory.mktemp("second") / "set"
    others = [Recording(40, "w0", "delta"), Recording(41, "w1", "alpha", rows=60)]
    record_sets.write_set(folder, others, split="val", files=1)
    return folder, others


def test_several_data_sets(folders, second, short_period):
    folder, others = second
    datasets = Dataset(str(folders / "h264"), weight=3.0), Dataset(str(folder), "val", weight=1.0)
    with Loader(config(datasets)) as loader:
        found = joined(list(islice(loader, short_period)))
        assert loader.games == ("alpha", "beta", "delta", "gamma")
        about = loader.provenance(found, int(np.argmax(found["dataset"])))
    assert (about["folder"], about["split"], about["video_id"][0]) == (str(folder), "val", "w")
    assert Counter(found["dataset"].tolist()) == {0: 120, 1: 40}
    assert found["valid"].all()
    for row in range(160):
        one = (RECORDINGS, others)[found["dataset"][row]][found["chunk"][row]]
        assert record_sets.spell(found["frames"][row, 0]) == (one.serial, found["picture"][row])
        assert found["game_ids"][row] == 1 + ["alpha", "beta", "delta", "gamma"].index(one.game)


def test_several_data_sets_in_one_pass(folders, second):
    folder, others = second
    datasets = Dataset(str(folders / "jpeg")), Dataset(str(folder), "val")
    more = [(1, at, n) for at, one in enumerate(others) for n in one.samples(PLAIN)]
    with Loader(config(datasets, epochs=2, batch=7)) as loader:
        total = 2 * (len(SAMPLES) + len(more))
        assert (loader.samples, loader.length) == (total // 2, -(-total // 7))
        found = where_from(joined(list(loader)))
    assert Counter(found) == Counter(2 * [*((0, *sample) for sample in SAMPLES), *more])
    assert sorted(found[: total // 2]) == sorted(found[total // 2 :])
    assert found[: total // 2] != found[total // 2 :]


# ---------------------------------------------------------------------------------------------
# Passes, hosts, resuming


@pytest.mark.parametrize("batch", [1, 7, 32, 200, len(SAMPLES), 1000])
@pytest.mark.parametrize("hosts", [1, 2])
def test_the_end_of_a_pass(folders, batch, hosts):
    """Also of batches that are larger than what workers hand over at once."""
    chosen = config(folders / "jpeg", epochs=1, batch=batch * hosts)
    found = [batches(chosen, host=host, hosts=hosts) for host in range(hosts)]
    count = -(-len(SAMPLES) // (batch * hosts))
    assert [len(one) for one in found] == [count] * hosts
    for one in found:
        last = one[-1]
        assert all(len(value) == batch for value in last.values())
        padding = ~last["valid"]
        assert last["dropped"][padding].all()
        for key in ("frames", "mask", "game_ids"):
            assert not last[key][padding].any()
    rows = [row for one in found for row in where_from(joined(one))]
    assert sorted(rows) == [(0, *sample) for sample in SAMPLES]


@pytest.mark.parametrize("epochs", [1, None])
def test_hosts_share_one_stream(folders, epochs):
    chosen = config(folders / "jpeg", epochs=epochs, batch=12, shuffle=Shuffle(1, 12, 5))
    whole = joined(batches(chosen, 25))
    for hosts in (2, 3, 4):
        shares = [joined(batches(chosen, 25, host=h, hosts=hosts)) for h in range(hosts)]
        for host, share in enumerate(shares):
            assert_same(share, {key: value[host::hosts] for key, value in whole.items()})


def test_a_seed_decides_the_order(folders):
    first, again, other = (
        joined(batches(config(folders / "jpeg", shuffle=Shuffle(seed, 4, 8)), 9))
        for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert where_from(first) != where_from(other)


@pytest.fixture(scope="module")
def streams(folders):
    """What uninterrupted loaders deliver, by epochs."""
    return {
        epochs: joined(batches(config(folders / "jpeg", epochs=epochs), 70)) for epochs in (2, None)
    }


@settings(max_examples=12)
@given(
    st.sampled_from([2, None]),
    st.integers(0, 20),
    st.sampled_from([1, 3, 8, 50]),
    st.sampled_from([1, 2, 3, 5]),
)
def test_a_stream_is_taken_up_anywhere(folders, streams, epochs, delivered, batch, hosts):
    """With other batches and other hosts than before."""
    stream, chosen = streams[epochs], config(folders / "jpeg", epochs=epochs)
    with Loader(chosen) as loader:
        for _ in range(delivered):
            next(loader)
        state = json.loads(json.dumps(loader.state()))
    assert state["position"] == 8 * delivered
    chosen = replace(chosen, batch=batch * hosts)
    position = position_of(state, chosen)
    for host in range(hosts):
        found = joined(batches(chosen, 4, host=host, hosts=hosts, position=position))
        begin = position + host
        length = min(len(found["valid"]), len(range(begin, len(stream["valid"]), hosts)))
        expected = {key: value[begin::hosts][:length] for key, value in stream.items()}
        assert_same({key: value[:length] for key, value in found.items()}, expected)


def test_position_is_counted_as_batches_are_delivered(folders):
    with Loader(config(folders / "jpeg", epochs=1, batch=100)) as loader:
        states = [loader.state()["position"]]
        states += [loader.state()["position"] for _ in loader]
        assert states == [0, 100, 200, 300]
        with pytest.raises(StopIteration):
            next(loader)
    chosen = config(folders / "jpeg", epochs=1)
    assert batches(chosen, position=len(SAMPLES)) == []
    assert batches(chosen, position=1 << 40) == []
    assert where_from(batches(chosen, position=len(SAMPLES) - 1)[0]) != []


def test_whose_position_it_is(folders, tmp_path):
    chosen = config(folders / "jpeg")
    with Loader(chosen) as loader:
        next(loader)
        state = loader.state()
    moved = shutil.copytree(folders / "jpeg", tmp_path / "moved")
    same = [config(moved), replace(chosen, batch=3), config(folders / "h264")]
    assert [position_of(state, one) for one in same] == [8, 8, 8]

    options = IndexOptions(PLAIN, Filters(min_active=0.2))
    window_index.write_index(moved, "train", options=options)
    renamed = tmp_path / "renamed"
    record_sets.write_set(renamed, [replace(one, video=f"{one.video}x") for one in RECORDINGS])
    others = [
        config(moved),
        config(renamed),
        replace(chosen, shuffle=Shuffle(4, window=4, run=8)),
        replace(chosen, shuffle=Shuffle(3, window=2, run=8)),
        replace(chosen, shuffle=Shuffle(3, window=4, run=8, spread=1)),
        replace(chosen, frames=2),
        replace(chosen, epochs=3),
        replace(chosen, game_weights={"*": 1.0}),
        config((Dataset(str(folders / "jpeg"), weight=1.0),)),
    ]
    for one in others:
        with pytest.raises(NitrogenError, match=r"^loader: the saved position belongs to other"):
            position_of(state, one)
    with pytest.raises(NitrogenError, match="the saved position belongs to other"):
        position_of({}, chosen)


# ---------------------------------------------------------------------------------------------
# Damage and misuse


def damaged(folders, tmp_path, codec="jpeg"):
    """A copy of which one record cannot be read, and the samples that need it."""
    folder = shutil.copytree(folders / codec, tmp_path / "a")
    path = folder / records.shard_name("train", 0)
    data = bytearray(path.read_bytes())
    data[300:310] = bytes(255 - byte for byte in data[300:310])  # in the first record of all
    path.write_bytes(data)
    return folder


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_a_damaged_record(folders, tmp_path, caplog, codec):
    folder = damaged(folders, tmp_path, codec)
    with caplog.at_level(logging.WARNING, logger="nitrogen_jax"):
        found = batches(config(folder, epochs=1))
    for batch in found:
        assert batch["dropped"][~batch["valid"]].all()
        assert not batch["frames"][~batch["valid"]].any()
        assert not batch["mask"][~batch["valid"]].any()
    whole = where_from(joined(found))
    lost = {sample for sample in SAMPLES if (0, *sample) not in whole}
    # Pictures of the record; the actions of the ones that follow are in records of their own.
    per_record = 12 if codec == "jpeg" else 40
    assert lost == {(0, n) for n in range(per_record)} & set(SAMPLES)
    assert len(whole) + len(lost) == len(SAMPLES)
    told = [r for r in caplog.records if "record 0 of" in r.getMessage()]
    assert told
    assert all("samples are left out" in record.getMessage() for record in told)
    assert sum(record.args[1] for record in told) == len(lost)
    check({key: value[joined(found)["valid"]] for key, value in joined(found).items()})


def test_a_damaged_picture(tmp_path, caplog):
    one, folder = Recording(0, "v"), tmp_path / "a"
    record_sets.write_set(folder, [one], files=1, per_record=60)
    chunk = records.from_bytes(record_sets.pieces(one, "jpeg", 60, 5)[0])
    frames = [b"nothing" * 90 if at == 17 else frame for at, frame in enumerate(chunk.frames)]
    path = folder / records.shard_name("train", 0)
    path.unlink()
    records.write_file(path, [records.to_bytes(replace(chunk, frames=tuple(frames)))])
    window_index.write_index(folder, "train", options=IndexOptions(PLAIN, Filters(0.0)))
    found = joined(batches(config(folder, epochs=1, frames=2, spacing=4)))
    seen = {picture for _, _, picture in where_from(found)}
    assert set(one.samples(PLAIN)) - seen == {17, 19}  # 19 shows it as context
    assert "picture 0 of it cannot be decoded: left out" in caplog.text
    assert not found["frames"][~found["valid"]].any()


def test_a_file_that_is_not_there(folders, tmp_path):
    folder = shutil.copytree(folders / "jpeg", tmp_path / "a")
    with Loader(config(folder)) as loader:
        for number in range(2):
            (folder / records.shard_name("train", number)).unlink()
        with pytest.raises(NitrogenError, match=r"array_record-0000\d have gone: "):
            list(islice(loader, 100))
        with pytest.raises(NitrogenError, match="has been closed, or has failed before"):
            next(loader)
    missing = r"^records .*array_record-00000 are not there: of the 2 files of split train, 2 are"
    with pytest.raises(NitrogenError, match=missing):
        Loader(config(folder))


def test_an_index_of_other_records(folders, tmp_path):
    folder = shutil.copytree(folders / "jpeg", tmp_path / "a")
    for part in ("chunks-train.array_record-00000", "dataset_info.json", "features.json"):
        shutil.copy(folders / "h264" / part, folder / part)
    with pytest.raises(NitrogenError, match=r"^index .* is of other records.*nitrogen data index"):
        Loader(config(folder))


def test_pictures_of_another_size(folders):
    with (
        Loader(config(folders / "h264", size=64)) as loader,
        pytest.raises(NitrogenError, match=r"h264 are 32 pixels high, where size is 64"),
    ):
        next(loader)


def test_a_closed_loader_says_so(folders):
    loader = Loader(config(folders / "jpeg"))
    next(loader)
    loader.close()
    loader.close()
    with pytest.raises(NitrogenError, match=r"^loader: it has been closed"):
        next(loader)
    with Loader(config(folders / "jpeg")):
        pass


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch": 0}, "batch is 0: 1 is the least"),
        ({"frames": 0}, "frames is 0"),
        ({"spacing": 0}, "spacing is 0"),
        ({"size": -1}, "size is -1"),
        ({"epochs": 0}, "epochs is 0: 1 is the least, None no end"),
        ({"shuffle": Shuffle(window=0)}, "window is 0"),
        ({"game_weights": {"beta": -1.0}}, "weights are .*, where numbers from 0 on"),
        ({"game_weights": {"beta": 0.0}}, "weights are .*, where numbers from 0 on"),
        ({"game_weights": {"beta": float("nan")}}, "weights are .*, where numbers from 0 on"),
        ({"game_weights": {"beta": 1.0}, "epochs": 1}, "weights have no meaning in whole passes"),
        ({"game_weights": {"omega": 1.0}}, "no sample of game 'omega' is there; of alpha, beta"),
    ],
)
def test_configurations_that_make_no_sense(folders, options, problem):
    with pytest.raises(NitrogenError, match=problem):
        Loader(config(folders / "jpeg", **options))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"host": 2, "hosts": 2}, "host 2 of 2: 0 to 1 are there"),
        ({"host": -1}, "host -1 of 1"),
        ({"hosts": 3}, "batch is 8, where a multiple of the 3 hosts is needed"),
        ({"workers": -1}, "workers is -1"),
        ({"position": -8}, "position -8"),
        ({"buffer": 0}, "buffer is 0: 1 is the least"),
    ],
)
def test_arguments_that_make_no_sense(folders, options, problem):
    with pytest.raises(NitrogenError, match=rf"^loader: .*{problem}"):
        Loader(config(folders / "jpeg"), **options)


def test_data_sets_that_do_not_go_together(folders, second, tmp_path):
    jpeg, val = Dataset(str(folders / "jpeg")), Dataset(str(second[0]), "val")
    with pytest.raises(NitrogenError, match="no data set is given"):
        Loader(config(()))
    with pytest.raises(NitrogenError, match="some data sets have a weight and some do not"):
        Loader(config((replace(jpeg, weight=1.0), val)))
    weighted = replace(jpeg, weight=1.0), replace(val, weight=1.0)
    with pytest.raises(NitrogenError, match="of data sets and of games exclude each other"):
        Loader(config(weighted, game_weights={"alpha": 1.0}))
    with pytest.raises(NitrogenError, match="have no split 'test': they have train"):
        Loader(config((replace(jpeg, split="test"),)))
    with pytest.raises(NitrogenError, match=r"nitrogen data index .* makes it"):
        Loader(config((replace(jpeg, index="other"),)))
    folder = shutil.copytree(folders / "jpeg", tmp_path / "a")
    window_index.write_index(folder, "train", "slow", IndexOptions(Steps(4, rate=20.0)))
    slow = Dataset(str(folder), index="slow")
    with pytest.raises(NitrogenError, match=r"different steps .*rate=20.0.* make them anew"):
        Loader(config((jpeg, slow)))
    nothing = IndexOptions(PLAIN, Filters(games=("omega",)))
    window_index.write_index(folder, "train", "none", nothing)
    none = Dataset(str(folder), index="none")
    with pytest.raises(NitrogenError, match=r"no sample of .*a \(train\) has passed the filters$"):
        Loader(config((none,)))
    weighted = replace(jpeg, weight=1.0), replace(none, weight=1.0)
    with pytest.raises(NitrogenError, match=r"no sample of \S*/a \(train\) has passed"):
        Loader(config(weighted))
    found = batches(config((none, jpeg), epochs=1))  # by number it has none, which is no mistake
    assert {row[0] for row in where_from(joined(found))} == {1}


def test_a_window_that_hosts_do_not_divide(folders, caplog):
    chosen = config(folders / "jpeg", epochs=1, batch=12)
    shares = [joined(batches(chosen, host=host, hosts=3)) for host in range(3)]
    assert "window 4 is not a multiple of 3 hosts x 1 workers" in caplog.text
    rows = [row for share in shares for row in where_from(share)]
    assert sorted(rows) == [(0, *sample) for sample in SAMPLES]


# ---------------------------------------------------------------------------------------------
# Work


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
@pytest.mark.parametrize("epochs", [1, None])
def test_runs_are_read_once_in_the_middle_and_seldom_more_at_the_end(folders, processes, epochs):
    """Each process reads the runs of its lanes; only in the last turn do processes share them."""
    from nitrogen_jax.data import sample_source
    from nitrogen_jax.data.catalogue import Catalogue

    shuffle = Shuffle(3, window=8, run=3)
    catalogue = Catalogue(config(folders / "jpeg", epochs=epochs, shuffle=shuffle))
    total, loads, most = len(SAMPLES), Counter(), 0
    for process in range(processes):
        samples = sample_source._Samples(catalogue, processes)
        samples._load = lambda number: loads.update([number]) or number
        for index in range(process, total, processes):
            place = catalogue.order.place(index)
            assert samples._run(place.run, place) == place.run
            samples._read_ahead(place)
            most = max(most, len(samples.loaded) * processes)
    runs = {catalogue.order.place(index).run for index in range(total)}
    whole = {run for run in runs if run < total // 24 * 8}
    assert all(loads[run] == 1 for run in whole)
    assert all(loads[run] <= min(processes, 4) for run in runs)
    assert most <= 2 * 8 + 8  # and no process holds on to runs that have been played


def test_memory_of_many_batches_stays_flat(folders):
    chosen = config(folders / "h264", batch=4, frames=2, spacing=4)
    with Loader(chosen) as loader:
        sizes = []
        for number in range(300):
            next(loader)
            if number == 60:
                tracemalloc.start()
            if number > 60 and number % 20 == 0:
                sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert np.mean(sizes[-3:]) - np.mean(sizes[:3]) < 1 << 20  # 4 kB a batch would show
