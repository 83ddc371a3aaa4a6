"""`nitrogen eval prove`: a judge that is right, and what it says of one that is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nitrogen_jax import cli
from nitrogen_jax.evaluation import proof, tasks
from nitrogen_jax.evaluation.rollout import RESTING
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import actions

SHORT = "vizdoom/predict-position"


@pytest.mark.needs("vizdoom")
def test_a_judge_that_is_right(capsys):
    assert cli.main(["eval", "prove", SHORT]) == 0
    out = capsys.readouterr().out
    assert "holds" in out
    assert "success 1.00" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.needs("vizdoom")
def test_a_play_that_does_not_reach_the_goal_is_no_proof(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(proof, "FOLDER", tmp_path)
    nobody = Pad(np.repeat(RESTING.pressed[None], 3, 0), np.zeros((3, 2)), np.zeros((3, 2)))
    actions.write(proof.path(tasks.get(SHORT)), nobody)
    assert cli.main(["eval", "prove", SHORT, "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["tasks"]
    assert row["holds"] is False
    assert (row["proof"]["outcome"], row["idle"]["outcome"]) == ("failure", "failure")


@pytest.mark.needs("vizdoom")
def test_a_task_without_a_proof(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(proof, "FOLDER", tmp_path)
    assert cli.main(["eval", "prove", SHORT]) == 1
    told = capsys.readouterr()
    assert "WRONG" in told.out
    assert f"task {SHORT} has no proof" in told.err


def test_what_is_not_installed_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr(Task, "missing", lambda self: "It is not installed: apt install it")
    assert cli.main(["eval", "prove", SHORT]) == 1
    assert f"skipped {SHORT}: It is not installed: apt install it" in capsys.readouterr().err
    assert cli.main(["eval", "prove", SHORT, "--strict"]) == 2
    assert "apt install it" in capsys.readouterr().err
