"""Recordings of tasks: what is kept, what is judged, and that a killed run goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import recording, rollout, suite, tasks
from nitrogen_jax.evaluation.recording import Plan
from nitrogen_jax.sim import actions, overlay

TASK = "vizdoom/predict-position"  # 8 seconds at most
pytestmark = pytest.mark.needs("vizdoom")


@pytest.fixture
def task():
    """A task that is over soon."""
    return dataclasses.replace(tasks.get(TASK), seconds=1.0)


def digests(out):
    """Of every file but of those that hold times."""
    found = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.suffix != ".npz"
    }
    held = {path.name: actions.read(path) for path in (out / "actions").iterdir()}
    return found | {name: gamepad.pack(pad).tobytes() for name, pad in held.items()}


def test_videos_labels_and_actions_belong_together(task, tmp_path):
    skin = overlay.made_up(0)
    looks = tuple(overlay.Look(skin, corner=corner) for corner in ("top-left", "top-right"))
    plan = Plan((task,), "random", episodes=2, looks=looks, seed=4)
    done = []
    takes = recording.record_tasks(plan, tmp_path / "rec", done.append)
    assert recording.read(tmp_path / "rec") == takes
    assert [(one.number, one.kept, one.outcome) for one in takes] == [
        (0, True, "failure"),
        (1, True, "failure"),
    ]
    assert [one.seed for one in takes] == [suite.seed_of(4, TASK, number) for number in (0, 1)]
    assert sum(done) == pytest.approx(sum(one.frames for one in takes) / 35)
    for take in takes:
        path = tmp_path / "rec" / "videos" / f"{take.video_id}.mp4"
        assert sum(1 for _ in video.frames(path, threads=1)) == take.frames
    tree = label_tree.open_tree(tmp_path / "rec" / "labels")
    found = [label_tree.read_chunk(raw) for raw in tree.scan()]
    assert {meta.game for meta, _ in found} == {TASK}
    # One episode after the other, in one corner after the other.
    found.sort(key=lambda one: one[0].video.video_id)
    assert [meta.overlay.x < 160 for meta, _ in found] == [True, False]
    for meta, table in found:
        played = actions.read(tmp_path / "rec" / "actions" / f"{meta.video.video_id}.npz")
        np.testing.assert_allclose(table.actions[1:], gamepad.pack(played), atol=1e-6)
        assert meta.overlay is not None
        # The same pads give the same verdict.
        take = next(one for one in takes if one.video_id == meta.video.video_id)
        with task.make(size=(32, 32)) as env:
            player = rollout_player(played)
            episode = rollout.play(task, player, take.seed, env)
        assert (episode.outcome, episode.verdict.progress) == (take.outcome, take.progress)


def rollout_player(pads):
    from nitrogen_jax.evaluation.players import Recorded

    return Recorded(pads)


def test_a_shorter_recording_is_the_beginning_of_a_longer_one(task, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "SHORTEST", 0.1)
    short = recording.record_tasks(Plan((task,), "random", minutes=1.6 / 60), tmp_path / "short")
    long = recording.record_tasks(Plan((task,), "random", minutes=3 / 60), tmp_path / "long")
    frames = [take.frames for take in short]
    assert frames == [36, 20]  # 1.6 s at 35 Hz, the last episode cut
    assert sum(take.frames for take in long) == 105
    assert long[0] == short[0]
    assert (long[1].seed, long[1].frames) == (short[1].seed, 36)
    one, other = (
        actions.read(tmp_path / f"{name}/actions/{short[1].video_id}.npz")
        for name in ("short", "long")
    )
    np.testing.assert_array_equal(gamepad.pack(one), gamepad.pack(other)[:19])


def test_only_success(tmp_path):
    task = tasks.get(TASK)
    plan = Plan((task,), "expert", episodes=1, only_success=True, tree=False)
    takes = recording.record_tasks(plan, tmp_path / "rec")
    assert [take.outcome for take in takes][-1] == "success"
    kept = {take.video_id for take in takes if take.kept}
    assert {path.stem for path in (tmp_path / "rec" / "videos").iterdir()} == kept
    assert len(kept) == 1
    assert not (tmp_path / "rec" / "labels").exists()


def test_hopeless_players_are_given_up(task, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recording, "HOPELESS", 2)
    plan = Plan((task,), "idle", episodes=1, only_success=True)
    with pytest.raises(recording.Hopeless, match="2 episodes of vizdoom/predict-position in a row"):
        recording.record_tasks(plan, tmp_path / "rec")
    assert list((tmp_path / "rec" / "videos").iterdir()) == []
    monkeypatch.setattr("nitrogen_jax.evaluation.suite.chosen", lambda names: [task])
    words = ["eval", "record", TASK, "--player", "idle", "--episodes", "1", "--only-success"]
    assert cli.main([*words, "--out", str(tmp_path / "again")]) == 1
    assert "in a row" in capsys.readouterr().err


def test_what_is_begun_differently_is_not_gone_on_with(task, tmp_path):
    recording.record_tasks(Plan((task,), "random", episodes=1), tmp_path / "rec")
    with pytest.raises(NitrogenError, match="begun with seed 0, where 1 is asked for"):
        recording.record_tasks(Plan((task,), "random", episodes=1, seed=1), tmp_path / "rec")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(NitrogenError, match="is no recording"):
        recording.record_tasks(Plan((task,), "random", episodes=1), tmp_path / "other")
    (tmp_path / "rec" / "record.json").write_text(json.dumps({"episodes": []}))
    with pytest.raises(NitrogenError, match="not of 'nitrogen eval record'"):
        recording.read(tmp_path / "rec")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "either a number of episodes or of minutes"),
        ({"episodes": 0}, "episodes is 0"),
        ({"minutes": 0.0}, "minutes is 0"),
    ],
)
def test_plans_that_cannot_be(task, given, says):
    with pytest.raises(NitrogenError, match=says):
        Plan((task,), **given)


def test_tasks_without_an_expert():
    with pytest.raises(NitrogenError, match="ale/freeway has no expert"):
        Plan((tasks.get("ale/freeway"),), episodes=1)


def test_bad_words(tmp_path, capsys):
    for words, says in (
        ((TASK,), "--minutes or --episodes is needed"),
        (("vizdoom/predict", "--episodes", "1"), "perhaps vizdoom/predict-position"),
        ((TASK, "--episodes", "1", "--seed", "-1"), "--seed is -1"),
    ):
        assert cli.main(["eval", "record", *words, "--out", str(tmp_path / "rec")]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "rec").exists()


def test_killed_and_gone_on_with(tmp_path, capsys):
    """The files are those of a run that nobody disturbed."""
    words = ["eval", "record", TASK, "--player", "random", "--episodes", "3", "--overlay", "--out"]
    assert cli.main([*words, str(tmp_path / "whole")]) == 0
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "nitrogen_jax.cli", *words, str(broken)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 90
        # While the second episode is written, half of whose video is there then.
        while not list(broken.glob("videos/.*-1.tmp-*")) and process.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(recording.read(broken)) == 1
    capsys.readouterr()
    assert cli.main([*words, str(broken), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert digests(broken) == digests(tmp_path / "whole")
