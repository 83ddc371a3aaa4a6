"""`nitrogen label run --cluster`, as a command of its own: what it prints, leaves and survives."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.needs("ray", "pyarrow", "av")]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "labeling"


@pytest.fixture(scope="module")
def standin():
    """The labeller of the pipeline's tests."""
    spec = importlib.util.spec_from_file_location("standin", FOLDER / "standin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world(standin, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("world")
    (root / "videos").mkdir()
    for name in ("a", "b", "c-no_overlay", "d-waits"):
        standin.write_video(root / "videos" / f"{name}.mp4", 2.0, size=(64, 48))
    standin.skins(root / "skins")
    return root


def start(standin, world: Path, tree: Path, home: Path) -> subprocess.Popen:
    given = ["--videos", world / "videos", "--skins", world / "skins", "--out", tree, "--json"]
    paths = os.pathsep.join([str(ROOT), str(FOLDER)])
    return subprocess.Popen(
        standin.command(*map(str, given), "--cluster", "local", "--workers", "2"),
        env={**os.environ, "PYTHONPATH": paths, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def of_home(home: Path) -> dict[int, str]:
    """Processes that have this home folder, by name: Ray's leave the session of their parent."""
    wanted, found = f"HOME={home}".encode(), {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                found[int(path.name)] = (path / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


@pytest.mark.parametrize("how", ["finished", "interrupted", "killed"])
def test_a_cluster_of_its_own(how, standin, world, tmp_path):
    tree, home = tmp_path / "tree", tmp_path / "home"
    home.mkdir()
    hold, log = world / "videos" / "d-waits.hold", tree / "label_log.jsonl"
    if how != "finished":
        hold.touch()
    process = start(standin, world, tree, home)
    try:
        if how != "finished":
            wait_for(
                lambda: (
                    process.poll() is not None
                    or (log.exists() and len(log.read_text().splitlines()) == 3)
                )
            )
            process.send_signal(signal.SIGINT if how == "interrupted" else signal.SIGKILL)
            _, error = process.communicate(timeout=60)
            assert process.returncode == {"interrupted": 130}.get(how, -9), error
            # NOTE: two agents of Ray take a minute or two to notice that a driver was killed.
            wait_for(lambda: not any("_task" in name for name in of_home(home).values()), 60)
            hold.unlink()
            process = start(standin, world, tree, home)
        out, error = process.communicate(timeout=120)
    finally:
        hold.unlink(missing_ok=True)
        process.kill()
        process.communicate()
    assert process.returncode == 1, error  # one of the videos has no overlay
    report = json.loads(out)  # and nothing else was written there
    assert (report["videos"]["done"], report["failed"]) == (3, {"no_overlay": 1})
    assert len(log.read_text().splitlines()) == 4
    assert list((tree / ".label" / "work").iterdir()) == []
    assert list(home.iterdir()) == []  # no token, no statistics
    wait_for(lambda: of_home(home) == {}, 240)
    done = subprocess.run(
        [sys.executable, "-m", "nitrogen_jax.cli", "data", "validate", str(tree)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert done.returncode == 0
