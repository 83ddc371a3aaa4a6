"""A run that is stopped in whatever way and taken up again is the run that was never stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("tensorboardX")

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parent))
import loop_child as runs
from loop_child import SignalData, config

from nitrogen_jax.config import load
from nitrogen_jax.training import loop, run_folder


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def train(made, folder, **options):
    return loop.train(made, folder, view=False, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 20 steps that nobody stops."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = train(config(), folder)
    assert (result.state, result.step, result.interrupted) == ("finished", 20, False)
    return folder


@pytest.fixture(scope="module")
def right(whole):
    """What that run has at its end: all arrays."""
    return runs.arrays(config(), whole, 20)


def check_same(folder, whole, right):
    """The run in `folder` ended as the one that nobody stopped."""
    assert runs.losses(folder) == runs.losses(whole)
    assert list(runs.losses(folder)) == list(range(1, 21))
    assert runs.same(runs.arrays(config(), folder, 20), right)
    result = json.loads((folder / run_folder.RESULT).read_text())
    assert (result["state"], result["step"]) == ("finished", 20)
    assert not list((folder / "checkpoints").glob(".tmp*"))


def test_runs_differ_where_they_should(whole, right, tmp_path):
    """The comparison of this file can tell runs apart: another seed, and one batch left out."""
    train(config(seed=1), tmp_path / "seed")
    other = runs.losses(tmp_path / "seed")
    assert not set(other.values()) & set(runs.losses(whole).values())
    assert not runs.same(runs.arrays(config(), tmp_path / "seed", 20), right)


# Batch at which a signal comes -> the step after which the run stops. The step carries the news to
# the next one; where a checkpoint is due, it is read at once.
STOPS = {0: 2, 5: 6, 16: 18}


@pytest.mark.parametrize("at", STOPS)
def test_stopped_by_a_signal(whole, right, tmp_path, at):
    result = train(config(data=SignalData(signal_at=at)), tmp_path)
    assert (result.state, result.interrupted) == ("stopped", False)
    assert result.step == STOPS[at]
    assert list(runs.losses(tmp_path)) == list(range(1, result.step + 1))
    assert not (tmp_path / run_folder.RESULT).exists()
    assert runs.events(tmp_path).count((result.step, "saved")) == 1
    assert (result.step, "stopped, as asked to") in runs.events(tmp_path)
    assert train(config(), tmp_path, resume=True).state == "finished"
    check_same(tmp_path, whole, right)


def test_stopped_at_the_last_step(whole, right, tmp_path):
    """A signal that comes too late to change anything: the run has finished."""
    result = train(config(data=SignalData(signal_at=19)), tmp_path)
    assert (result.state, result.step) == ("finished", 20)
    check_same(tmp_path, whole, right)


def test_stopped_again_and_again(whole, right, tmp_path):
    for at, step in {3: 5, 11: 12, 13: 15}.items():
        result = train(config(data=SignalData(signal_at=at)), tmp_path, resume=True)
        assert (result.state, result.step) == ("stopped", step)
    train(config(), tmp_path, resume=True)
    check_same(tmp_path, whole, right)


# How a process ends: the signal or the moment in the save of a step, the exit code, and the steps
# of which there are whole checkpoints then.
ENDS = {
    "sigterm": ({"signal": signal.SIGTERM, "at": 7}, 0, [6, 9]),
    "ctrl-c": ({"signal": signal.SIGINT, "at": 7}, 130, [6, 9]),
    "killed": ({"signal": signal.SIGKILL, "at": 9}, -9, [6]),
    "started": ({"die": ("started", 12)}, -9, [6]),
    "writing": ({"die": ("writing", 12)}, -9, [6]),
    "sealed": ({"die": ("sealed", 12)}, -9, [6]),
    "named": ({"die": ("named", 12)}, -9, [6, 12]),
    "the first": ({"die": ("writing", 6)}, -9, []),
}


@pytest.fixture(scope="module")
def ends(quick, tmp_path_factory):
    """The folders of runs that ended in these ways, with exit codes and standard errors."""
    root = tmp_path_factory.mktemp("ends")
    file = runs.config_file(root)
    found = {}
    with runs.Warm() as warm:
        for name, (how, _, _) in ENDS.items():
            argv = ["train", "--config", file, "--out", root / name, "--quiet"]
            argv.append("--checkpoints.newest=3")
            if "signal" in how:
                argv += [f"--data.signal={int(how['signal'])}", f"--data.signal_at={how['at']}"]
            [found[name]] = warm.run(argv, die=how.get("die"))
    return root, found


@pytest.mark.parametrize("name", ENDS)
def test_a_process_that_ended_is_taken_up(name, ends, whole, right, tmp_path):
    root, found = ends
    _, code, steps = ENDS[name]
    assert found[name][0] == code, found[name][2]
    assert "Traceback" not in found[name][2]
    folder = root / name
    with runs.checkpoints.Checkpoints(folder / "checkpoints") as keeper:
        there = keeper.steps()
    # A save goes on beside the next steps: this one may be killed in the middle, too.
    assert there == steps or (name == "killed" and there == []), there
    assert not (folder / run_folder.RESULT).exists()
    train(config(), folder, resume=True, command=["again"])
    resumed = [step for step, text in runs.events(folder) if text == "resumed"]
    assert resumed == there[-1:]
    check_same(folder, whole, right)


def test_the_newest_checkpoint_is_corrupt(whole, right, tmp_path, caplog):
    folder = tmp_path / "run"
    train(config(data=SignalData(signal_at=12)), folder)
    newest = folder / "checkpoints" / "14"
    victim = max(newest.rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-7])
    train(config(), folder, resume=True)
    assert f"{newest} is damaged and passed over" in caplog.text
    assert (12, "resumed") in runs.events(folder)
    check_same(folder, whole, right)


def test_more_steps_on_resume(tmp_path):
    """With a rate that does not depend on the number of steps, as many as one wants."""
    made = config(optimizer=runs.Optimizer(rate=0.01, warmup=2, ema=0.9))
    train(dataclasses.replace(made, steps=20), tmp_path / "whole")
    train(dataclasses.replace(made, steps=9), tmp_path / "more")
    assert (tmp_path / "more" / run_folder.RESULT).exists()
    train(dataclasses.replace(made, steps=20), tmp_path / "more", resume=True)
    assert (9, "resumed with another config: steps was 9 and is 20") in runs.events(
        tmp_path / "more"
    )
    whole = tmp_path / "whole"
    check_same(tmp_path / "more", whole, runs.arrays(made, whole, 20))


def test_a_finished_run_has_nothing_left_to_do(whole, tmp_path, caplog, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(loop, "begin", lambda built: pytest.fail("it began"))
    monkeypatch.setattr(loop, "Checkpoints", lambda *a, **k: pytest.fail("it read a checkpoint"))
    result = train(config(), folder, resume=True)
    assert (result.state, result.step) == ("finished", 20)
    assert result.metrics["train"]["loss"] == runs.losses(whole)[20]
    assert f"{folder} has finished: there is nothing to do" in caplog.text
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_killed_between_the_last_step_and_the_result(whole, right, tmp_path):
    """Validation is done once more, and no step."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / run_folder.RESULT).unlink()
    result = train(config(validation=runs.Validation(every=None)), folder, resume=True)
    assert result.metrics["validation"]["samples"] == 32
    assert json.loads((folder / run_folder.RESULT).read_text())["metrics"] == result.metrics
    assert "compiled" not in [text for step, text in runs.events(folder)[-4:]]
    check_same(folder, whole, right)


# -- the policy and its records


def test_the_policy_on_records(tmp_path, monkeypatch):
    """20 steps are 8 steps, and 12 with another number of processes that read.

    Noise, times, dropout and the order of samples all count.
    """
    pytest.importorskip("pyarrow")
    import record_sets

    folder = record_sets.write_set(tmp_path / "records", record_sets.RECORDINGS[:4])
    values = [f"--data.records={folder}", "--data.validation=None"]
    made = load(runs.policy_file(tmp_path), values)
    train(made, tmp_path / "whole")
    draw, seen = loop._next, []

    def drawn(source, step):
        if len(seen) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        batch = draw(source, step)
        seen.append([source.provenance(batch, at) for at in range(8)])
        return batch

    monkeypatch.setattr(loop, "_next", drawn)
    assert train(made, tmp_path / "run").step == 8
    other = dataclasses.replace(made, data=dataclasses.replace(made.data, workers=1))
    train(other, tmp_path / "run", resume=True)
    assert (8, "resumed with another config: data.workers was 0 and is 1") in runs.events(
        tmp_path / "run"
    )
    assert runs.losses(tmp_path / "run") == runs.losses(tmp_path / "whole")
    assert runs.same(*(runs.arrays(made, tmp_path / name, 20) for name in ("run", "whole")))
    # What was trained on is what the loader gives, in its order.
    fitted = made.data.fit(made.task)
    with made.data.open(fitted, 8, seed=made.seed) as source:
        batches = [next(source) for _ in range(20)]
        wanted = [[source.provenance(one, at) for at in range(8)] for one in batches]
    assert seen == wanted
    assert len({json.dumps(one) for batch in seen for one in batch}) > 100
