"""Labelling that is stopped in the middle: nothing is lost, nothing is there twice or in half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parent))

import standin

from nitrogen_jax.data import label_check, label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import label_log, pipeline, tree_out, work
from nitrogen_jax.labeling.skins.library import Library

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c-no_overlay", "d-waits", "e", "f")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("world")
    (root / "videos").mkdir()
    for name in NAMES:
        standin.write_video(root / "videos" / f"{name}.mp4", 2.0, size=(64, 48))
    standin.skins(root / "skins")
    return root


@pytest.fixture
def hold(world) -> Path:
    """While it is there, one of the videos waits."""
    path = world / "videos" / "d-waits.hold"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def in_process(jobs, advance):
    for job in jobs:
        yield job, work.label_one(job, Library(()), standin.label)


@pytest.fixture(scope="module")
def uninterrupted(world, tmp_path_factory) -> dict[str, bytes]:
    tree = tmp_path_factory.mktemp("whole") / "tree"
    label(world, tree)
    return files(tree)


def label(world: Path, tree: Path) -> dict:
    paths = sorted((world / "videos").glob("*.mp4"))
    return pipeline.label_videos(pipeline.Plan(paths), tree, in_process)


def files(tree: Path) -> dict[str, bytes]:
    found = sorted(path for path in (tree / "actions").rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in found}


def violations(tree: Path) -> list[str]:
    if not (tree / "actions").exists():
        return []
    return [one.message for one in label_check.check_tree(label_tree.open_tree(tree))]


def start(world: Path, tree: Path, *more: str) -> subprocess.Popen:
    given = ["--videos", world / "videos", "--skins", world / "skins", "--out", tree]
    return subprocess.Popen(
        standin.command(*map(str, given), *more),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def descendants(session: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def finished(tree: Path) -> dict[str, dict]:
    return label_log.read(tree) if tree.exists() else {}


def attempts(tree: Path) -> list[str]:
    folder = tree / label_log.STATE / "work"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("wanted", [0, pytest.param(1, marks=pytest.mark.long), 5])
def test_killed_and_run_again(wanted, world, hold, uninterrupted, tmp_path):
    """Killed while the first videos are at work, with one done, with all but one done."""
    tree = tmp_path / "tree"
    process = start(world, tree, "--workers", "2")
    try:
        wait_for(
            lambda: (
                process.poll() is not None
                or len(finished(tree)) >= max(wanted, 1)
                or (not wanted and attempts(tree))
            )
        )
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)  # it alone: its workers must notice
        process.wait()
        wait_for(lambda: not descendants(process.pid), 30)
    finally:
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.stderr.close()
    assert violations(tree) == []
    done = {path: path.stat().st_mtime_ns for path in (tree / "actions").rglob("*.*")}
    before = finished(tree)
    assert wanted <= len(before) < len(NAMES)
    hold.unlink()
    report = label(world, tree)
    assert files(tree) == uninterrupted
    assert report["failed"] == {"no_overlay": 1}
    assert violations(tree) == []
    for path, time_ns in done.items():
        assert path.stat().st_mtime_ns == time_ns, "a finished video was done again"
    lines = (tree / label_log.LOG).read_text().splitlines()
    assert sorted(json.loads(line)["video_id"] for line in lines) == sorted(NAMES)
    assert attempts(tree) == []


def test_interrupted_by_the_keyboard(world, hold, uninterrupted, tmp_path):
    tree = tmp_path / "tree"
    process = start(world, tree, "--workers", "2")
    wait_for(lambda: process.poll() is not None or len(finished(tree)) >= 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == "nitrogen label: interrupted"
    assert "Traceback" not in error
    wait_for(lambda: not descendants(process.pid), 30)
    assert attempts(tree) == []
    assert violations(tree) == []
    hold.unlink()
    label(world, tree)
    assert files(tree) == uninterrupted


def test_two_at_once(world, hold, tmp_path):
    tree = tmp_path / "tree"
    process = start(world, tree, "--workers", "1")
    try:
        wait_for(lambda: process.poll() is not None or finished(tree))
        with pytest.raises(NitrogenError, match="is being labelled into by another process"):
            label(world, tree)
        hold.unlink()
        assert process.wait(timeout=120) == 1  # one of the videos has no overlay
    finally:
        process.kill()
        process.communicate()
    assert violations(tree) == []


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs after it may be needed."""


@pytest.mark.parametrize("step", ["rename", "write", "remove"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_the_steps_of_putting_a_video_into_the_tree(
    step, when, world, uninterrupted, tmp_path, monkeypatch
):
    """Whatever has happened of: attempt renamed, line written, attempt removed."""
    tree, countdown = tmp_path / "tree", [2]

    def interrupted(function):
        def call(*args):
            countdown[0] -= 1
            if countdown[0]:
                return function(*args)
            if when == "after":
                function(*args)
            raise Killed

        return call

    with monkeypatch.context() as patch:
        patch.setattr(label_log.LabelLog, "close", lambda self: None)
        if step == "rename":
            patch.setattr(label_log.LabelLog, "_publish", interrupted(label_log.LabelLog._publish))
        elif step == "write":
            patch.setattr(label_log.os, "fsync", interrupted(os.fsync))
        else:
            patch.setattr(label_log, "remove", interrupted(label_log.remove))
        with pytest.raises(Killed):
            label(world, tree)
    assert violations(tree) == []
    label(world, tree)
    assert files(tree) == uninterrupted
    lines = (tree / label_log.LOG).read_text().splitlines()
    assert sorted(json.loads(line)["video_id"] for line in lines) == sorted(NAMES)
    assert attempts(tree) == []


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_half_of_a_line_is_written_again(kept, world, uninterrupted, tmp_path):
    tree = tmp_path / "tree"
    label(world, tree)
    log = tree / label_log.LOG
    *rows, last = log.read_bytes().splitlines(keepends=True)
    video_id = json.loads(last)["video_id"]
    job = work.Job(video_id, str(world / "videos" / f"{video_id}.mp4"), str(tree / "attempt"))
    log.write_bytes(b"".join(rows) + last[:kept])
    # What a driver leaves that is killed while it writes the line: the attempt without its labels.
    work.label_one(job, Library(()), standin.label)
    shard = tree_out.shard_of(video_id)
    label_log.remove(tree / "attempt" / "actions" / shard / video_id)
    (tree / "attempt").rename(tree / label_log.STATE / "work" / "attempt")
    label(world, tree)
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(found) == len(NAMES)
    assert (found[-1]["video_id"], found[-1]["status"]) == (video_id, "done")
    assert files(tree) == uninterrupted


def test_an_attempt_of_a_worker_that_was_given_up_counts_for_nothing(world, tmp_path):
    """It ended after its video was done by another one."""
    tree = tmp_path / "tree"
    label(world, tree)
    before, lines = files(tree), (tree / label_log.LOG).read_bytes()
    late = str(tree / label_log.STATE / "work" / "late")
    work.label_one(work.Job("a", str(world / "videos" / "b.mp4"), late), Library(()), standin.label)
    label(world, tree)
    assert files(tree) == before
    assert (tree / label_log.LOG).read_bytes() == lines
    assert attempts(tree) == []
