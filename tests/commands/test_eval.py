"""`nitrogen eval` as a person meets it: killed, interrupted, misspelt, gone on with."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from descendants import below, until

from nitrogen_jax import cli
from nitrogen_jax.commands import eval as command
from nitrogen_jax.commands import eval_run, nested
from nitrogen_jax.evaluation import results, suite, tasks
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim import actions

SHORT, LONGER = "vizdoom/predict-position", "vizdoom/take-cover"
needs_vizdoom = pytest.mark.needs("vizdoom")


def start(*arguments):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "nitrogen_jax.cli", "eval", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def what_matters(folder):
    lines = [results.played_to(one) for one in results.read(folder).episodes]
    return [{k: v for k, v in line.items() if k not in ("wall", "clip")} for line in lines]


@needs_vizdoom
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_game_and_can_be_gone_on_with(tmp_path, how, capsys):
    words = ["random", "--task", SHORT, LONGER, "--episodes", "1", "--workers", "1", "--no-clips"]
    process = start(*words, "--out", tmp_path / "out")
    lines = tmp_path / "out" / results.EPISODES
    # The first episode is finished, and the game of the second one is on: worker and game.
    until(lambda: lines.exists() and lines.read_bytes().count(b"\n") == 1)
    first = lines.read_bytes()
    until(lambda: len(below(process.pid)) >= 3)  # Python's own tracker is one, too
    family = below(process.pid)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert told == "nitrogen eval: interrupted\n"
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 20)
    assert lines.read_bytes() == first
    assert not (tmp_path / "out" / results.REPORT).exists()
    assert cli.main(["eval", *words, "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["missing"] == 0
    assert Path(told["report"]).stat().st_size > 1000
    assert lines.read_bytes().startswith(first)
    if how == signal.SIGINT:
        return
    assert cli.main(["eval", *words, "--out", str(tmp_path / "whole")]) == 0
    assert what_matters(tmp_path / "whole") == what_matters(tmp_path / "out")


@needs_vizdoom
def test_what_is_printed_fits_into_80_columns(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    words = ["eval", "--episodes", "1", "idle", "--task", SHORT, "--out", str(out)]
    assert cli.main([*words, "--no-clips"]) == 0
    shown, notes = capsys.readouterr()
    assert max(map(len, shown.splitlines()[1:])) <= 80
    for word in (SHORT, "combat", "3D", "fixed", "overall", "0/1"):
        assert word in shown
    assert f"report: {out / 'report.html'}" in notes
    about = results.read(out).about
    assert about["command"].startswith(f"nitrogen eval idle --task {SHORT} --episodes 1 --seed 0")
    assert about["policy"] == {"name": "idle", "kind": "baseline", "identity": "idle"}
    assert about["machine"]["cores"] >= 1
    assert {"nitrogen_jax", "numpy", "vizdoom"} <= about["versions"].keys()
    # The same again plays nothing, another seed is refused.
    before = (out / results.EPISODES).read_bytes()
    assert cli.main(words) == 0
    assert (out / results.EPISODES).read_bytes() == before
    capsys.readouterr()
    assert cli.main([*words, "--seed", "1"]) == 2
    assert "begun with --seed 0, and 1 is given" in capsys.readouterr().err
    assert cli.main(["eval", "hold", "--task", SHORT, "--out", str(out)]) == 2
    assert "holds episodes of idle" in capsys.readouterr().err


@pytest.fixture
def not_installed(monkeypatch):
    """No game is."""
    lacks = "It is not installed: sudo apt-get install -y it"
    monkeypatch.setattr(Task, "missing", lambda self: lacks)


def test_what_is_not_installed_is_skipped_and_told(not_installed, tmp_path, capsys):
    words = ["eval", "idle", "--suite", "vizdoom", "--out", str(tmp_path / "out")]
    names = [name for name in tasks.every() if name.startswith("vizdoom/")]
    assert cli.main(words) == 1  # nothing could be judged
    notes = capsys.readouterr().err
    for name in names:
        assert f"skipped {name}: It is not installed: sudo apt-get install -y it" in notes
    assert set(results.read(tmp_path / "out").about["skipped"]) == set(names)
    assert cli.main([*words, "--strict"]) == 2
    assert f"{len(names)} tasks cannot be played here: It is not" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["idel"], "there is no policy 'idel': perhaps idle"),
        (["idle", "--task", "vizdoom/defend-the-centre"], "perhaps vizdoom/defend-the-center"),
        (["idle", "--suite", "combt"], "perhaps combat"),
        (["idle", "--episodes", "0"], "--episodes is 0"),
        (["idle", "--workers", "0"], "--workers is 0"),
        (["idle", "--seed", "-1"], "--seed is -1"),
        (["idle", "--patience", "nan"], "--patience is nan"),
        (["idle", "--execute", "2"], "knows no chunks"),
        (["tcp://127.0.0.1:1", "--patience", "0.2"], "no reply"),
        (["nonsense://x"], "cannot connect"),
        (["idle", "--token-file", "nowhere"], "cannot read the token"),
        (["--json", "list"], "come after that word"),
        (["list", "combt"], "perhaps combat"),
        (["compare", "nowhere", "nowhere"], "cannot read nowhere"),
        (["prove", "nowhere/x"], "there is no task"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["eval", *arguments]) == 2
    out, told = capsys.readouterr()
    assert out == ""
    assert words in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_checkpoint(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no")
    assert cli.main(["eval", "file", "--task", SHORT]) == 2
    assert "file is not a checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "evals").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["idle", "--help"], ["list", "--help"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", *arguments])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "examples:\n  nitrogen eval " in out
    if "list" not in arguments:
        assert "--suite" in out
        assert "tcp://" in out


def test_usage_that_is_wrong(capsys):
    for arguments in ([], ["idle", "more"], ["--nothing", "idle"], ["idle", "--episodes", "x"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["eval", *arguments])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("usage: nitrogen eval POLICY")


def test_list(capsys):
    every = tasks.every()
    assert cli.main(["eval", "list", "--goals"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if ": " not in line]
    assert max(map(len, table)) <= 80
    for name, task in every.items():
        assert any(line.startswith(f" {name} ") for line in table)
        assert f"{name}: {task.goal}" in lines
    assert cli.main(["eval", "list", "combat", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    combat = [task for task in every.values() if task.category == "combat"]
    assert [row["task"] for row in rows] == [task.name for task in combat]
    assert all(row["installed"] is (row["lacks"] is None) for row in rows)


def play_tiny(out, workers, episodes, capsys):
    """Plays with the smallest checkpoint; what came of it as JSON."""
    words = ["--task", SHORT, "--episodes", str(episodes), "--workers", str(workers)]
    words += ["--batch", "2", "--execute", "9", "--no-clips", "--json", "--out", str(out)]
    assert cli.main(["eval", "random:test", *words]) == 0
    return json.loads(capsys.readouterr().out)


@needs_vizdoom
def test_a_checkpoint_is_served_to_all_workers(tmp_path, capsys):
    pytest.importorskip("jax")
    told = play_tiny(tmp_path / "out", 2, 2, capsys)
    assert told["about"]["play"] == {"execute": 9, "batch": 2}
    assert told["about"]["policy"]["about"]["image_size"] == 32
    lines = what_matters(tmp_path / "out")
    assert {line["outcome"] for line in lines} <= {"success", "failure"}
    # The policy does something.
    held = actions.read(tmp_path / "out" / lines[0]["actions"])
    assert held.shape == (lines[0]["steps"],)
    assert np.ptp(held.left, axis=0).max() > 0.1


@needs_vizdoom
@pytest.mark.long
def test_a_checkpoint_plays_the_same_with_any_number_of_workers(tmp_path, capsys):
    pytest.importorskip("jax")
    for workers in (1, 2, 3):
        play_tiny(tmp_path / str(workers), workers, 3, capsys)
    one = what_matters(tmp_path / "1")
    assert len({line["frames_hash"] for line in one}) == 3
    assert one == what_matters(tmp_path / "2") == what_matters(tmp_path / "3")


def test_lines_of_the_readme_and_of_the_help_are_understood():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    found = [
        shlex.split(line.partition("#")[0].partition("   ")[0])[2:]
        for line in map(str.strip, (readme + command.EXAMPLES).splitlines())
        if line.startswith("nitrogen eval ")
    ]
    assert len(found) >= 10
    for first, *rest in found:
        if first in command.PARTS:
            parser, _ = nested.module_parser(f"eval_{first}", f"nitrogen eval {first}")
        else:
            parser = argparse.ArgumentParser()
            eval_run.add_arguments(parser)
        args = parser.parse_args(rest)
        for task in getattr(args, "task", None) or ():
            assert tasks.get(task)
        if getattr(args, "suite", None):
            assert suite.chosen(args.suite)
