"""Many videos into one tree: causes, resuming, workers that die, and labels that train."""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parent))

import standin

from nitrogen_jax import cli
from nitrogen_jax.data import demo, label_check, label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import label_log, label_report, pipeline, processes, work
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.remap import VideoFacts
from nitrogen_jax.labeling.skins.library import Library

NO_SKINS = Library(())


def runner(workers: int = 2, labeller=standin.label):
    return functools.partial(processes.run, library=NO_SKINS, labeller=labeller, workers=workers)


def in_process(jobs, advance):
    """A runner without processes."""
    for job in jobs:
        told = functools.partial(advance, job.video_id)
        yield job, work.label_one(job, NO_SKINS, standin.label, told)


def label(tree: Path, videos, run=in_process, **plan) -> dict:
    return pipeline.label_videos(pipeline.Plan(list(videos), **plan), tree, run)


def files(tree: Path) -> dict[str, bytes]:
    """What a reader of the tree sees."""
    found = sorted(path for path in (tree / "actions").rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in found}


def violations(tree: Path) -> list[str]:
    return [one.message for one in label_check.check_tree(label_tree.open_tree(tree))]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    """Good ones and bad ones, by what their names tell the stand-in."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("one", "two", "varies", "two_overlays", "no_overlay", "boom", "dies", "threads"):
        times = [i / 30 + (i % 3) / 100 for i in range(70)] if name == "varies" else None
        standin.write_video(folder / f"{name}.mp4", 2.0, times=times)
    standin.write_video(folder / "short.mp4", 0.5)
    standin.write_video(folder / "odd.mp4", 2.0, size=(161, 91))
    whole = (folder / "one.mp4").read_bytes()
    (folder / "text.mp4").write_text("this is no video")
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mkv").write_bytes(b"")
    return [*sorted(folder.iterdir()), folder / "gone.mp4"]


CAUSES = {
    "boom": "error",
    "dies": "error",
    "empty": "not_a_video",
    "gone": "not_a_video",
    "no_overlay": "no_overlay",
    "short": "too_short",
    "text": "not_a_video",
    "threads": "error",
    "truncated": "damaged",
    "two_overlays": "two_overlays",
}


@pytest.fixture(scope="module")
def labelled(videos, tmp_path_factory) -> tuple[Path, dict]:
    tree = tmp_path_factory.mktemp("labelled") / "tree"
    return tree, label(tree, videos, runner(2))


def test_every_bad_video_has_its_cause_and_the_run_goes_on(labelled):
    tree, report = labelled
    assert {one["video_id"]: one["cause"] for one in report["problems"]} == CAUSES
    counts = report["videos"]
    assert (counts["done"], counts["failed"], counts["not_yet"]) == (4, len(CAUSES), 0)
    assert counts["asked_and_failed"] == len(CAUSES)
    assert sum(report["failed"].values()) == len(CAUSES)
    said = {one["video_id"]: one["message"] for one in report["problems"]}
    assert said["boom"].endswith("boom.mp4: RuntimeError: made up")
    assert said["dies"].endswith("was killed by SIGKILL, perhaps for want of memory")
    assert said["gone"].endswith("gone.mp4 does not exist")
    assert said["threads"].endswith("RuntimeError: 1")  # OMP_NUM_THREADS
    assert violations(tree) == []
    assert json.loads((tree / label_report.REPORT).read_text()) == report


def test_the_tree_is_valid_at_every_moment(videos, tmp_path, monkeypatch):
    """Whenever the driver or a worker has changed a file or a folder anywhere."""
    tree, moments = tmp_path / "tree", 0

    def watched(function):
        def call(*args, **named):
            nonlocal moments
            done = function(*args, **named)
            if (tree / "actions").exists():
                moments += 1
                assert violations(tree) == []
            return done

        return call

    some = [path for path in videos if path.stem in ("one", "two", "varies", "no_overlay")]
    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir"):
            patch.setattr(os, name, watched(getattr(os, name)))
        label(tree, some)
    assert moments > 20


def test_the_report_adds_up(labelled):
    _, report = labelled
    assert report["frames"] == 60 + 60 + 70 + 60
    assert report["labelled_frames"] == report["frames"]
    assert report["coverage"] == 1
    assert report["hours"] == pytest.approx((2 + 2 + 70 / 30 + 2) / 3600, rel=0.02)
    assert report["warnings"] == [{"video_id": "varies", "message": "its frame rate varies"}]
    cpu = report["cpu_seconds_per_hour"]
    assert cpu["read"] == pytest.approx(4 * 0.25 / report["hours"])
    assert cpu.keys() == {"read", "write", "other"}
    assert report["cpu_seconds_per_hour_in_all"] == pytest.approx(sum(cpu.values()))
    assert report["skins"] == {"made-up": 4}


def test_nothing_is_left_beside_the_labels(labelled):
    tree, _ = labelled
    assert {path.name for path in tree.iterdir()} == {
        *("actions", label_log.LOG, label_log.STATE, label_report.REPORT)
    }
    assert [path.name for path in (tree / label_log.STATE).rglob("*")] in (
        ["lock", "work"],
        ["work", "lock"],
    )


def test_processes_and_none_give_the_same_tree(labelled, videos, tmp_path):
    tree, _ = labelled
    quiet = [path for path in videos if path.stem not in ("dies", "threads")]
    label(tmp_path / "tree", quiet)
    assert files(tmp_path / "tree") == files(tree)


def test_finished_videos_are_skipped_and_failed_ones_only_tried_again_when_asked(videos, tmp_path):
    tree, tried = tmp_path / "tree", []

    def counting(jobs, advance):
        jobs = list(jobs)
        tried.append(sorted(job.video_id for job in jobs))
        yield from in_process(jobs, advance)

    some = [path for path in videos if path.stem in ("one", "no_overlay")]
    label(tree, some, counting)
    lines = (tree / label_log.LOG).read_bytes()
    label(tree, some, counting)
    assert tried == [["no_overlay", "one"]]
    assert (tree / label_log.LOG).read_bytes() == lines
    more = [path for path in videos if path.stem in ("one", "no_overlay", "two")]
    report = label(tree, more, counting)
    assert report["videos"]["done"] == 2
    report = label(tree, more, counting, retry=True)
    assert tried[1:] == [["two"], ["no_overlay"]]
    assert report["videos"]["failed"] == 1
    assert violations(tree) == []


def test_a_video_that_failed_and_now_works_is_no_failure_any_more(tmp_path):
    path, tree = tmp_path / "a.mp4", tmp_path / "tree"
    path.write_text("half of an upload")
    assert label(tree, [path])["failed"] == {"not_a_video": 1}
    standin.write_video(path, 2.0)
    report = label(tree, [path], retry=True)
    assert (report["failed"], report["videos"]["done"]) == ({}, 1)


def test_labels_that_somebody_deleted_are_made_again(videos, tmp_path):
    import shutil

    tree = tmp_path / "tree"
    label(tree, [videos[0].with_name("one.mp4")])
    before = files(tree)
    shutil.rmtree(next((tree / "actions").glob("*/one")))
    label(tree, [videos[0].with_name("one.mp4")])
    assert files(tree) == before


def test_labels_of_unknown_origin_are_left_alone(videos, tmp_path):
    one = next(path for path in videos if path.stem == "one")
    label(tmp_path / "tree", [one])
    (tmp_path / "tree" / label_log.LOG).unlink()
    before = files(tmp_path / "tree")
    report = label(tmp_path / "tree", [one])
    assert (report["videos"]["foreign"], report["videos"]["not_yet"]) == (1, 0)
    assert files(tmp_path / "tree") == before


def test_other_options_are_noticed(videos, tmp_path):
    one = next(path for path in videos if path.stem == "one")
    label(tmp_path / "tree", [one])
    same = label(tmp_path / "tree", [one], options=LabelOptions(threads=4))
    other = label(tmp_path / "tree", [one], options=LabelOptions(samples=7))
    found = [report["videos"]["done_with_other_options"] for report in (same, other)]
    assert found == [0, 1]


def test_games_and_their_remap_tables(videos, tmp_path):
    some = [path for path in videos if path.stem in ("one", "two")]
    swap = (("EAST", "SOUTH"), ("SOUTH", "EAST"))
    plan = {
        "game": "Usual",
        "facts": {"two": VideoFacts("Other Game", url="https://x/two")},
        "remaps": {"Other Game": swap},
    }
    report = label(tmp_path / "tree", some, **plan)
    assert report["hours_by_game"].keys() == {"Usual", "Other Game"}
    for raw in label_tree.open_tree(tmp_path / "tree").scan():
        meta, clean = label_tree.read_chunk(raw, "processed")
        _, seen = label_tree.read_chunk(raw, "raw")
        other = meta.video.video_id == "two"
        assert meta.game == ("Other Game" if other else "Usual")
        assert meta.video.url == ("https://x/two" if other else "")
        assert (clean.actions != seen.actions).any() == other


def test_two_videos_of_one_name_are_refused(tmp_path):
    paths = [tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mkv"]
    with pytest.raises(NitrogenError, match="have the same name, which is their id"):
        label(tmp_path / "tree", paths)
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize("name", [f"{'n' * 250}", "a\x1b[31mb", "weird name, with (signs)", "näme"])
def test_odd_names(videos, tmp_path, name):
    one = next(path for path in videos if path.stem == "one")
    path = tmp_path / f"{name}.mp4"
    path.write_bytes(one.read_bytes())
    report = label(tmp_path / "tree", [path])
    if len(name) < 200:
        assert report["failed"] == {}
        assert violations(tmp_path / "tree") == []
    else:
        assert report["failed"] == {"error": 1}
        assert not (tmp_path / "tree" / "actions").exists()


def test_a_name_that_is_no_text(videos, tmp_path):
    one = next(path for path in videos if path.stem == "one")
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(one.read_bytes())
    report = label(tmp_path / "tree", [path, one])
    assert report["failed"] == {"error": 1}
    assert violations(tmp_path / "tree") == []


def test_a_folder_of_something_else_is_not_written_into(tmp_path, videos):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "thesis.tex").write_text("years of work")
    with pytest.raises(NitrogenError, match="it is not empty and not a folder of label run"):
        label(tmp_path / "tree", videos)
    with pytest.raises(NitrogenError, match="does not exist"):
        label(tmp_path / "no" / "tree", videos)


def test_a_damaged_log_is_said(tmp_path, videos):
    one = next(path for path in videos if path.stem == "one")
    label(tmp_path / "tree", [one])
    log = tmp_path / "tree" / label_log.LOG
    log.write_text("{}\n" + log.read_text())
    with pytest.raises(NitrogenError, match="line 1: it is no line of this log"):
        label(tmp_path / "tree", [one])


def test_a_tree_that_cannot_be_written_ends_the_run_and_blames_no_video(videos, tmp_path):
    some = [path for path in videos if path.stem in ("one", "two")]

    def full(jobs, advance):
        jobs = list(jobs)
        yield jobs[0], work.label_one(jobs[0], NO_SKINS, standin.label)
        (tmp_path / "tree" / label_log.STATE / "work").rmdir()
        yield jobs[1], work.label_one(jobs[1], NO_SKINS, standin.label)

    with pytest.raises(NitrogenError, match="cannot write"):
        label(tmp_path / "tree", some, full)
    assert list(label_log.read(tmp_path / "tree")) == ["one"]
    assert label(tmp_path / "tree", some)["videos"]["done"] == 2


class NotFoundInWorkers:
    def __call__(self, *args):
        raise AssertionError

    def __reduce__(self):
        return (exec, ("raise SystemExit(3)",))


def test_workers_that_cannot_begin_end_the_run(videos, tmp_path):
    with pytest.raises(NitrogenError, match="ended with 3 before it could begin"):
        label(tmp_path / "tree", videos, runner(1, NotFoundInWorkers()))
    assert not (tmp_path / "tree" / "actions").exists()


def test_hours_are_told_once_each(videos, tmp_path):
    import contextlib

    told, wanted = [], []

    @contextlib.contextmanager
    def bar(hours):
        wanted.append(hours)
        yield told.append

    some = [path for path in videos if path.stem in ("one", "two", "no_overlay", "text")]
    pipeline.label_videos(pipeline.Plan(some), tmp_path / "tree", in_process, bar)
    assert wanted == [pytest.approx(6 / 3600)]
    assert sum(told) == pytest.approx(wanted[0])
    assert min(told) >= 0


def test_the_length_of_many_videos_follows_from_some(videos, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_PROBED", 1)
    good = [path for path in videos if path.stem in ("one", "two")] * 4
    hours, rate = pipeline.estimate(good)
    assert hours == pytest.approx([2 / 3600] * 8, rel=0.2)
    assert rate == pytest.approx(30)


def test_lists_of_videos(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# mine\n\n a/b.mp4 \n/c d.mkv\n#e.mp4\n")
    assert pipeline.read_list(path) == [Path("a/b.mp4"), Path("/c d.mkv")]
    path.write_text("# nothing\n")
    with pytest.raises(NitrogenError, match="one path a line is needed"):
        pipeline.read_list(path)


def test_labels_become_training_records(tmp_path, capsys):
    """From videos to records by the commands, and the rows meet their frames."""
    import numpy as np

    from nitrogen_jax.data import digits, records

    pytest.importorskip("array_record")
    world = demo.make_demo(tmp_path / "demo", 2, 6.0, 30, chunk_seconds=6.0, variable=(1,))
    paths = sorted((tmp_path / "demo" / "videos").iterdir())
    label(tmp_path / "tree", paths, game="Demo")
    arguments = ["--labels", tmp_path / "tree", "--videos", tmp_path / "demo" / "videos"]
    arguments += ["--out", tmp_path / "records", "--workers", 1, "--mask", "none"]
    assert cli.main(["data", "build", *map(str, arguments)]) == 0
    capsys.readouterr()
    built = json.loads((tmp_path / "records" / "build_report.json").read_text())
    assert (built["problems"], built["warnings"]) == ([], [])
    found = [
        one
        for split in ("train", "val")
        for one in records.read_records(tmp_path / "records", split)
    ]
    assert sum(len(one.actions) > 0 for one in found) >= 6
    for one in found:
        assert one.game == "Demo"
        info = next(video for video in world.videos if video.video_id == one.video_id)
        made = standin.made_up(one.video_id, np.arange(len(info.actions)) / 30)
        first = one.start_frame
        shown = digits.read_number(one.pictures([0])[0], info.number_box)
        assert shown == first
        left = made.states.left[first : first + len(one.actions), 0]
        np.testing.assert_allclose(2 * one.actions[:, 21] - 1, left, atol=1e-5)
        wanted = made.confidence[first : first + len(one.actions)]
        np.testing.assert_array_equal(one.confidence, wanted)
