"""Builds that are stopped in the middle: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nitrogen_jax import cli
from nitrogen_jax.data import build, demo, records

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> demo.DemoInfo:
    root = tmp_path_factory.mktemp("world") / "demo"
    return demo.make_demo(root, 5, 12.0, 30, chunk_seconds=4.0)


def arguments(root: Path, out: Path, *more: str) -> list[str]:
    given = ["--labels", str(root / "labels"), "--videos", str(root / "videos")]
    return ["data", "build", *given, "--out", str(out), "--chunks-per-file", "6", *more]


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert cli.main(arguments(world.root, out, "--workers", "1", "--json")) == 0
    return out


@pytest.fixture(scope="module")
def uninterrupted(whole) -> dict[str, bytes]:
    return contents(whole)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and build.STATE not in path.parts
    }


def start(root: Path, out: Path, *more: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nitrogen_jax.cli", *arguments(root, out, *more)]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
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


def reports(out: Path) -> list[Path]:
    return list((out / build.STATE / "reports").glob("v-*.json"))


def parts(out: Path) -> list[Path]:
    return list((out / build.STATE / "parts").iterdir())


# The moments: the first video at work, some videos done.
@pytest.mark.parametrize(
    "moment", ["at work", pytest.param("one done", marks=pytest.mark.long), "three done"]
)
def test_killed_and_run_again(moment, world, uninterrupted, tmp_path):
    out = tmp_path / "out"
    process = start(world.root, out, "--workers", "2")
    wanted = {"at work": 0, "one done": 1, "three done": 3}[moment]
    try:
        wait_for(
            lambda: (
                process.poll() is not None
                or ((out / build.STATE / "parts").is_dir() and parts(out) and not wanted)
                or (wanted and len(reports(out)) >= wanted)
            )
        )
        assert process.poll() is None, "it was done before it could be killed"
        process.send_signal(signal.SIGKILL)  # it alone: its workers must notice
        process.wait()
        wait_for(lambda: not descendants(process.pid), 30)
    finally:
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in reports(out)}
    assert len(done) >= wanted
    assert not (out / "dataset_info.json").exists()
    assert cli.main(arguments(world.root, out, "--workers", "1", "--json")) == 0
    assert contents(out) == uninterrupted
    for path, before in done.items():
        assert path.stat().st_mtime_ns == before, "a finished video was done again"
    assert parts(out) == []
    assert [path for path in out.rglob("*") if ".tmp-" in path.name] == []


def test_interrupted_by_the_keyboard(world, uninterrupted, tmp_path):
    out = tmp_path / "out"
    process = start(world.root, out, "--workers", "2")
    wait_for(lambda: process.poll() is not None or len(reports(out)) >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "nitrogen data: interrupted"
    assert "Traceback" not in error
    wait_for(lambda: not descendants(process.pid), 30)
    assert [path for path in out.rglob("*") if ".tmp-" in path.name] == []
    assert cli.main(arguments(world.root, out, "--workers", "1", "--json")) == 0
    assert contents(out) == uninterrupted


def test_two_at_once(world, tmp_path, capsys):
    out = tmp_path / "out"
    process = start(world.root, out, "--workers", "1")
    try:
        wait_for(lambda: process.poll() is not None or (out / build.STATE / "lock").exists())
        wait_for(lambda: process.poll() is not None or (out / build.STATE / "reports").exists())
        assert cli.main(arguments(world.root, out)) == 2
        assert "is being built by another process" in capsys.readouterr().err
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk(tmp_path, uninterrupted) -> Path:
    """With room for a part of the records."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = sum(map(len, uninterrupted.values())) * 6 // 10
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(world, small_disk, uninterrupted, tmp_path, capsys):
    """What is finished stays, and with more room the rest is built."""
    out = small_disk / "out"
    assert cli.main(arguments(world.root, out, "--workers", "1", "--json")) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert str(out) in error
    assert error.count("\n") == 1
    done = reports(out)
    assert 0 < len(done) < 5
    assert [path for path in out.rglob("*") if ".tmp-" in path.name] == []
    larger = tmp_path / "larger"
    shutil.copytree(out, larger)
    assert cli.main(arguments(world.root, larger, "--workers", "1", "--json")) == 0
    assert contents(larger) == uninterrupted
    for path in done:
        assert (larger / path.relative_to(out)).stat().st_mtime_ns == path.stat().st_mtime_ns


def test_records_open_without_tensorflow(whole, run_python):
    """With the public interface of TFDS, and nothing of this package."""
    code = f"""
import sys
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory({str(whole)!r})
source = builder.as_data_source("train")
assert len(source) == builder.info.splits["train"].num_examples
one = source[0]
assert one["actions"].shape[1] == 25 and bytes(one["frames"][0])[:2] == b"\\xff\\xd8"
assert "tensorflow" not in sys.modules
print(len(source), sorted(builder.info.splits))
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    count = len(records.read_records(whole))
    assert done.stdout.split("\n")[0] == f"{count} ['train', 'val']"
