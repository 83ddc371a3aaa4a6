"""The demo data set: videos, labels and what is in the pixels agree, frame by frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")

from nitrogen_jax import gamepad
from nitrogen_jax.data import demo, demo_world, digits, label_tree, mask, video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.report.chunk import PAD_HEIGHT, draw_pad

SMALL = {"rate": 30, "size": (192, 108)}
SOUTH, TRIGGER = BUTTON_INDEX["SOUTH"], BUTTON_INDEX["RIGHT_TRIGGER"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One video of each game; one of a variable rate, one left out."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    return demo.make_demo(
        out, videos=5, seconds=9.5, games=4, chunk_seconds=4, variable=[1], leave_out=[4], **SMALL
    )


@pytest.fixture(scope="module")
def pictures(made):
    """video_id -> its decoded pictures."""
    return {
        one.video_id: [picture for _, _, picture in video.decode(one.path, threads=1)]
        for one in made.videos
        if one.path is not None
    }


def with_file(made):
    return [one for one in made.videos if one.path is not None]


# ---------------------------------------------------------------------------------------------
# The tree


def test_labels_are_the_rows_of_the_trace(made):
    tree = label_tree.open_tree(made.root / "labels")
    rows = {one.video_id: [] for one in made.videos}
    for raw in tree.scan():
        meta, actions = label_tree.read_chunk(raw)
        (one,) = [v for v in made.videos if v.video_id == meta.video.video_id]
        assert raw.ref.shard == "SHARD_0000"
        assert meta in one.chunks
        assert meta.game == one.game
        assert meta.overlay == one.overlay
        assert meta.video.resolution == (108, 192)
        assert meta.video.start_frame == sum(map(len, rows[one.video_id]))
        assert meta.video.end_frame == meta.video.start_frame + meta.chunk_size
        assert actions.kind == ("raw" if int(meta.chunk_id) % 2 else "processed")
        assert meta.rate == pytest.approx(30, rel=0.15 if one is made.videos[1] else 1e-6)
        rows[one.video_id].append(actions.actions)
    assert tree.faults == []
    for one in made.videos:
        np.testing.assert_allclose(np.concatenate(rows[one.video_id]), one.actions, atol=1e-6)
        np.testing.assert_allclose(gamepad.pack(one.trace.pad), one.actions, atol=1e-6)


def test_chunks_share_a_video_by_time(made):
    for one in made.videos:
        times = [(c.video.start_time, c.video.end_time) for c in one.chunks]
        assert len(times) == 3  # 4 + 4 + 1.5 seconds
        for chunk, (begin, end) in zip(one.chunks, times, strict=True):
            first, last = chunk.video.start_frame, chunk.video.end_frame - 1
            assert begin == one.trace.times[first]
            assert one.trace.times[last] < end < one.trace.times[last] + 0.06


@pytest.mark.parametrize(("seconds", "rows"), [(2.4, [60]), (2.6, [60, 18]), (1, [30])])
def test_a_bit_at_the_end_has_no_labels(tmp_path, seconds, rows):
    info = demo.make_demo(tmp_path / "demo", videos=1, seconds=seconds, chunk_seconds=2, **SMALL)
    (one,) = info.videos
    assert [chunk.chunk_size for chunk in one.chunks] == rows
    assert video.count(one.path) == len(one.actions) == round(30 * seconds)


def test_a_video_that_is_left_out_has_labels(made):
    left_out = made.videos[4]
    assert left_out.path is None
    assert len(left_out.chunks) == 3
    names = {path.name for path in (made.root / "videos").iterdir()}
    assert names == {f"{one.video_id}.mp4" for one in made.videos[:4]}
    assert (made.root / "demo.json").is_file()


def test_times_of_constant_and_variable_rate(made):
    for index, one in enumerate(with_file(made)):
        times = [frame.time for frame in video.frames(one.path)]
        np.testing.assert_allclose(times, one.trace.times, atol=1e-4)
        assert video.probe(one.path).variable is (index == 1)
        assert video.probe(one.path).rate == pytest.approx(30, rel=0.15)


# ---------------------------------------------------------------------------------------------
# Frames and rows


def test_every_frame_shows_its_number(made, pictures):
    for one in with_file(made):
        seen = pictures[one.video_id]
        assert len(seen) == len(one.actions)
        for index, picture in enumerate(seen):
            assert digits.read_number(picture, one.number_box) == index
            assert digits.read_number(mask.training_frame(picture), one.number_box) == index


@pytest.mark.parametrize("how", ["black", "mean", "blur"])
def test_a_masked_frame_shows_no_number(made, pictures, how):
    for one in with_file(made):
        frame = mask.training_frame(pictures[one.video_id][50], 256, one.overlay, how)
        assert digits.read_number(frame, one.number_box) is None
        # The overlay is all within the box: nothing of it changes from frame to frame outside.
        x, y, w, h = mask.box_in_frame(one.overlay, (108, 192))
        bx, by, bw, bh = one.number_box
        assert x <= bx <= bx + bw <= x + w
        assert y <= by <= by + bh <= y + h


def player_in(picture, theme):
    """Where the player's colour is, relative to the picture, without what a video does to it."""
    height, width = picture.shape[:2]
    weight = 255 * 3 - np.abs(picture.astype(float) - theme.player).sum(-1)
    weight = np.clip(weight - (255 * 3 - 120), 0, None)
    columns = slice(0, round(0.7 * width)) if theme.right else slice(round(0.3 * width), width)
    keep = np.zeros_like(weight)
    keep[:, columns] = weight[:, columns]
    ys, xs = (np.arange(n) + 0.5 for n in (height, width))
    return np.array([keep.sum(0) @ xs / width, keep.sum(1) @ ys / height]) / keep.sum()


def test_row_i_moves_the_player_from_frame_i_minus_1_to_frame_i(made, pictures):
    errors = {-1: [], 0: [], 1: []}  # by how late the rows are taken to be
    for index, one in enumerate(with_file(made)):
        theme, trace = demo_world.THEMES[index], one.trace
        # Not where the player overlaps the target, which hides a part of one or the other.
        apart = np.nan_to_num(np.abs(trace.player - trace.target).max(1), nan=1) > 0.2
        places = np.array([player_in(picture, theme) for picture in pictures[one.video_id]])
        moved, steps = np.diff(places, axis=0), np.diff(trace.times)[:, None]
        for late, found in errors.items():
            stick = np.roll(trace.pad.left, late, axis=0)[1:]
            found.append(np.abs(moved - demo_world.SPEED * steps * stick)[apart[1:] & apart[:-1]])
    errors = {late: np.concatenate(found) for late, found in errors.items()}
    assert len(errors[0]) > 300
    assert errors[0].mean() < 0.0015  # of the picture: a third of a pixel
    assert errors[0].max() < 0.012
    # One frame early or late is visibly wrong: a stick fully pushed moves it by 0.02.
    assert errors[-1].max() > 0.018
    assert errors[1].max() > 0.018


def test_the_halo_is_in_the_frame_whose_row_presses_south(made, pictures):
    for index, one in enumerate(with_file(made)):
        theme, trace = demo_world.THEMES[index], one.trace
        shown = []
        for picture, place in zip(pictures[one.video_id], trace.player, strict=True):
            x, y = np.rint(place * (192, 108)).astype(int)
            near = picture[y - 7 : y + 7, x - 7 : x + 7].astype(int)
            shown.append((np.abs(near - theme.halo).sum(-1) < 140).sum())
        pressed = trace.pad.pressed[:, SOUTH]
        assert 0.05 < pressed.mean() < 0.6
        np.testing.assert_array_equal(np.array(shown) > 15, pressed)


def test_the_overlay_of_frame_i_shows_the_pad_of_row_i(made, pictures):
    for one in with_file(made):
        x, y, w, h = (int(value) for value in one.overlay)
        changed = np.flatnonzero(np.diff(one.trace.pad.pressed[:, [SOUTH, TRIGGER]], axis=0).any(1))
        assert changed.size
        for i in (int(c) + 1 for c in changed[:6]):
            overlay = pictures[one.video_id][i][y : y + h, x : x + w].astype(int)
            errors = [
                min(
                    np.abs(overlay[top : top + high, left : left + wide] - pad).mean()
                    for left in range(w - wide + 1)
                    for top in range(4)
                )
                for pad, high, wide in (
                    shrunk(one.trace.pad[row], round(0.29 * 108)) for row in (i - 1, i)
                )
            ]
            assert errors[1] < errors[0]


def shrunk(pad, high):
    picture = draw_pad(pad)[:PAD_HEIGHT]
    wide = round(high * picture.shape[1] / PAD_HEIGHT)
    return cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA).astype(int), high, wide


# ---------------------------------------------------------------------------------------------
# The rule


def angle(one, other):
    """Between sticks (..., 2), in degrees."""
    turn = np.arctan2(one[..., 1], one[..., 0]) - np.arctan2(other[..., 1], other[..., 0])
    return np.degrees(np.abs((turn + np.pi) % (2 * np.pi) - np.pi))


def answers(seen, one, how):
    """The oracle's answers to frames, as one pad."""
    pads = [demo_world.act(mask.training_frame(p, 256, one.overlay, how)) for p in seen]
    parts = (
        np.stack([getattr(pad, part) for pad in pads]) for part in ("buttons", "left", "right")
    )
    return gamepad.Pad(*parts)


@pytest.mark.parametrize("how", ["black", "mean", "blur"])
def test_what_is_visible_decides_the_next_row(made, pictures, how):
    """From the masked 256 x 256 frame i - 1 alone, after H.264: the pad of row i."""
    every = {"black": 2, "mean": 10, "blur": 10}[how]
    for one in with_file(made):
        rows = np.arange(1, len(one.actions), every)
        answer = answers([pictures[one.video_id][row - 1] for row in rows], one, how)
        true = one.trace.pad[rows]
        assert (answer.pressed == true.pressed).all(1).mean() > 0.98
        pushed = gamepad.deflection(true.left) > 0.15
        off = angle(answer.left, true.left)[pushed]
        assert np.median(off) < 3
        assert np.percentile(off, 95) < 10
        assert np.abs(answer.left - true.left).max(1).mean() < 0.08
        nothing = np.isnan(one.trace.target[rows - 1, 0])
        assert (gamepad.deflection(answer.left) == 0)[nothing].all()
        aimed = true.pressed[:, TRIGGER]
        assert angle(answer.right, true.right)[aimed].max(initial=0) < 3


def test_the_answer_is_to_the_next_row_and_to_no_other(made, pictures):
    one = made.videos[0]
    answer = answers(pictures[one.video_id], one, "black").pressed
    true = one.trace.pad.pressed
    wrong = {
        shift: (answer[2 : len(answer) - 2] != np.roll(true, -shift, 0)[2:-2]).any(1).sum()
        for shift in (0, 1, 2)
    }
    assert wrong[1] == 0
    assert wrong[0] > 5
    assert wrong[2] > 5


def test_the_rule_is_the_same_at_other_sizes_and_for_other_seeds():
    for index, size in enumerate([(160, 90), (256, 256), (640, 360), (90 * 2, 320)]):
        theme, rng = demo_world.THEMES[index], np.random.default_rng(100 + index)
        trace = demo_world.make_trace(rng, np.arange(60) / 10, theme)
        overlay = theme.overlay(size)
        for i, picture in enumerate(demo_world.draw(trace, theme, size)):
            assert picture.shape == (size[1], size[0], 3)
            assert digits.read_number(mask.training_frame(picture), theme.number_box) == i
            if i + 1 < len(trace.times):
                answer = demo_world.act(mask.training_frame(picture, 256, overlay, "mean"))
                true = trace.pad[i + 1]
                np.testing.assert_array_equal(answer.pressed, true.pressed)
                assert np.abs(answer.left - true.left).max() < 0.3
                assert np.abs(answer.right - true.right).max() < 0.06


def test_there_are_idle_stretches_and_no_menus():
    rates = []
    for seed in range(4):
        theme = demo_world.THEMES[seed]
        trace = demo_world.make_trace(np.random.default_rng(seed), np.arange(1200) / 20, theme)
        idle = gamepad.is_idle(trace.pad)
        assert idle[:8].all()  # it opens with nothing to do
        nothing = np.isnan(trace.target[:-1, 0])
        assert idle[1:][nothing].all()
        assert nothing[20:].any()
        assert not trace.pad.pressed[:, [BUTTON_INDEX[b] for b in gamepad.NO_MENUS]].any()
        rates.append([idle.mean(), *trace.pad.pressed.mean(0)[[SOUTH, TRIGGER]]])
        low, high = np.array(theme.field)
        assert (trace.player >= low - 1e-6).all()
        assert (trace.player <= high + 1e-6).all()
    idle, south, trigger = np.mean(rates, axis=0)
    assert 0.15 < idle < 0.6
    assert 0.1 < south < 0.4
    assert 0.03 < trigger < 0.25


# ---------------------------------------------------------------------------------------------
# Files


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_files(tmp_path):
    options = {"videos": 2, "seconds": 2, "chunk_seconds": 1, "variable": [1], **SMALL}
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        demo.make_demo(folder, seed=seed, **options)
    one, two, other = map(contents, folders)
    assert one == two
    assert len(one) == 2 + 1 + 2 * (2 * 2 + 1)  # videos, demo.json, two chunks of each
    assert not {p for p in one if p.suffix == ".mp4"} & set(other)


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(label_tree, "write_chunk", stop)
    with pytest.raises(KeyboardInterrupt):
        demo.make_demo(tmp_path / "demo", videos=1, seconds=1, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"videos": 0}, "videos is 0, where 1 to 1000"),
        ({"seconds": 0.5}, "seconds is 0.5"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"seconds": 1e6}, "seconds is"),
        ({"rate": 5}, "rate is 5"),
        ({"size": (320, 181)}, "height is 181, where an even number"),
        ({"size": (100, 90)}, "width is 100, where 160"),
        ({"games": 5}, "games is 5, where 1 to 4"),
        ({"seed": -1}, "seed is -1"),
        ({"chunk_seconds": 0}, "chunk seconds is 0"),
        ({"variable": [4]}, "whose rate varies is 4, where 0 to 3"),
        ({"leave_out": [-1]}, "to leave out is -1"),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(NitrogenError, match=message):
        demo.make_demo(tmp_path / "demo", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NitrogenError, match="not an empty folder"):
        demo.make_demo(tmp_path, videos=1, seconds=1, **SMALL)
    with pytest.raises(NitrogenError, match="not an empty folder"):
        demo.make_demo(tmp_path / "mine.txt", videos=1, seconds=1, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert demo.make_demo(tmp_path / "empty", videos=1, seconds=1, **SMALL).videos


# ---------------------------------------------------------------------------------------------
# Numbers in pixels

BOX = (0.71, 0.8, 0.26, 0.13)


def noise(size, seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 9, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(640, 360), (320, 180), (1280, 720), (333, 187), (160, 90)])
def test_numbers_survive_stretch_and_jpeg(size):
    numbers = [0, 1, digits.LARGEST, *np.random.default_rng(0).integers(0, digits.LARGEST, 30)]
    for seed, number in enumerate(map(int, numbers)):
        picture = noise(size, seed)
        digits.draw_number(picture, BOX, number)
        assert digits.read_number(picture, BOX) == number
        small = mask.training_frame(picture)
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])
        assert digits.read_number(small, BOX) == number
        assert digits.read_number(cv2.imdecode(data, cv2.IMREAD_COLOR), BOX) == number


def test_wrong_bits_are_noticed():
    """Any cell or two cells turned over, and whatever is no code at all."""
    picture = np.zeros((100, 200, 3), np.uint8)
    digits.draw_number(picture, (0, 0, 1, 1), 123_456)
    cells = [(r, c) for r in range(digits.ROWS) for c in range(digits.COLUMNS)]
    for i, (row, column) in enumerate(cells):
        for other in cells[i:]:
            turned = picture.copy()
            for r, c in {(row, column), other}:
                part = np.s_[25 * r : 25 * r + 25, 25 * c : 25 * c + 25]
                turned[part] = 255 - turned[part]
            assert digits.read_number(turned, (0, 0, 1, 1)) is None
    for light in (0, 128, 255):
        assert digits.read_number(np.full_like(picture, light), (0, 0, 1, 1)) is None
    found = [digits.read_number(noise((200, 100), seed), (0, 0, 1, 1)) for seed in range(300)]
    assert sum(number is not None for number in found) <= 2


def test_numbers_and_boxes_that_cannot_be_drawn():
    picture = np.zeros((90, 160, 3), np.uint8)
    for number in (-1, digits.LARGEST + 1):
        with pytest.raises(NitrogenError, match="frame number"):
            digits.draw_number(picture, BOX, number)
    with pytest.raises(NitrogenError, match="no room"):
        digits.draw_number(picture, (0, 0, 0.03, 0.5), 1)
    for box in ((0.8, 0, 0.3, 0.1), (0, 0, 0, 0.1), (-0.1, 0, 0.5, 0.5), (np.nan, 0, 1, 1)):
        with pytest.raises(NitrogenError, match=r"inside of 0\.\.1"):
            digits.read_number(picture, box)
    assert not picture.any()
