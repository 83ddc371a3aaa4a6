"""What is written of play: whole, however it ended, and fit to train on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.data.label_check import check_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.play import records
from nitrogen_jax.play.records import Recorder, Take
from nitrogen_jax.play.seen import PERSON
from nitrogen_jax.sim import actions

TAKE = Take("toy-1", "A Toy", 60.0, 1)


def record(out: Path, seen, error: BaseException | None = None) -> None:
    """Records some steps; then something goes wrong, or not."""
    with Recorder(out, TAKE) as recorder:
        for one in seen:
            recorder.see(one)
        if error is not None:
            raise error


def pictures(path: Path) -> list[np.ndarray]:
    return [frame.picture() for frame in video.frames(path, threads=1)]


def written(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_every_file_holds_every_step(tmp_path, make_seen):
    seen = [make_seen(step) for step in range(30)]
    with Recorder(tmp_path, TAKE) as recorder:
        assert all(recorder.see(one) for one in seen)
    assert recorder.chunks == 1
    for folder, size in (("videos", (48, 64)), ("debug", (48 + 216, 640))):
        found = pictures(tmp_path / folder / "toy-1.mp4")
        assert [one.shape[:2] for one in found] == [size] * 30
    found = pictures(tmp_path / "videos" / "toy-1.mp4")
    for step, one in enumerate(found):
        assert abs(int(np.median(one)) - (step * 7) % 256) <= 3
    lines = [json.loads(line) for line in (tmp_path / "actions/toy-1.jsonl").open()]
    assert [line["step"] for line in lines] == list(range(1, 30))
    for line, one in zip(lines, seen[1:], strict=True):
        names = [gamepad.BUTTONS[at] for at in np.flatnonzero(one.pad.pressed)]
        assert line["pad"]["buttons"] == names
        np.testing.assert_allclose(line["pad"]["left"], one.pad.left, atol=1e-6)
        assert (line["time"], line["by"]) == (pytest.approx(one.time, abs=1e-6), "policy")
        assert line["chunk"] == 0
        assert line["latency_ms"] == {"infer": 2.5, "game": 1.0}
        assert "policy" not in line
    pads = actions.read(tmp_path / "actions" / "toy-1.npz")
    assert pads.shape == (29,)
    tree = label_tree.open_tree(tmp_path / "labels")
    assert list(check_tree(tree)) == []
    ((meta, table),) = [label_tree.read_chunk(raw) for raw in tree.scan()]
    assert (meta.chunk_size, meta.rate, meta.video.source) == (30, 60.0, "nitrogen play")
    np.testing.assert_array_equal(table.actions[0], gamepad.neutral())
    np.testing.assert_allclose(table.actions[1:], gamepad.pack(pads), atol=1e-6)


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_in_a_hurry_the_debug_video_is_drawn_afterwards(tmp_path, make_seen, size):
    seen, found = [make_seen(step, size) for step in range(20)], {}
    for hurry in (False, True):
        out = tmp_path / str(hurry)
        out.mkdir()
        with Recorder(out, replace(TAKE, hurry=hurry)) as recorder:
            for one in seen:
                recorder.see(one)
        found[hurry] = pictures(out / "debug" / "toy-1.mp4")
        assert len(pictures(out / "videos" / "toy-1.mp4")) == 20
        assert list(check_tree(label_tree.open_tree(out / "labels"))) == []
    assert len(found[True]) == len(found[False]) == 20
    for one, other in zip(*found.values(), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_what_the_policy_wanted_stands_beside_what_a_person_held(tmp_path, make_seen):
    record(tmp_path, [make_seen(0), make_seen(1, by=PERSON)])
    (line,) = (json.loads(line) for line in (tmp_path / "actions/toy-1.jsonl").open())
    assert line["by"] == "person"
    assert "START" in line["policy"]["buttons"]  # what it wanted, before the mask
    assert "START" not in line["pad"]["buttons"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_what_goes_wrong_costs_nothing_of_what_was(tmp_path, make_seen, error):
    with pytest.raises(type(error)):
        record(tmp_path, [make_seen(step) for step in range(10)], error)
    assert len(pictures(tmp_path / "videos" / "toy-1.mp4")) == 10
    assert len(written(tmp_path)) == 4 + 3
    assert not [name for name in written(tmp_path) if "tmp" in name]


@pytest.mark.parametrize("steps", [0, 1])
def test_a_reset_alone_is_no_play(tmp_path, make_seen, steps):
    record(tmp_path, [make_seen(step) for step in range(steps)])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_changes_its_size_ends_a_video(tmp_path, make_seen):
    grown = make_seen(5, size=(50, 64))
    with pytest.raises(NitrogenError, match="50 pixels"):
        record(tmp_path, [*(make_seen(step) for step in range(5)), grown])
    assert len(pictures(tmp_path / "videos" / "toy-1.mp4")) == 5


def test_a_disk_that_takes_no_more_is_told_once(tmp_path, make_seen, monkeypatch):
    class Full(records.VideoWriter):
        def write(self, frame):
            if self.frames == 3:
                raise NitrogenError("cannot write video: no space left on device")
            super().write(frame)

    monkeypatch.setattr(records, "VideoWriter", Full)
    told = []
    with Recorder(tmp_path, TAKE) as recorder:
        for step in range(400):  # more than may wait
            try:
                recorder.see(make_seen(step))
            except NitrogenError as error:
                told.append(str(error))
                break
    assert told == ["cannot write video: no space left on device"]
    assert written(tmp_path) == set()
    # ... and where it shows only at the end, the end tells.
    with pytest.raises(NitrogenError, match="no space left"):
        record(tmp_path, [make_seen(step) for step in range(4)])


def test_a_folder_is_new_or_empty(tmp_path):
    assert records.begin(tmp_path / "new").is_dir()
    assert records.begin(tmp_path / "new").is_dir()
    (tmp_path / "new" / "mine.txt").write_text("mine")
    with pytest.raises(NitrogenError, match="not an empty folder"):
        records.begin(tmp_path / "new")
    with pytest.raises(NitrogenError, match="not an empty folder"):
        records.begin(tmp_path / "new" / "mine.txt")
    with pytest.raises(NitrogenError, match="cannot make"):
        records.begin(tmp_path / "nowhere" / "new")
