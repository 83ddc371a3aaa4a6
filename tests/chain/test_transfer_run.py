"""`nitrogen study transfer` as it is typed: its stages, parts of it, all of it, and kill -9."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nitrogen_jax import cli
from nitrogen_jax.chain import stages, transfer
from nitrogen_jax.commands import eval_run, nested
from nitrogen_jax.config import load
from nitrogen_jax.evaluation import tasks

ROOT = Path(__file__).parents[2]
SHORT = ("study", "transfer", "--short", "--out")


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def study(name="short"):
    return load(ROOT / "configs" / "transfer" / f"{name}.py")


def needs_games():
    short = study()
    for name in (*short.pretrain, short.near, short.far):
        if lacking := tasks.get(name).missing():
            pytest.skip(lacking)


@pytest.mark.parametrize("name", ["study", "short"])
def test_every_stage_is_a_command_that_exists(name, tmp_path):
    for stage in transfer.stages(study(name)):
        verb, *words = stage.words(tmp_path)
        parser, module = cli.verb_parser(verb)
        args = nested.parse(parser, module, words)
        part = getattr(args, "what", None) or getattr(args, "policy", None)
        if part in getattr(module, "PARTS", {}):
            own, inner = nested.module_parser(f"{verb}_{part}", f"nitrogen {verb} {part}")
            nested.parse(own, inner, args.rest)
        elif verb == "eval":
            own = argparse.ArgumentParser()
            eval_run.add_arguments(own)
            own.parse_args(args.rest)
        elif verb == "train" and name == "short":
            load(args.config, args.overrides).check()


def test_the_list_holds_every_command_and_runs_none(tmp_path, capsys):
    assert cli.main([*SHORT, str(tmp_path / "a b"), "--list", "--episodes=7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert [words[0] for words in told] == ["nitrogen"] * len(transfer.stages(study()))
    played = [words for words in told if words[1] == "eval" and "--episodes" in words]
    assert played
    assert {words[words.index("--episodes") + 1] for words in played} == {"7"}
    assert not (tmp_path / "a b").exists()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--only", "train-nothing*"), "no such stage"),
        (("--recipe", "configs/transfer/pretrain.py"), "not a Study"),
        (("--recipe", "nowhere/study.py"), "does not exist"),
        (("--steps=0",), "steps is 0"),
    ],
)
def test_bad_usage_is_one_sentence_and_2(more, complaint, tmp_path, capsys):
    given = ["study", "transfer", "--out", str(tmp_path / "out"), *more]
    assert cli.main(given) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_part_of_it_runs_alone_and_says_what_is_left(tmp_path, capsys):
    needs_games()
    minutes = f"{study().minutes[0]:g}"
    out = tmp_path / "out"
    done = cli.main([*SHORT, str(out), "--only", f"play-far-{minutes}", f"records-far-{minutes}"])
    told = capsys.readouterr()
    assert done == 1
    assert f"train-far-{minutes}-scratch-0" in told.err
    assert stages.read(out)[f"records-far-{minutes}"].done
    assert "Not complete" in (out / "report" / "RESULTS.md").read_text()
    found = json.loads((out / "report" / "results.json").read_text())
    assert found["cells"] == []
    assert len(found["stages"]) == 2
    assert all(" OUT/" in one["command"] for one in found["stages"])
    for path in (out / "report").iterdir():
        assert str(tmp_path) not in path.read_text()


def run(out, seconds=900):
    command = [sys.executable, "-m", "nitrogen_jax.cli", *SHORT, str(out), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


@pytest.mark.long
def test_all_of_it_and_killed_again_and_again_with_the_same_numbers(tmp_path):
    needs_games()
    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    numbers = json.loads(whole.stdout)
    assert numbers["missing"] == []
    assert {one["difference"]["pairs"] for one in numbers["compared"]} == {1, 2}
    assert all(one["done"] and one["cpu_s"] > 0 for one in numbers["stages"])

    out = tmp_path / "killed"
    minutes = f"{study().minutes[0]:g}"
    for stage in ("play-pretrain", "train-pretrain", f"eval-near-{minutes}-pretrained-0"):
        kill_in(stage, out)
    again = run(out)
    assert again.returncode == 0, again.stderr[-2000:]
    same = json.loads(again.stdout)
    for one in (*numbers["cells"], *same["cells"]):
        one["summary"].pop("wall")
    assert same["cells"] == numbers["cells"]
    assert same["compared"] == numbers["compared"]


def kill_in(stage: str, out: Path) -> None:
    """Runs until a stage has begun, and then kills it."""
    command = [sys.executable, "-m", "nitrogen_jax.cli", *SHORT, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 900
        while True:
            assert time.monotonic() < deadline
            assert process.poll() is None
            begun = stages.read_one(out, stage) if out.exists() else None
            if begun is not None and not begun.done:
                break
            time.sleep(0.05)
        time.sleep(2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
