"""Labels and videos in, records out: the right frame for every row, whatever goes wrong around."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import build, demo, digits, label_tree, mask, records, window_index
from nitrogen_jax.data.build_plan import BuildOptions
from nitrogen_jax.data.build_video import RecordOptions, rates_agree, row_rate
from nitrogen_jax.data.splits import Splits
from nitrogen_jax.errors import NitrogenError

ALL_TRAIN = Splits({})


def options(split: Splits = ALL_TRAIN, chunks_per_file: int | None = None, **changes):
    return BuildOptions(RecordOptions(**changes), split, chunks_per_file)


def all_records(folder: Path) -> list[records.Chunk]:
    names = [name for name, count in records.splits(folder).items() if count]
    return [one for name in names for one in records.read_records(folder, name)]


def contents(folder: Path) -> dict[str, bytes]:
    """All that a reader sees of a folder of records."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and build.STATE not in path.parts
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> demo.DemoInfo:
    """Four videos: one of variable rate, one that is missing."""
    root = tmp_path_factory.mktemp("world") / "demo"
    return demo.make_demo(root, 4, 5.0, 60, chunk_seconds=2.0, variable=(2,), leave_out=(3,))


@pytest.fixture
def copy(world, tmp_path) -> Path:
    """A copy of the world that a test may spoil."""
    shutil.copytree(world.root, tmp_path / "world")
    return tmp_path / "world"


def chunk_folders(root: Path, video_id: str) -> list[Path]:
    return sorted(root.glob(f"labels/actions/*/{video_id}/*"))


def run(root: Path, out: Path, given: BuildOptions | None = None, workers: int = 1):
    return build.build(root / "labels", root / "videos", out, given or options(), workers)


# ---------------------------------------------------------------------------------------------
# The right frames


@pytest.mark.parametrize(
    ("codec", "stride", "seconds"),
    [("jpeg", 4, None), ("h264", 4, None), ("h264", 1, 0.5), ("jpeg", 7, 0.7)],
)
def test_every_picture_is_the_frame_that_its_record_says(world, tmp_path, codec, stride, seconds):
    given = options(codec=codec, frame_stride=stride, record_seconds=seconds, mask="none")
    run(world.root, tmp_path / "out", given)
    found = all_records(tmp_path / "out")
    seen = set()
    for record in found:
        video = next(v for v in world.videos if v.video_id == record.video_id)
        pictures = record.pictures(range(len(record.frames)))
        for at, picture in pictures.items():
            assert picture.shape == (256, 256, 3)
            frame = record.start_frame + at * stride
            assert digits.read_number(picture, video.number_box) == frame
            seen.add((record.video_id, frame))
        rows = slice(record.start_frame, record.start_frame + len(record.actions))
        np.testing.assert_array_equal(record.actions, video.actions[rows])
        times = record.start_time + record.times
        np.testing.assert_allclose(times, video.trace.times[rows], atol=2e-3)
        expected = 60 if video is not world.videos[2] else len(video.actions) / 5
        assert record.rate == pytest.approx(expected, rel=0.05)
    wanted = {
        (video.video_id, meta.video.start_frame + row)
        for video in world.videos[:3]
        for meta in video.chunks
        for row in range(0, meta.chunk_size, stride)
    }
    assert seen == wanted


def test_a_record_holds_what_follows_its_last_picture(world, tmp_path):
    run(world.root, tmp_path / "out", options(record_seconds=0.5))
    by_chunk: dict[tuple[str, str], list[records.Chunk]] = {}
    for record in all_records(tmp_path / "out"):
        by_chunk.setdefault((record.video_id, record.chunk_id), []).append(record)
    for pieces in by_chunk.values():
        assert len(pieces) > 1
        end = max(one.first_row + len(one.actions) for one in pieces)
        for one in pieces:
            pictured = one.first_row + len(one.frames) * one.frame_stride
            ahead = one.first_row + len(one.actions) - pictured
            assert ahead >= min(2.0 * one.rate - 1, end - pictured)


def test_the_overlay_is_masked_and_nothing_else(world, tmp_path):
    for how in ("none", "black", "mean"):
        run(world.root, tmp_path / how, options(mask=how))
    plain, black, mean = (all_records(tmp_path / how) for how in ("none", "black", "mean"))
    for one, dark, middle in zip(plain, black, mean, strict=True):
        box = [round(256 * value) for value in dark.mask_box]
        inside = np.zeros((256, 256), bool)
        inside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
        number_box = next(v for v in world.videos if v.video_id == one.video_id).number_box
        for at in (0, len(one.frames) - 1):
            shown, hidden, grey = (r.pictures([at])[at].astype(int) for r in (one, dark, middle))
            assert digits.read_number(shown, number_box) is not None
            assert digits.read_number(hidden, number_box) is None
            assert digits.read_number(grey, number_box) is None
            core = inside[:, :, None] & np.ones(3, bool)
            assert hidden[core].mean() < 8
            assert grey[core].std() < 25
            away = ~mask.training_frame(np.full((90, 160, 3), 255, np.uint8)).any(-1) | inside
            far = ~np.roll(away, 12, 0) & ~np.roll(away, -12, 0)
            far &= ~np.roll(away, 12, 1) & ~np.roll(away, -12, 1)
            assert np.abs(shown - hidden)[far].mean() < 2
        assert (one.mask, dark.mask) == ("none", "black")
        assert one.mask_box == dark.mask_box


def test_a_picture_is_that_of_the_video_stretched_by_area(world, tmp_path):
    from nitrogen_jax.data import video

    run(world.root, tmp_path / "out", options(mask="black"))
    record = all_records(tmp_path / "out")[0]
    path = world.root / "videos" / f"{record.video_id}.mp4"
    (source,) = video.read_indices(path, [record.start_frame + 8])
    overlay = next(v.overlay for v in world.videos if v.video_id == record.video_id)
    wanted = mask.training_frame(source, 256, overlay, "black").astype(int)
    assert np.abs(record.pictures([2])[2] - wanted).mean() < 2.5  # what JPEG changes


def test_the_game_area_can_be_cropped(copy, tmp_path):
    (path,) = chunk_folders(copy, "demo-0-00")[:1]
    text = json.loads((path / "metadata.json").read_text())
    area = {"xtl": 0.25, "ytl": 0.1, "xbr": 0.9, "ybr": 0.8}
    (path / "metadata.json").write_text(json.dumps({**text, "bbox_game_area": area}))
    run(copy, tmp_path / "out", options(crop=True, mask="none"))
    found = {r.chunk_id: r for r in all_records(tmp_path / "out") if r.video_id == "demo-0-00"}
    assert found[path.name].game_area == pytest.approx((0.25, 0.1, 0.9, 0.8))
    assert all(r.game_area == records.WHOLE for name, r in found.items() if name != path.name)
    from nitrogen_jax.data import video

    record = found[path.name]
    (source,) = video.read_indices(copy / "videos/demo-0-00.mp4", [record.start_frame])
    wanted = mask.training_frame(source, 256, None, "none", (0.25, 0.1, 0.9, 0.8)).astype(int)
    assert np.abs(record.pictures([0])[0] - wanted).mean() < 2.5


# ---------------------------------------------------------------------------------------------
# Labels as others write them


def odd_table(columns: dict[str, np.ndarray]) -> pa.Table:
    """The same table with the types that readers of the public labels have met."""
    arrays = {}
    for number, (name, values) in enumerate(columns.items()):
        if values.ndim == 2:
            kind = pa.list_(pa.float64()) if name == "j_left" else pa.list_(pa.float32(), 2)
            arrays[name] = pa.array(values.tolist(), kind)
        else:
            kind = (pa.int64(), pa.bool_(), pa.int8(), pa.float64())[number % 4]
            arrays[name] = pa.array(values.astype(bool).tolist()).cast(kind)
    return pa.table(dict(reversed(arrays.items())))


def test_a_tree_written_by_hand(copy, world, tmp_path):
    """Odd types, a chunk without its processed table, a box that overflows, a missing video."""
    first, second, *_ = chunk_folders(copy, "demo-0-00")
    actions = world.videos[0].actions[:120]
    table = odd_table(gamepad.vector_to_columns(actions))
    pq.write_table(table, first / "actions_processed.parquet")
    (second / "actions_processed.parquet").unlink(missing_ok=True)
    text = json.loads((second / "metadata.json").read_text())
    text["bbox_controller_overlay"][2] += 1000
    text["chunk_id"], text["original_video"]["start_frame"] = 1, 120.0
    (second / "metadata.json").write_text(json.dumps(text))
    summary = run(copy, tmp_path / "out")
    assert summary.videos == {"done": 3, "missing": 1}
    found = {r.chunk_id: r for r in all_records(tmp_path / "out") if r.video_id == "demo-0-00"}
    np.testing.assert_array_equal(found[first.name].actions, actions)
    x, _, w, _ = found[second.name].mask_box
    assert x + w == pytest.approx(1.0)
    (missing,) = [p for p in summary.problems if p["cause"] == "missing"]
    assert "demo-0-03" in missing["message"]
    raw = summary.tables["raw"]
    assert raw == sum(
        not (folder / "actions_processed.parquet").exists()
        for video in ("demo-0-00", "demo-0-01", "demo-0-02")
        for folder in chunk_folders(copy, video)
    )


def test_raw_actions_and_no_fallback(copy, tmp_path):
    (first, *_) = chunk_folders(copy, "demo-0-00")
    idle = gamepad.neutral(120)
    columns = {name: values.tolist() for name, values in gamepad.vector_to_columns(idle).items()}
    pq.write_table(pa.table(columns), first / "actions_raw.parquet")
    run(copy, tmp_path / "raw", options(table="raw"))
    raw = {r.chunk_id: r for r in all_records(tmp_path / "raw")}
    np.testing.assert_array_equal(raw[first.name].actions, idle)
    summary = run(copy, tmp_path / "strict", options(fallback=False))
    strict = {r.chunk_id for r in all_records(tmp_path / "strict")}
    lacking = {f.name for f in copy.glob("labels/actions/*/*/*") if "demo-0-03" not in f.name}
    lacking = {n for n in lacking if n not in strict}
    dropped = {Path(p["where"]).name for p in summary.problems if p["cause"] == "no_table"}
    assert lacking
    assert dropped == lacking
    assert first.name in strict


def test_tarballs_build_the_same_records(world, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "SHARD_0000.tar.gz", "w:gz") as tar:
        tar.add(world.root / "labels/actions/SHARD_0000", "actions/SHARD_0000")
    run(world.root, tmp_path / "a")
    build.build(shards, world.root / "videos", tmp_path / "b", options())
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert {k: v for k, v in a.items() if k != build.REPORT} == {
        k: v for k, v in b.items() if k != build.REPORT
    }
    assert not (tmp_path / "b" / build.STATE / "labels").exists()


# ---------------------------------------------------------------------------------------------
# What goes wrong is reported, the rest goes on


def test_broken_chunks_are_left_out_and_named(copy, tmp_path):
    folders = chunk_folders(copy, "demo-0-00") + chunk_folders(copy, "demo-0-01")
    assert len(folders) >= 5
    (folders[0] / "metadata.json").write_text("{")
    for name in ("actions_raw.parquet", "actions_processed.parquet"):
        (folders[1] / name).write_bytes(b"PAR1 no")
    columns = gamepad.vector_to_columns(gamepad.neutral(7))
    short = pa.table({name: values.tolist() for name, values in columns.items()})
    columns = gamepad.vector_to_columns(gamepad.neutral(120))
    bad = {name: values.tolist() for name, values in columns.items()}
    bad["j_left"][5] = [float("nan"), 0.0]
    for folder, table in ((folders[2], short), (folders[3], pa.table(bad))):
        for name in ("actions_raw.parquet", "actions_processed.parquet"):
            pq.write_table(table, folder / name)
    twin = copy / "labels/actions/SHARD_0009" / folders[4].parent.name / folders[4].name
    shutil.copytree(folders[4], twin)
    summary = run(copy, tmp_path / "out")
    told = {Path(p["where"].split("/metadata")[0]).name: p for p in summary.problems}
    for folder in folders[:4]:
        assert folder.name in told
        assert str(folder) in told[folder.name]["message"]
    assert summary.left_out["duplicate"] == 1
    built = {r.chunk_id for r in all_records(tmp_path / "out")}
    assert built.isdisjoint(folder.name for folder in folders[:4])
    assert folders[4].name in built
    report = json.loads((tmp_path / "out" / build.REPORT).read_text())
    assert report["problems"] == summary.problems


def test_bad_videos_are_left_out_and_named(copy, tmp_path):
    videos = copy / "videos"
    (videos / "demo-0-00.mp4").write_bytes(b"not a video" * 100)
    whole = (videos / "demo-0-01.mp4").read_bytes()
    # What follows the index of an MP4 file is pictures: without its end, frames are missing.
    (videos / "demo-0-01.mp4").write_bytes(whole[: len(whole) // 2])
    summary = run(copy, tmp_path / "out")
    assert {r.video_id for r in all_records(tmp_path / "out")} == {"demo-0-02"}
    causes = {p["where"]: p for p in summary.problems}
    assert causes["demo-0-00"]["cause"] == "unreadable"
    assert causes["demo-0-01"]["cause"] in ("short", "damaged", "unreadable")
    assert "demo-0-01.mp4" in causes["demo-0-01"]["message"]


def shorten(path: Path, frames: int) -> None:
    """Rewrites a video with its first frames alone."""
    from nitrogen_jax.data import video
    from nitrogen_jax.data.video_write import VideoWriter

    pictures = video.read_indices(path, range(frames))
    with VideoWriter(path, (320, 180), 60) as writer:
        for picture in pictures:
            writer.write(picture)


def test_a_video_shorter_than_its_labels(copy, tmp_path):
    shorten(copy / "videos/demo-0-00.mp4", 130)
    summary = run(copy, tmp_path / "out")
    assert "demo-0-00" not in {r.video_id for r in all_records(tmp_path / "out")}
    (problem,) = [p for p in summary.problems if p["where"] == "demo-0-00"]
    assert problem["cause"] == "short"
    assert "130 frames" in problem["message"]
    assert "demo-0-00.mp4" in problem["message"]
    summary = run(copy, tmp_path / "part", options(keep_partial=True))
    kept = {r.chunk_id for r in all_records(tmp_path / "part") if r.video_id == "demo-0-00"}
    assert kept == {"demo-0-00_chunk_0000"}
    assert summary.left_out["beyond_video"] == 2


def test_a_video_of_another_rate_is_another_version(copy, tmp_path):
    from nitrogen_jax.data import video
    from nitrogen_jax.data.video_write import VideoWriter

    path = copy / "videos/demo-0-00.mp4"
    pictures = video.read_indices(path, range(300))
    with VideoWriter(path, (320, 180), 30) as writer:
        for picture in pictures:
            writer.write(picture)
    summary = run(copy, tmp_path / "out")
    assert "demo-0-00" not in {r.video_id for r in all_records(tmp_path / "out")}
    assert summary.left_out["other_rate"] == 3


def test_a_video_damaged_in_its_middle(copy, tmp_path):
    path = copy / "videos/demo-0-00.mp4"
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + len(data) // 2
    data[begin : begin + 3000] = bytes(3000)
    path.write_bytes(data)
    summary = run(copy, tmp_path / "out")
    assert "demo-0-00" not in {r.video_id for r in all_records(tmp_path / "out")}
    (problem,) = [p for p in summary.problems if p["where"] == "demo-0-00"]
    assert problem["cause"] in ("damaged", "short")


def test_an_empty_tree_and_other_bad_usage(world, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    labels, videos = str(world.root / "labels"), str(world.root / "videos")
    out = str(tmp_path / "out")
    for arguments, words in (
        (["--labels", str(tmp_path / "empty"), "--videos", videos], "holds no chunk"),
        (["--labels", str(tmp_path / "no"), "--videos", videos], "does not exist"),
        (["--labels", labels, "--videos", str(tmp_path / "no")], "does not exist"),
        (["--labels", labels, "--videos", videos, "--frame-stride", "0"], "frame_stride"),
        (["--labels", labels, "--videos", videos, "--split", "val=x"], "NAME=SHARE"),
        (["--labels", labels, "--videos", videos, "--split", "Train=0.1"], "split"),
        (["--labels", labels, "--videos", videos, "--split", "val=1"], "share"),
        (["--labels", labels, "--videos", videos, "--holdout", "Chess"], "'Chess'"),
        (["--labels", labels, "--videos", videos, "--min-active", "2"], "min_active"),
        (["--labels", labels, "--videos", videos, "--workers", "0"], "workers"),
    ):
        assert cli.main(["data", "build", "--out", out, *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    arguments = ["data", "build", "--labels", labels, "--videos", videos]
    assert cli.main([*arguments, "--out", str(tmp_path / "mine")]) == 2
    assert "not empty" in capsys.readouterr().err
    assert cli.main([*arguments, "--out", str(tmp_path / "no" / "out")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_nothing_to_build_is_a_negative_result(world, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    labels = str(world.root / "labels")
    arguments = ["--videos", str(tmp_path / "videos"), "--out", str(tmp_path / "out")]
    assert cli.main(["data", "build", "--labels", labels, *arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["videos"] == {"missing": 4}


# ---------------------------------------------------------------------------------------------
# Splits, later videos, other options


def test_no_video_is_in_two_splits(world, tmp_path):
    run(world.root, tmp_path / "out", options(Splits({"val": 0.3, "test": 0.3})))
    found = {name: set() for name in records.splits(tmp_path / "out")}
    for name in found:
        found[name] = {r.video_id for r in records.read_records(tmp_path / "out", name)}
    everything = [video for videos in found.values() for video in videos]
    assert sorted(everything) == ["demo-0-00", "demo-0-01", "demo-0-02"]
    with pytest.raises(NitrogenError, match="no split 'vall'"):
        records.read_records(tmp_path / "out", "vall")
    with pytest.raises(NitrogenError, match="no split 'vall'"):
        window_index.read_index(tmp_path / "out", "vall")


def test_whole_games_can_be_held_out(world, tmp_path):
    game = world.videos[1].game
    run(world.root, tmp_path / "out", options(Splits({}, (game,))))
    assert {r.game for r in records.read_records(tmp_path / "out", "holdout")} == {game}
    assert game not in {r.game for r in records.read_records(tmp_path / "out", "train")}


def test_videos_that_come_later_are_added(copy, world, tmp_path):
    out, late = tmp_path / "out", copy / "videos/demo-0-01.mp4"
    late.rename(tmp_path / late.name)
    run(copy, out)
    before = {k: v for k, v in contents(out).items() if "array_record" in k}
    window_index.write_index(out, "train")
    (tmp_path / late.name).rename(late)
    summary = run(copy, out)
    assert summary.videos == {"done": 3, "missing": 1}
    after = contents(out)
    assert before.items() <= after.items()
    with pytest.raises(NitrogenError, match="nitrogen data index"):
        window_index.read_index(out)
    window_index.write_index(out, "train")
    run(world.root, tmp_path / "fresh")
    window_index.write_index(tmp_path / "fresh", "train")
    late_built, fresh = (window_index.read_index(f) for f in (out, tmp_path / "fresh"))
    # Other files of records, and yet the same samples in the same order.
    assert late_built.table.drop(["record"]).equals(fresh.table.drop(["record"]))


def test_a_video_that_was_mended_is_built(copy, tmp_path):
    path = copy / "videos/demo-0-00.mp4"
    good = path.read_bytes()
    path.write_bytes(b"broken")
    assert run(copy, tmp_path / "out").videos["unreadable"] == 1
    path.write_bytes(good)
    assert run(copy, tmp_path / "out").videos == {"done": 3, "missing": 1}
    assert "demo-0-00" in {r.video_id for r in all_records(tmp_path / "out")}


def test_a_mended_video_is_not_lost_by_a_kill(copy, tmp_path, monkeypatch):
    """Stopped just where its file of records is planned anew."""
    path = copy / "videos/demo-0-00.mp4"
    good = path.read_bytes()
    path.write_bytes(b"broken")
    run(copy, tmp_path / "out")
    path.write_bytes(good)
    write = build._write_json

    def stop(path: Path, data) -> None:
        if path.name == "plan.json":
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(build, "_write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            run(copy, tmp_path / "out")
    assert run(copy, tmp_path / "out").videos == {"done": 3, "missing": 1}
    found = all_records(tmp_path / "out")
    assert "demo-0-00" in {r.video_id for r in found}
    assert len(found) == sum(records.splits(tmp_path / "out").values())


def test_the_same_command_again_does_nothing(world, tmp_path):
    run(world.root, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("chunks-*")}
    first = contents(tmp_path / "out")
    run(world.root, tmp_path / "out")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("chunks-*")} == before
    assert contents(tmp_path / "out") == first


def test_other_options_are_refused(world, tmp_path):
    run(world.root, tmp_path / "out")
    with pytest.raises(NitrogenError, match=r"records.codec 'jpeg'.*'h264'"):
        run(world.root, tmp_path / "out", options(codec="h264"))
    with pytest.raises(NitrogenError, match="splits"):
        run(world.root, tmp_path / "out", options(Splits({"val": 0.5})))


def test_processes_do_not_change_the_records(world, tmp_path):
    given = options(chunks_per_file=3)
    run(world.root, tmp_path / "one", given, workers=1)
    run(world.root, tmp_path / "two", given, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(list((tmp_path / "one").glob("chunks-train*"))) == 3


def test_ids_from_outside_stay_in_the_folder(copy, tmp_path):
    """A video id may hold what is special in paths; the state of a build is not led astray."""
    (source,) = list(copy.glob("labels/actions/*/demo-0-01"))
    name = "%2F..%2Fescape [x] ü"
    target = source.with_name(name)
    source.rename(target)
    for folder in sorted(target.iterdir()):
        text = json.loads((folder / "metadata.json").read_text())
        text["original_video"]["video_id"] = name
        (folder / "metadata.json").write_text(json.dumps(text))
        folder.rename(folder.with_name(folder.name.replace("demo-0-01", name)))
    (copy / "videos/demo-0-01.mp4").rename(copy / "videos" / f"{name}.mp4")
    before = {p for p in tmp_path.rglob("*") if "out" not in p.parts}
    run(copy, tmp_path / "out")
    assert name in {r.video_id for r in all_records(tmp_path / "out")}
    assert {p for p in tmp_path.rglob("*") if "out" not in p.parts} == before


# ---------------------------------------------------------------------------------------------
# Rates


def test_row_rate_of_rounded_times():
    even = np.arange(1200) / 60
    assert row_rate(even, [60.0]) == (60.0, True)
    assert row_rate(even.round(3), [60.0]) == (60.0, True)
    assert row_rate(even.round(3), [30.0]) == (pytest.approx(60, rel=1e-3), True)
    ntsc = np.arange(1200) * 1001 / 60000
    rate, is_even = row_rate(ntsc, [60.0, 60000 / 1001])
    assert (rate, is_even) == (pytest.approx(59.94, abs=1e-3), True)
    steps = np.random.default_rng(0).uniform(0.01, 0.03, 600)
    rate, is_even = row_rate(np.concatenate([[0], np.cumsum(steps)]), [60.0, 50.0])
    assert not is_even
    assert rate == pytest.approx(50, rel=0.05)
    assert row_rate(np.zeros(1), [25.0]) == (25.0, True)


@pytest.mark.parametrize(
    ("labelled", "found", "agree"),
    [
        *((60, 60, True), (59.94, 60, True), (60, 30, False), (30, 60, False), (60, 50, False)),
        *((6, 60, True), (37, 60, True), (23.976, 24, True), (24, 25, False)),
    ],
)
def test_rates_of_other_versions(labelled, found, agree):
    assert rates_agree(labelled, found) is agree


def test_a_chunk_of_labels_is_read_as_the_tree_says(world):
    """The tests above rest on it: chunk folders of the demo hold what DemoInfo says."""
    tree = label_tree.open_tree(world.root / "labels")
    rows = {raw.ref.name: label_tree.read_chunk(raw) for raw in tree.scan()}
    for video in world.videos:
        for number, meta in enumerate(video.chunks):
            found, table = rows[f"{video.video_id}_chunk_{number:04}"]
            first = found.video.start_frame
            assert first == meta.video.start_frame
            wanted = video.actions[first : first + meta.chunk_size]
            np.testing.assert_array_equal(table.actions, wanted)
