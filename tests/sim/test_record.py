"""Recordings: what is seen, what was pressed, and that both belong together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import NUM_BUTTONS, Pad, pack
from nitrogen_jax.labeling.skins import library
from nitrogen_jax.sim import actions, catalogue, overlay, play, record, spaces

WINDOW = (320, 240)


@pytest.fixture
def doom():
    lacking = catalogue.get("freedoom").missing()
    if lacking:
        pytest.skip(lacking)
    return "freedoom"


@pytest.fixture
def striker():
    lacking = catalogue.get("airstriker").missing()
    if lacking:
        pytest.skip(lacking)
    return "airstriker"


def pictures(path: Path) -> list[np.ndarray]:
    return [frame.picture() for frame in video.frames(path, threads=1)]


def chunks(root: Path):
    found = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(root).scan()]
    return sorted(found, key=lambda pair: pair[0].video.start_frame)


def flashing(tmp_path: Path, steps: int) -> Path:
    """A pad that turns all the time and presses A in every third step."""
    buttons = np.zeros((steps, NUM_BUTTONS), bool)
    on = np.arange(steps) % 3 == 0
    buttons[on, gamepad.BUTTON_INDEX["SOUTH"]] = True
    buttons[:, gamepad.BUTTON_INDEX["START"]] = True  # is masked
    right = np.full((steps, 2), (0.8, 0))
    path = tmp_path / "flash.npz"
    actions.write(path, Pad(buttons, np.zeros((steps, 2)), right))
    return path


def test_frames_and_rows_belong_together(doom, tmp_path):
    """Frame 0 is the reset's; frame i shows what the pad of row i did, and its overlay shows it."""
    look = overlay.Look(overlay.made_up(1), width=0.5, corner="top-right")
    source = play.sources([str(flashing(tmp_path, 40))])
    plan = record.Plan(doom, source, seconds=1.0, options={"window": WINDOW}, look=look)
    (take,) = record.record(plan, tmp_path / "out")
    assert (take.frames, take.reason, take.chunks) == (36, "", 1)
    seen = pictures(tmp_path / "out" / "videos" / f"{take.video_id}.mp4")
    ((meta, table),) = chunks(tmp_path / "out" / "labels")
    assert len(seen) == take.frames == meta.chunk_size == len(table.actions)
    np.testing.assert_array_equal(table.actions[0], gamepad.neutral())
    played = actions.read(tmp_path / "out" / "actions" / f"{take.video_id}.npz")
    np.testing.assert_allclose(table.actions[1:], pack(played), atol=1e-6)
    menus = [gamepad.BUTTON_INDEX[name] for name in gamepad.NO_MENUS]
    assert not played.pressed[:, menus].any()

    # The same episode again: what was seen without video or overlay.
    with catalogue.make(doom, size=(32, 32), window=WINDOW, render_mode="rgb_array") as env:
        env.reset(seed=0)
        exact = [env.render()]
        for step in range(played.shape[0]):
            env.step(spaces.to_action(played[step]))
            exact.append(env.render())
    box = meta.overlay
    outside = np.ones(exact[0].shape[:2], bool)
    outside[int(box.y) : int(box.y + box.h) + 1, int(box.x) : int(box.x + box.w) + 1] = False

    def apart(frame: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(frame.astype(int) - other)[outside].mean())

    # The codec changes every pixel a little: the frame of row i is that one which is most alike.
    for row, frame in enumerate(seen):
        near = range(max(0, row - 2), min(len(exact), row + 3))
        best = min(near, key=lambda index: apart(frame, exact[index]))
        assert (exact[best] == exact[row]).all()
    assert len({frame.tobytes() for frame in exact}) > 20
    # And its overlay is that of the row's pad, in which A may be pressed.
    size = seen[0].shape[1::-1]
    for row in range(4, 16):
        errors = []
        for pressed in (False, True):
            pad = gamepad.decode(table.actions[row])
            pad.buttons[gamepad.BUTTON_INDEX["SOUTH"]] = pressed
            canvas = exact[row].copy()
            overlay.Overlay(look, size).draw(canvas, pad)
            errors.append(np.abs(seen[row].astype(int) - canvas).mean())
        assert (errors[1] < errors[0]) == (row % 3 == 1)


def test_the_same_plan_gives_the_same_files(striker, tmp_path):
    plan = record.Plan(striker, play.sources(["random"]), seconds=1.0, seed=3)

    def digests(out: Path) -> dict[str, str]:
        record.record(plan, out)
        return {
            str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in out.rglob("*")
            if path.is_file() and path.suffix != ".npz"  # a zip holds times
        }

    first = digests(tmp_path / "a")
    assert len(first) == 5
    assert digests(tmp_path / "b") == first


def test_a_recording_is_replayed_exactly(striker, tmp_path):
    plan = record.Plan(striker, play.sources(["random"]), seconds=1.0, seed=3)
    (take,) = record.record(plan, tmp_path / "a")
    path = tmp_path / "a" / "actions" / f"{take.video_id}.npz"
    again = record.Plan(striker, play.sources([str(path)]), seconds=1.0, seed=3)
    (second,) = record.record(again, tmp_path / "b")
    one = (tmp_path / "a" / "videos" / f"{take.video_id}.mp4").read_bytes()
    assert (tmp_path / "b" / "videos" / f"{second.video_id}.mp4").read_bytes() == one


def test_episodes_and_pads_are_all_there(striker, tmp_path):
    plan = record.Plan(
        striker,
        play.sources(["scripted", "random"]),
        seconds=0.5,
        episodes=2,
        seed=5,
        options={"frame_skip": 2},
        tree=False,
    )
    done = []
    takes = record.record(plan, tmp_path / "out", done.append)
    assert [(take.source, take.seed) for take in takes] == [
        *(("scripted", 5), ("scripted", 6)),
        *(("random", 5), ("random", 6)),
    ]
    assert {take.rate for take in takes} == {30.0}
    assert sum(done) == sum(take.frames for take in takes) == 4 * 16
    about = json.loads((tmp_path / "out" / "record.json").read_text())
    assert [one["video_id"] for one in about["episodes"]] == [take.video_id for take in takes]
    assert not (tmp_path / "out" / "labels").exists()
    assert len(list((tmp_path / "out" / "videos").iterdir())) == 4


def test_chunks_are_of_twenty_seconds(tmp_path):
    pads = play.take(play.chance(10.0, 0), 405)
    about = record.Labelled("one", "A Game", 10.0, (64, 64), None)
    assert record.write_tree(tmp_path, about, pads) == 2
    (first, a), (second, b) = chunks(tmp_path)
    assert (first.chunk_size, second.chunk_size) == (200, 200)
    assert (second.video.start_frame, second.video.start_time) == (200, 20.0)
    assert (first.rate, first.game, first.overlay) == (10.0, "A Game", None)
    rows = np.concatenate([a.actions, b.actions])
    np.testing.assert_allclose(rows[1:], pack(pads)[:399], atol=1e-6)


def test_an_existing_folder_is_left_alone(striker, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    plan = record.Plan(striker, play.sources(["random"]), seconds=1.0)
    with pytest.raises(NitrogenError, match="not an empty folder"):
        record.record(plan, tmp_path)
    with pytest.raises(NitrogenError, match="seconds is 0"):
        record.record(record.Plan(striker, [], seconds=0), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_recording_that_fails_leaves_nothing(striker, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "write_tree", lambda *arguments: 1 / 0)
    plan = record.Plan(striker, play.sources(["random"]), seconds=0.2)
    with pytest.raises(ZeroDivisionError):
        record.record(plan, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("corner", overlay.CORNERS)
@pytest.mark.parametrize("size", [(640, 480), (256, 256), (320, 900)])
def test_overlays_lie_in_their_corner(corner, size):
    look = overlay.Look(overlay.made_up(0), width=0.3, corner=corner)
    x, y, w, h = look.at(size).box(look.skin)
    assert w <= 0.31 * size[0]
    assert h <= 0.51 * size[1]
    assert (x < size[0] / 2 - w / 2) == corner.endswith("left")
    assert (y < size[1] / 2 - h / 2) == corner.startswith("top")
    box = overlay.Overlay(look, size).box
    assert box[0] >= 0
    assert box[0] + box[2] <= size[0]


def test_the_made_up_skin_shows_what_the_paper_plays(tmp_path):
    skin = overlay.made_up(0)
    assert skin.sides == ("left", "right")
    lacking = set(gamepad.COLUMNS.values()) - {"GUIDE"} - set(skin.buttons)
    assert lacking == set()
    from nitrogen_jax.labeling.skins import skin_file

    skin_file.write(skin, tmp_path / "skins")
    assert [one.name for one in library.load([tmp_path]).skins] == ["made-up-0"]
    assert overlay.find_skin([tmp_path], None).name == "made-up-0"
    with pytest.raises(NitrogenError, match="'made-up-9': perhaps made-up-0"):
        overlay.find_skin([tmp_path], "made-up-9")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"corner": "middle"}, "corner 'middle'"),
        ({"opacity": 0}, "opacity is 0"),
    ],
)
def test_looks_that_cannot_be(fields, words):
    with pytest.raises(NitrogenError, match=words):
        overlay.Look(overlay.made_up(0), **fields)
