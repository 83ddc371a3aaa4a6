"""Runs of the evaluation with real processes and games: repeated, killed, hung, gone on with."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.evaluation import players, results, rollout, suite, tasks
from nitrogen_jax.evaluation.policies import Source
from nitrogen_jax.evaluation.results_write import Writer
from nitrogen_jax.evaluation.runner import Plan, run
from nitrogen_jax.gamepad import neutral

sys.path.insert(0, str(Path(__file__).parent))
from fake_server import FACTS, FakeServer

SHORT, LONGER = "vizdoom/predict-position", "vizdoom/my-way-home"  # 8 and 60 s of game time at most
pytestmark = pytest.mark.needs("vizdoom")


def played(folder, source, names=(SHORT,), episodes=1, workers=1, advance=lambda s: None, **more):
    """Runs; why it stopped, and the results."""
    chosen = suite.chosen(names=names)
    about = {
        "policy": {"name": "it", "identity": "it"},
        "suite": None,
        "tasks": [task.name for task in chosen],
        "tags": {task.name: results.tags_of(task) for task in chosen},
        "skipped": {},
        "episodes": episodes,
        "seed": 0,
        "play": {},
        "created": "",
    }
    plan = Plan(tuple(chosen), episodes, 0, source, workers, **{"clips": False, **more})
    with Writer(folder, about) as writer:
        stopped = run(plan, writer, advance)
    return stopped, results.read(folder)


def what_matters(found):
    """Episodes without the seconds that they took."""
    lines = [results.played_to(one) for one in found.episodes]
    return [{k: v for k, v in line.items() if k not in ("wall", "clip")} for line in lines]


def workers():
    return [one for one in multiprocessing.active_children() if one.name.startswith("SpawnProcess")]


@contextlib.contextmanager
def in_background(*arguments, **options):
    """A run in a thread; yields a list that holds what it returns in the end."""
    found = []
    thread = threading.Thread(target=lambda: found.append(played(*arguments, **options)))
    thread.start()
    try:
        yield found
    finally:
        thread.join(120)
        assert not thread.is_alive()


def until(true, seconds=60.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The same episodes by one worker and by two; with clips where they can be written."""
    out, random = tmp_path_factory.mktemp("twice"), Source(baseline="random")
    seconds = []
    one = played(out / "one", random, [SHORT], 3, 1, seconds.append, clips=True)[1]
    two = played(out / "two", random, [SHORT], 3, 2)[1]
    return one, two, sum(seconds)


def test_one_worker_and_two_play_the_same(twice):
    one, two, _ = twice
    assert what_matters(one) == what_matters(two)
    assert [line.episode for line in one.episodes] == [0, 1, 2]
    assert len({line.seed for line in one.episodes}) == 3
    assert len({line.frames_hash for line in one.episodes}) == 3
    assert all(line.outcome in ("success", "failure") and line.steps for line in one.episodes)


def test_progress_comes_to_the_whole(twice):
    assert twice[2] == pytest.approx(3 * 8.0)


def test_what_was_held_replays_the_episode(twice):
    one = twice[0]
    line = one.episodes[0]
    task = tasks.get(line.task)
    with contextlib.closing(task.make(line.frame_skip)) as env:
        player = players.Recorded(one.file(line.actions))
        again = rollout.play(task, player, line.seed, env)
    assert again.frames_hash == line.frames_hash
    assert again.outcome == line.outcome


def test_the_first_of_each_outcome_has_a_clip(twice):
    pytest.importorskip("av")
    one, two, _ = twice
    clips = [(line.outcome, one.file(line.clip)) for line in one.episodes if line.clip]
    assert len(clips) == len({line.outcome for line in one.episodes})
    assert len({outcome for outcome, _ in clips}) == len(clips)
    assert all(path.stat().st_size > 1000 for _, path in clips)
    assert not any(line.clip for line in two.episodes)


def test_what_is_finished_is_not_played_again(twice, tmp_path):
    one = twice[0]
    lines = (one.folder / results.EPISODES).read_bytes().splitlines(keepends=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / results.ABOUT).write_bytes((one.folder / results.ABOUT).read_bytes())
    # Killed amid the third line.
    (out / results.EPISODES).write_bytes(b"".join(lines[:2]) + lines[2][:40])
    seconds = []
    stopped, found = played(out, Source(baseline="random"), [SHORT], 3, 2, seconds.append)
    assert stopped is None
    assert sum(seconds) == pytest.approx(8.0)
    assert what_matters(found) == what_matters(one)
    assert (out / results.EPISODES).read_bytes().startswith(b"".join(lines[:2]))


def test_a_worker_that_dies_costs_its_episode_alone(tmp_path):
    with in_background(tmp_path, Source(baseline="idle"), [LONGER, SHORT], 1, 1) as found:
        until(lambda: workers() and game_of(workers()[0].pid))
        os.kill(workers()[0].pid, signal.SIGKILL)
    (stopped, read), *_ = found
    assert stopped is None
    died, well = read.episodes
    assert (died.task, died.outcome) == (LONGER, "crash")
    assert "SIGKILL" in died.why
    assert (died.actions, died.frames_hash) == (None, "")
    assert (well.task, well.outcome) == (SHORT, "failure")
    assert not workers()


def test_a_worker_that_hangs_is_given_up(tmp_path):
    source = Source(baseline="idle", patience=1.0)
    stopped = []

    def advance(seconds):
        if not stopped:  # the game is on
            stopped.append(workers()[0].pid)
            os.kill(stopped[0], signal.SIGSTOP)

    found = played(tmp_path, source, [LONGER], 1, 1, advance, stall=9.0)[1]
    (line,) = found.episodes
    assert line.outcome == "time-out"
    assert "nothing was heard" in line.why
    until(lambda: not Path(f"/proc/{stopped[0]}").exists())


def game_of(pid):
    """Processes whose parent is `pid`: the game of a worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = path.read_text().rsplit(")", 1)
            if int(rest.split()[1]) == pid:
                found.append(int(name.split()[0]))
    return found


def test_errors_of_a_policy_are_no_failures_and_the_run_goes_on(tmp_path):
    seeds = [suite.seed_of(0, SHORT, episode) for episode in range(3)]

    def chunk(seed, step):
        if seed == seeds[0]:
            return np.full((6, 25), np.nan)
        return np.zeros((4, 25)) if seed == seeds[1] else neutral(6)

    with FakeServer(chunk) as server:
        source = Source(address=server.address, image_size=64, patience=5.0)
        stopped, found = played(tmp_path, source, [SHORT], 3)
    assert stopped is None
    assert [one.outcome for one in found.episodes] == ["policy error"] * 2 + ["failure"]
    assert "nan" in found.episodes[0].why
    assert "no chunk" in found.episodes[1].why


def test_a_server_that_goes_away_stops_the_run_and_what_is_finished_stays(tmp_path):
    second = suite.seed_of(0, SHORT, 1)
    gone = threading.Event()

    def chunk(seed, step):
        if seed == second and not gone.is_set():
            gone.set()
            time.sleep(60)  # it hangs
        return neutral(FACTS.horizon)

    server = FakeServer(chunk)
    source = Source(address=server.address, image_size=64, patience=1.5)
    stopped, found = played(tmp_path, source, [SHORT], 2)
    assert "no reply" in stopped
    assert [one.episode for one in found.episodes] == [0]
    assert not workers()
    with FakeServer() as other:
        source = Source(address=other.address, image_size=64, patience=5.0)
        stopped, found = played(tmp_path, source, [SHORT], 2)
    assert stopped is None
    assert [one.outcome for one in found.episodes] == ["failure"] * 2


def test_a_game_that_only_the_worker_lacks_is_skipped(tmp_path, monkeypatch):
    # What Python runs at its start hides the package from the worker.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'vizdoom' else real(name, *more)\n"
    )
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    stopped, found = played(tmp_path / "out", Source(baseline="idle"), [SHORT], 2)
    assert stopped is None
    assert found.episodes == ()
    assert "ViZDoom is not installed" in found.about["skipped"][SHORT]
    assert found.missing == []


def test_a_worker_loads_no_jax(run_python):
    code = (
        "import sys\n"
        "from nitrogen_jax.evaluation import runner, tasks, worker\n"
        "tasks.every()\n"
        "print(sorted({'jax', 'torch', 'tensorflow'} & set(sys.modules)))"
    )
    ran = run_python("-c", code)
    assert ran.stdout == "[]\n", ran.stderr


def test_lines_are_json_that_others_can_read(twice):
    for line in (twice[0].folder / results.EPISODES).read_text().splitlines():
        assert {"task", "episode", "seed", "outcome", "progress", "facts"} <= json.loads(
            line
        ).keys()
