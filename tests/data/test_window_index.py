"""Indices of samples: which pass the filters, in which order, and what makes an index invalid."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax import cli, gamepad
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
pytest.importorskip("tensorflow_datasets")
import pyarrow as pa

from nitrogen_jax.data import activity, records, window_index
from nitrogen_jax.data.control import EARLY, Steps
from nitrogen_jax.data.window_index import Filters, IndexOptions, read_index, write_index


@dataclasses.dataclass(frozen=True)
class Take:
    """A chunk of labels, with actions that are idle now and then."""

    video: str
    start: int = 0
    game: str = "alpha"
    rows: int = 120
    stride: int = 4
    rate: float = 30.0
    lag: int = 0
    uneven: bool = False
    unsure: bool = False

    @property
    def name(self) -> str:
        return f"{self.video}_chunk_{self.start:06d}"

    @property
    def pictures(self) -> int:
        return -(-self.rows // self.stride)

    def _random(self, what: int) -> np.random.Generator:
        return np.random.default_rng([what, *self.name.encode()])

    @property
    def actions(self) -> np.ndarray:
        """(R, 25): stretches of a few rows in which a button is held, a stick moved, or neither."""
        draw, actions, row = self._random(0), gamepad.neutral(self.rows), 0
        while row < self.rows:
            end = row + int(draw.integers(1, 12))
            what = draw.integers(4)
            if what == 0:
                actions[row:end, draw.integers(21)] = 1
            elif what == 1:
                stick = 21 + 2 * int(draw.integers(2))
                far = draw.choice([0.05, 0.15, 0.6]) * np.array([0.6, -0.8])
                actions[row:end, stick : stick + 2] = gamepad.scale_stick(far)
            row = end
        return actions

    @property
    def times(self) -> np.ndarray:
        if not self.uneven:
            return np.arange(self.rows) / self.rate
        gaps = self._random(1).uniform(0.4, 1.6, self.rows - 1) / self.rate
        return np.append(0, np.cumsum(gaps)).astype(np.float32).astype(np.float64)

    @property
    def confidence(self) -> np.ndarray:
        found = np.ones(self.rows, np.float32)
        if self.unsure:
            low = self._random(2).choice(self.rows, 5)
            found[low] = np.float32([0.3, 0.5, 0.8, 0.9, 0.95])
        return found

    def activity(self, per_record: int) -> activity.Activity:
        return activity.Activity(
            video_id=self.video,
            chunk_id=self.name,
            game=self.game,
            controller="xboxone",
            start_frame=self.start,
            records=-(-self.pictures // per_record),
            pictures=self.pictures,
            per_record=per_record,
            frame_stride=self.stride,
            label_lag=self.lag,
            rows=self.rows,
            start_time=self.start / self.rate,
            rate=self.rate,
            **activity.summary(self.actions),
            confidence=self.confidence if self.unsure else None,
            times=self.times.astype(np.float32) if self.uneven else None,
        )

    def pieces(self, per_record: int) -> list[bytes]:
        found = []
        for first in range(0, self.pictures, per_record):
            pictures = min(per_record, self.pictures - first)
            rows = slice(first * self.stride, (first + pictures) * self.stride)
            chunk = records.Chunk(
                video_id=self.video,
                chunk_id=self.name,
                game=self.game,
                controller="xboxone",
                start_time=0.0,
                rate=self.rate,
                first_row=first * self.stride,
                frame_stride=self.stride,
                frames=(b"not decoded here",) * pictures,
                actions=self.actions[rows],
                confidence=self.confidence[rows],
            )
            found.append(records.to_bytes(chunk))
        return found

    # -- what should be in the index

    def rows_of(self, picture: int, steps: Steps) -> list[list[int]]:
        """The rows of each step, the last one last; they may be beyond the recording."""
        times, frame, bounds = self.times, picture * self.stride, []
        for k in range(-1, steps.horizon):
            if steps.rate is None:
                bounds.append(frame + steps.shift + k + self.lag)
                continue
            at = times[frame] + (steps.shift + k) / steps.rate - EARLY / self.rate
            row = sum(time < at for time in times.tolist())
            if row == self.rows:
                row += math.ceil((at - times[-1]) * self.rate) - 1
            elif at < 0:
                row = math.ceil(at * self.rate)
            bounds.append(row + self.lag)
        steps_of = itertools.pairwise(bounds)
        return [[*range(before + 1, last), last] for before, last in steps_of]

    def fate(self, picture: int, options: IndexOptions) -> str:
        """ "kept", or why it is left out."""
        filters = options.filters
        if filters.games and self.game not in filters.games:
            return "game"
        steps = self.rows_of(picture, options.steps)
        if not all(0 <= rows[-1] < self.rows for rows in steps):
            return "too_near_the_end"
        steps = [[row for row in rows if row >= 0] for rows in steps]
        confidence = self.confidence
        if any(
            confidence[row] < np.float32(filters.min_confidence) for rows in steps for row in rows
        ):
            return "unsure"
        idle = gamepad.is_idle(gamepad.decode(self.actions), filters.dead_zone)
        active = sum(any(not idle[row] for row in rows) for rows in steps)
        return "kept" if active / len(steps) >= filters.min_active else "idle"


TAKES = (
    Take("b"),
    Take("a", game="beta", uneven=True),
    Take("a", start=120, unsure=True),
    Take("c", rows=240, rate=60.0, stride=3, unsure=True, uneven=True, game="beta"),
    Take("c", start=240, rows=97, rate=60.0, stride=1, game="gamma"),
    Take("d", lag=3, rows=61),
    Take("d", start=61, lag=-4, stride=2),
    Take("e", rows=5),
    Take("ä", rate=24.0, lag=1, unsure=True),
)


def write_set(folder: Path, takes=TAKES, files: int = 2, per_record: int = 7, **more) -> Path:
    """Records and their activity tables as a build leaves them, in the order of `takes`.

    Args:
        files: of the split "train".
        more: split -> its takes, in one file.
    """
    (folder / activity.FOLDER).mkdir(parents=True)
    parts = np.array_split(np.arange(len(takes)), files)
    splits = {"train": [[takes[at] for at in part] for part in parts]}
    splits |= {split: [some] for split, some in more.items()}
    shards = {}
    for split, groups in splits.items():
        lengths, total = [], 0
        for number, group in enumerate(groups):
            data = [piece for take in group for piece in take.pieces(per_record)]
            sizes = records.write_file(folder / records.shard_name(split, number), data)
            tables = [take.activity(per_record) for take in group]
            activity.write(activity.table_path(folder, split, number), tables)
            lengths.append(len(sizes))
            total += sum(sizes)
        shards[split] = records.Shards(tuple(lengths), total)
    records.write_metadata(folder, shards, "For tests.")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("records") / "r")


def contents(index: window_index.Index) -> dict[str, list[int]]:
    """Chunk id -> its samples."""
    bounds = zip(index.offsets[:-1], index.offsets[1:], strict=True)
    return {
        index.text("chunk_id", at): index.samples[begin:end].tolist()
        for at, (begin, end) in enumerate(bounds)
    }


OPTIONS = {
    "as they are": IndexOptions(),
    "everything": IndexOptions(filters=Filters(min_active=0)),
    "busy": IndexOptions(filters=Filters(min_active=1.0)),
    "a third": IndexOptions(Steps(6), Filters(min_active=1 / 3)),
    "no dead zone": IndexOptions(filters=Filters(dead_zone=0.0)),
    "large dead zone": IndexOptions(filters=Filters(dead_zone=0.3)),
    "sure": IndexOptions(filters=Filters(0.2, min_confidence=0.8)),
    "surer": IndexOptions(filters=Filters(0.0, min_confidence=0.9)),
    "certain": IndexOptions(filters=Filters(0.0, min_confidence=1.0)),
    "games": IndexOptions(filters=Filters(games=("beta", "gamma", "none such"))),
    "shift": IndexOptions(Steps(18, 3)),
    "no shift": IndexOptions(Steps(5, 0), Filters(0.3)),
    "slower": IndexOptions(Steps(8, 1, 10.0), Filters(0.6)),
    "slower and sure": IndexOptions(Steps(5, 1, 10.0), Filters(0.3, min_confidence=0.9)),
    "no shift, slower": IndexOptions(Steps(5, 0, 12.5), Filters(0.4)),
    "faster": IndexOptions(Steps(18, 2, 60.0), Filters(0.4, 0.2)),
    "long": IndexOptions(Steps(110, 1), Filters(0.1)),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_samples_are_those_that_pass(folder, options):
    about = write_index(folder, "train", options=options)
    index = read_index(folder)
    fates = {
        take.name: [take.fate(picture, options) for picture in range(take.pictures)]
        for take in TAKES
    }
    kept = {
        name: [picture for picture, one in enumerate(found) if one == "kept"]
        for name, found in fates.items()
    }
    assert contents(index) == {name: found for name, found in kept.items() if found}
    causes = Counter(one for found in fates.values() for one in found)
    assert about["samples"] == causes.pop("kept", 0)
    assert {cause: n for cause, n in about["left_out"].items() if n} == causes
    assert about["chunks"] == sum(map(bool, kept.values()))
    assert index.about == json.loads(json.dumps(about))
    assert index.options == options


def test_the_options_differ():
    """Each of the cases above tells some fate, and all fates are met."""
    found = Counter(
        take.fate(picture, options)
        for options in OPTIONS.values()
        for take in TAKES
        for picture in range(take.pictures)
    )
    assert found.keys() == {"kept", "idle", "unsure", "game", "too_near_the_end"}
    assert min(found.values()) > 100


def test_what_an_index_knows_of_its_chunks(folder):
    options = IndexOptions(Steps(3), Filters(min_active=0))
    write_index(folder, "train", options=options)
    index = read_index(folder)
    takes = {take.name: take for take in TAKES}
    stored = records.read_records(folder)
    assert index.game_names == ["alpha", "beta", "gamma"]
    assert len(index.table) == len(index.games) == len(index.offsets) - 1
    for at in range(len(index.table)):
        take = takes[index.text("chunk_id", at)]
        numbers = {name: int(one[at]) for name, one in index.numbers.items() if name != "rate"}
        assert (index.text("video_id", at), index.text("game", at)) == (take.video, take.game)
        assert index.game_names[index.games[at]] == take.game
        assert numbers["rows"] == take.rows
        assert numbers["pictures"] == take.pictures
        assert numbers["frame_stride"] == take.stride
        assert numbers["label_lag"] == take.lag
        assert numbers["start_frame"] == take.start
        assert numbers["per_record"] == 7
        assert index.numbers["rate"][at] == take.rate
        np.testing.assert_array_equal(index.row_times(at), take.times)
        for piece in range(-(-take.pictures // 7)):  # its records follow each other
            one = stored[numbers["record"] + piece]
            assert (one.chunk_id, one.first_row) == (take.name, piece * 7 * take.stride)
    assert index.samples.dtype == np.uint16
    assert index.offsets.dtype == np.int64


def test_the_order_is_that_of_videos_and_frames(folder):
    write_index(folder, "train", options=IndexOptions(Steps(1, 0), Filters(min_active=0)))
    index = read_index(folder)
    order = [(index.text("video_id", at), int(index.numbers["start_frame"][at])) for at in range(9)]
    assert order == sorted((take.video, take.start) for take in TAKES)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An index of all takes."""
    out = write_set(tmp_path_factory.mktemp("plain") / "r")
    write_index(out, "train", options=OPTIONS["faster"])
    return read_index(out)


@settings(max_examples=12)
@given(data=st.data())
def test_the_division_into_files_and_records_does_not_matter(plain, tmp_path_factory, data):
    takes = data.draw(st.permutations(TAKES))
    files, per_record = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    out = write_set(tmp_path_factory.mktemp("r") / "r", takes, files, per_record)
    write_index(out, "train", options=OPTIONS["faster"])
    index = read_index(out)
    own = ["record", "per_record"]
    assert index.table.drop_columns(own).equals(plain.table.drop_columns(own))
    stored = records.read_records(out)
    for at, record in enumerate(index.numbers["record"].tolist()):
        assert (stored[record].chunk_id, stored[record].first_row) == (
            *(index.text("chunk_id", at), 0),
        )


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    inside = window_index.FOLDER
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != inside
    }


def test_records_are_never_touched(tmp_path):
    out = write_set(tmp_path / "r")
    before = state(out)
    counts = {}
    for number, (name, options) in enumerate(OPTIONS.items()):
        counts[name] = write_index(out, "train", f"i{number}", options)["samples"]
        write_index(out, "train", options=options)
    assert state(out) == before
    found = sorted(path.name for path in (out / window_index.FOLDER).iterdir())
    names = [f"i{number}" for number in range(len(OPTIONS))]
    assert found == sorted(f"{name}-train.arrow" for name in ["default", *names])
    for number, name in enumerate(OPTIONS):  # each has its own samples
        assert len(read_index(out, name=f"i{number}").samples) == counts[name]


def test_progress_is_told(folder):
    told = []
    write_index(folder, "train", advance=told.append)
    assert told == [1] * len(TAKES)


# ---------------------------------------------------------------------------------------------
# Corner cases


def test_nothing_passes(folder):
    about = write_index(folder, "train", options=IndexOptions(Steps(1000)))
    index = read_index(folder)
    assert (about["samples"], about["chunks"], len(index.table)) == (0, 0, 0)
    assert index.samples.tolist() == []
    assert index.offsets.tolist() == [0]
    assert index.games.tolist() == []
    assert index.game_names == []
    assert all(len(one) == 0 for one in index.numbers.values())
    assert about["left_out"] == {
        **{"too_near_the_end": sum(take.pictures for take in TAKES), "idle": 0}
    }


def test_no_records(tmp_path):
    out = write_set(tmp_path / "r", ())
    assert write_index(out, "train")["samples"] == 0
    assert len(read_index(out).samples) == 0


def test_long_chunks(tmp_path):
    """More pictures than 16 bits can number."""
    count = (1 << 16) + 500
    long = Take("long", rows=count, stride=1)
    for take, kind in ((Take("short", rows=1 << 16, stride=1), np.uint16), (long, np.uint32)):
        out = write_set(tmp_path / take.video, [take, Take("z")], per_record=1 << 15)
        write_index(out, "train", options=IndexOptions(Steps(1, 0), Filters(min_active=0)))
        index = read_index(out)
        assert index.samples.dtype == kind
        np.testing.assert_array_equal(index.samples, [*range(take.rows), *range(30)])
        assert index.offsets.tolist() == [0, take.rows, take.rows + 30]


def test_an_index_knows_of_its_split_alone(tmp_path):
    out = write_set(tmp_path / "r", TAKES[:3], val=TAKES[3:])
    everything = IndexOptions(Steps(1, 0), Filters(min_active=0))
    for split, takes in (("train", TAKES[:3]), ("val", TAKES[3:])):
        write_index(out, split, options=everything)
        assert contents(read_index(out, split)).keys() == {take.name for take in takes}


# ---------------------------------------------------------------------------------------------
# What is wrong


@pytest.fixture
def made(tmp_path):
    """Records with an index that is named and has options of its own."""
    out = write_set(tmp_path / "my records", TAKES[:3])
    filters = Filters(0.25, 0.2, games=("alpha", "it's"))
    write_index(out, "train", "lively", IndexOptions(Steps(4, 2, 15.0), filters))
    return out


def complaint(folder, split="train", name="lively") -> str:
    with pytest.raises(NitrogenError) as caught:
        read_index(folder, split, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def follow(text: str) -> None:
    """Does what a message says makes the index."""
    assert text.endswith((" makes it", " makes it anew"))
    words = shlex.split(text[text.index("nitrogen data index") :])
    words = words[: words.index("makes")]
    assert cli.main(words[1:]) in (0, 1)


def grow(folder):
    """One video more."""
    again = folder.with_name("again")
    write_set(again, [*TAKES[:3], TAKES[4]])
    replace(folder, again)


def other_pictures(folder):
    """As many records as before, with other things in them."""
    again = folder.with_name("again")
    write_set(again, [TAKES[0], TAKES[1], dataclasses.replace(TAKES[2], game="others")])
    replace(folder, again)


def replace(folder, again):
    for path in again.rglob("*"):
        if path.is_file():
            path.replace(folder / path.relative_to(again))


@pytest.mark.parametrize("change", [grow, other_pictures])
def test_an_index_of_other_records(made, change, capsys):
    options = read_index(made, name="lively").options
    change(made)
    text = complaint(made)
    path = window_index.index_path(made, "train", "lively")
    assert text.startswith(f"index {path} is of other records than there are now: nitrogen data")
    follow(text)
    assert read_index(made, name="lively").options == options


def test_the_command_names_every_option():
    standard = window_index.arguments(IndexOptions())
    assert standard == []
    options = IndexOptions(Steps(4, 2, 15.0), Filters(0.25, 0.2, 0.9, ("a b", "c")))
    assert window_index.arguments(options) == [
        *("--horizon 4", "--shift 2", "--control-rate 15.0", "--min-active 0.25"),
        *("--dead-zone 0.2", "--min-confidence 0.9", "--game 'a b'", "--game c"),
    ]


def test_no_index(made, capsys):
    path = window_index.index_path(made, "train", "other")
    text = complaint(made, name="other")
    assert text.startswith(f"index {path} does not exist: nitrogen data index ")
    follow(text)
    assert read_index(made, name="other").options == IndexOptions()


def test_no_split(made):
    assert complaint(made, "val") == f"records {made} have no split 'val': they have train"
    assert "have no split '../train': they have train" in complaint(made, "../train")
    with pytest.raises(NitrogenError, match="no split 'val': they have train"):
        write_index(made, "val")


def test_no_folder_of_records(tmp_path):
    assert "is not a folder of records" in complaint(tmp_path)
    with pytest.raises(NitrogenError, match="is not a folder of records"):
        write_index(tmp_path, "train")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.9, 0.999])
def test_an_index_that_was_cut_off(made, keep, capsys):
    path = window_index.index_path(made, "train", "lively")
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    text = complaint(made)
    assert text.startswith(f"index {path} cannot be read (")
    follow(text)
    assert len(read_index(made, name="lively").table)


def rewritten(path, change_about=lambda about: about, change=lambda table: table):
    with pa.OSFile(str(path)) as file:
        table = change(pa.ipc.open_file(file).read_all())
    metadata = dict(table.schema.metadata or {})
    if metadata:
        about = change_about(json.loads(metadata[b"nitrogen_jax"]))
        metadata[b"nitrogen_jax"] = json.dumps(about).encode()
    table = table.replace_schema_metadata(metadata)
    path.unlink()  # the old one may be mapped into memory
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"change_about": lambda about: about | {"version": 0}}, "its version is 0, where"),
        ({"change_about": lambda about: []}, "its version is None"),
        ({"change_about": lambda about: {"version": window_index.VERSION}}, "'steps'"),
        ({"change_about": lambda about: about | {"filters": {"games": [], "x": 1}}}, "x"),
        ({"change": lambda table: table.replace_schema_metadata(None)}, "its version is None"),
        ({"change": lambda table: table.drop_columns(["times"])}, "it has other columns than"),
        (
            {"change": lambda table: table.set_column(3, "start_frame", table["rate"])},
            "it has other columns than",
        ),
    ],
)
def test_what_is_no_index(made, change, reason):
    path = window_index.index_path(made, "train", "lively")
    rewritten(path, **change)
    text = complaint(made)
    assert text.startswith(f"index {path} cannot be read (")
    assert reason in text


def test_offsets_that_lead_astray(made):
    """What is mapped into memory is looked at before it is believed."""
    path = window_index.index_path(made, "train", "lively")
    offsets = read_index(made, name="lively").offsets.astype("<i8").tobytes()
    data = path.read_bytes()
    assert data.count(offsets) == 1
    wild = np.frombuffer(offsets, "<i8").copy()
    wild[1:] = 1 << 40
    path.unlink()
    path.write_bytes(data.replace(offsets, wild.tobytes()))
    assert complaint(made).startswith(f"index {path} cannot be read (")


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", ".hidden", "..", "a b", "a\n", "/etc/passwd", "a\\b", "a\0"]
)
def test_names_that_no_index_can_have(made, name):
    before = sorted(made.parent.rglob("*"))
    with pytest.raises(NitrogenError, match="a name of letters, digits"):
        read_index(made, name=name)
    with pytest.raises(NitrogenError, match="a name of letters, digits"):
        write_index(made, "train", name)
    assert sorted(made.parent.rglob("*")) == before


@pytest.mark.parametrize("field", ["min_active", "dead_zone", "min_confidence"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_filters_that_make_no_sense(made, field, value):
    with pytest.raises(NitrogenError, match=rf"filter {field} is {value}, where 0 to 1"):
        write_index(made, "train", options=IndexOptions(filters=Filters(**{field: value})))
    with pytest.raises(NitrogenError, match="horizon is 0"):
        write_index(made, "train", options=IndexOptions(Steps(0)))


def test_records_without_activity(made):
    table = activity.table_path(made, "train", 1)
    table.unlink()
    old = window_index.index_path(made, "train", "lively").read_bytes()
    with pytest.raises(NitrogenError, match=rf"activity table {table} does not exist"):
        write_index(made, "train", "lively")
    assert window_index.index_path(made, "train", "lively").read_bytes() == old


def test_activity_of_other_records(made):
    tables = [activity.table_path(made, "train", number) for number in range(2)]
    tables[0].write_bytes(tables[1].read_bytes())
    with pytest.raises(NitrogenError, match="tells of 5 records, where its file holds 10"):
        write_index(made, "train", "lively")


def test_a_disk_that_cannot_be_written(made, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    path = window_index.index_path(made, "train", "lively")
    old = path.read_bytes()
    monkeypatch.setattr(window_index.pa.ipc, "new_file", fail)
    with pytest.raises(NitrogenError, match=f"cannot write index {path}: No space left on device"):
        write_index(made, "train", "lively")
    assert path.read_bytes() == old
    assert [one.name for one in path.parent.iterdir()] == [path.name]
