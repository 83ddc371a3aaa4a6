"""The loop itself, on a toy: what it writes and when, and how it ends where something is wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import jax
import numpy as np
import pytest

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("tensorboardX")

sys.path.insert(0, str(Path(__file__).parent))
import loop_child as runs
from loop_child import Keep, SignalData, ToyTask, Validation, config
from toys import ToyData, save_params

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import checkpoints, jsonl, loop, run_folder
from nitrogen_jax.training.start import Start


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def train(made, folder, **options):
    return loop.train(made, folder, view=False, **options)


def saves(folder):
    return [step for step, text in runs.events(folder) if text == "saved"]


def lines(folder, kind):
    return [line for line in jsonl.read(folder / "log.jsonl") if line["kind"] == kind]


# -- what is written


def test_a_run_and_what_it_leaves(tmp_path):
    made = config(
        data=ToyData(),
        log_every=6,
        checkpoints=Keep(every=6, newest=2, keep_every=12),
        validation=Validation(every=8, batches=1, trained=1),
    )
    result = train(made, tmp_path / "run", command=["nitrogen", "train", "x"])
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("config.json", "result.json", "log.jsonl", "tensorboard", "checkpoints")
    }
    assert sorted(int(path.name) for path in (tmp_path / "run/checkpoints").iterdir()) == [
        *(12, 18, 20)
    ]
    assert saves(tmp_path / "run") == [6, 12, 18, 20]
    assert list(runs.losses(tmp_path / "run")) == [1, 6, 12, 18, 20]
    found = lines(tmp_path / "run", "validation")
    assert [line["step"] for line in found] == [8, 16, 20, 20]
    assert [line.get("samples") for line in found] == [16, 16, 16, None]
    assert found[-1]["trained"]["loss"] < found[-2]["loss"]
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written.pop("seconds") > 0
    assert written == {"state": "finished", "step": 20, "metrics": result.metrics}
    assert result.metrics["train"]["loss"] == runs.losses(tmp_path / "run")[20]
    assert result.metrics["validation"]["loss"] == found[-2]["loss"]
    assert result.metrics["skipped"] == 0
    assert run_folder.plain(made) == json.loads((tmp_path / "run" / "config.json").read_text())
    first, counted, compiled = runs.events(tmp_path / "run")[:3]
    assert (first, counted[0], compiled) == ((0, "started"), 0, (0, "compiled"))


def test_a_checkpoint_says_what_it_is_of(tmp_path):
    made = config(data=ToyData(), steps=8)
    train(made, tmp_path)
    built = runs.build.build(made, runs.build.make_mesh(made))
    with checkpoints.Checkpoints(tmp_path / "checkpoints") as keeper:
        found = keeper.restore(runs.saved.like(built))
    assert found.metadata["nitrogen_jax"]["step"] == 8
    told = found.metadata["training"]
    assert told["data"] == {"position": 8}
    assert told["config"] == run_folder.plain(made)
    assert told["provenance"] == {"source": "random parameters, seed 0"}
    # Of the average, and not of the parameters that train.
    params, state = found.items["params"], runs.saved.state_of(built, found.items)
    ema = jax.tree.leaves(state.ema)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(params), ema, strict=True))
    assert not np.array_equal(ema[0], jax.tree.leaves(state.params)[0])


class CountingTask(ToyTask):
    """Counts how often its loss is traced."""

    traced: ClassVar[list[int]] = []

    def loss(self, params, batch, key):
        self.traced.append(1)
        return super().loss(params, batch, key)


def test_one_compilation_in_a_run(tmp_path, caplog):
    made = config(task=CountingTask(noise=0.2), data=ToyData(half_at=(3,), nan_at=(5,)))
    with caplog.at_level(logging.WARNING, "jax"), jax.log_compiles():
        train(made, tmp_path)
    assert len(CountingTask.traced) == 1
    told = [record.getMessage() for record in caplog.records]
    compiled = [line for line in told if line.startswith("Finished XLA compilation of jit(step)")]
    assert len(compiled) == 1, told


def test_start_and_its_notices(tmp_path):
    params = ToyTask().init(jax.random.key(7))
    save_params(tmp_path / "start.npz", params)
    made = config(steps=7, start=Start(checkpoint=str(tmp_path / "start.npz")))
    train(made, tmp_path / "run")
    assert (0, "started from a file") in runs.events(tmp_path / "run")
    (tmp_path / "start.npz").unlink()  # which a resume does not need
    train(dataclasses.replace(made, steps=9), tmp_path / "run", resume=True)
    assert [text for _, text in runs.events(tmp_path / "run")].count("started from a file") == 1


# -- when it saves


class Clock:
    """Time that passes by a second with each batch."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: self.now))
        follow = runs.SignalSource.__next__

        def following(source):
            self.now += 1
            return follow(source)

        monkeypatch.setattr(runs.SignalSource, "__next__", following)


def test_saves_by_time(tmp_path, monkeypatch):
    """Each is noticed at a step, made after the next one, and counts from there."""
    Clock(monkeypatch)
    train(config(checkpoints=Keep(every=None, minutes=4.5 / 60)), tmp_path)
    assert saves(tmp_path) == [6, 12, 18, 20]


def test_saves_by_time_and_by_steps(tmp_path, monkeypatch):
    Clock(monkeypatch)
    train(config(checkpoints=Keep(every=7, minutes=4.5 / 60)), tmp_path)
    assert saves(tmp_path) == [6, 7, 13, 14, 20]


def test_a_step_is_logged_before_it_is_saved(tmp_path):
    """Or else a run that is killed after the save would miss the line."""
    train(config(validation=Validation(every=6, batches=1)), tmp_path)
    log = jsonl.read(tmp_path / "log.jsonl")
    found = [(line["step"], line.get("text", line["kind"])) for line in log]
    at = found.index((6, "train"))
    assert found[at : at + 4] == [(6, "train"), (6, "saved"), (6, "validation"), (7, "train")]


# -- what is not finite or not there


def test_a_loss_that_is_not_finite_is_skipped(tmp_path):
    result = train(config(data=ToyData(nan_at=(4, 5, 11))), tmp_path)
    assert (result.step, result.metrics["skipped"]) == (20, 3)
    found = [(step, text) for step, text in runs.events(tmp_path) if "skipped" in text]
    assert [step for step, _ in found] == [5, 6, 12]
    assert found[0][1].startswith("skipped: step 5: the loss is nan and the norm of its gradient ")
    toy = ToyData().at(4, 16, 0)["x"][0, 1]
    assert f"the batch was toy {toy:.6f}, row 0; toy " in found[0][1]
    assert found[0][1].endswith("; and 13 more")
    counts = {line["step"]: line["skipped"] for line in lines(tmp_path, "train")}
    assert [counts[step] for step in (4, 5, 6, 11, 12, 20)] == [0, 1, 2, 2, 3, 3]
    assert runs.losses(tmp_path)[5] is None
    assert all(np.isfinite(a).all() for a in runs.arrays(config(), tmp_path, 20).values())


def test_a_skipped_batch_changes_nothing_but_the_counters(tmp_path):
    made = config(data=ToyData(nan_at=(6,)), checkpoints=Keep(every=1, newest=20), steps=9)
    train(made, tmp_path)
    before, after = (runs.arrays(made, tmp_path, step) for step in (6, 7))
    different = {name for name in before if not np.array_equal(before[name], after[name])}
    assert different == {"['step']", "['skipped']"}


def test_stop_where_the_loss_is_not_finite(tmp_path):
    made = config(data=ToyData(nan_at=(11,)), nonfinite="stop")
    with pytest.raises(loop.Stopped, match=r"^step 12: the loss is nan .* the batch was toy "):
        train(made, tmp_path)
    # The step at which it was due is not saved as if it were good.
    assert saves(tmp_path) == [6]
    assert not (tmp_path / run_folder.RESULT).exists()
    assert runs.events(tmp_path)[-1][1] == "ended"


@pytest.mark.parametrize("limit", [1, 3])
def test_too_many_in_a_row_are_skipped(tmp_path, limit):
    made = config(data=ToyData(nan_at=(2, 4, 5, 7, 8, 9)), max_skipped=limit)
    step = {1: 3, 3: 10}[limit]
    match = rf"^{limit} updates in a row were skipped, the last one at step {step}: the loss is nan"
    with pytest.raises(loop.Stopped, match=match):
        train(made, tmp_path)


def test_in_a_row_also_over_a_resume(tmp_path):
    """What was skipped before is remembered, and is not taken for new."""
    made = config(data=ToyData(nan_at=(2, 3, 4)), steps=7, max_skipped=4)
    train(made, tmp_path)
    made = config(data=ToyData(nan_at=(2, 3, 4, 7)), max_skipped=2)
    result = train(made, tmp_path, resume=True)
    assert result.metrics["skipped"] == 4
    assert [step for step, text in runs.events(tmp_path) if "skipped:" in text] == [3, 4, 5, 8]


@pytest.mark.parametrize("nonfinite", ["skip", "stop"])
def test_a_batch_of_which_nothing_is_valid(tmp_path, nonfinite):
    made = config(data=ToyData(invalid_at=(8,)), nonfinite=nonfinite)
    with pytest.raises(loop.Stopped, match=r"^step 9: no sample of the batch is valid.* toy .*row"):
        train(made, tmp_path)


def test_samples_that_are_not_valid_do_not_count(tmp_path):
    train(config(data=ToyData(half_at=(4,)), steps=7), tmp_path)
    found = {line["step"]: (line["loss"], line["weight"]) for line in lines(tmp_path, "train")}
    assert found[4][1] == 32
    assert found[5][1] == 16
    assert found[5][0] < 10  # the others have values of a million


@dataclasses.dataclass(frozen=True)
class Ending(SignalData):
    """Has an end, and tells which streams were opened."""

    end: int | None = None

    def open(self, task, batch, **options):
        source = super().open(task, batch, **options)
        source.count = self.end
        OPENED.append(source)
        return source


OPENED: list = []


def test_data_that_ends(tmp_path):
    with pytest.raises(loop.Stopped, match=r"^step 8: there is no more data$"):
        train(config(data=Ending(end=7)), tmp_path)
    assert OPENED[-1].closed


def test_data_that_fails(tmp_path):
    with pytest.raises(loop.Stopped, match=r"^step 4: the data has gone$"):
        train(config(data=Ending(signal=0, signal_at=3)), tmp_path)
    assert OPENED[-1].closed


# -- disks


def test_a_full_disk_does_not_end_a_run(tmp_path, monkeypatch, caplog):
    begin = checkpoints.orbax.start

    def full(path, items, note):
        if note["training"]["step"] == 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return begin(path, items, note)

    monkeypatch.setattr(checkpoints.orbax, "start", full)
    assert train(config(), tmp_path).state == "finished"
    assert "the checkpoint of step 12 could not be written" in caplog.text
    assert "No space left on device; the last one is of step 6" in caplog.text
    assert (18, "a checkpoint could not be written") in runs.events(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["18", "20"]


def test_files_that_cannot_grow(tmp_path, monkeypatch, caplog):
    """The same by the system, for real, in the background; at the end it cannot be overlooked."""
    begin, limits = checkpoints.orbax.start, resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def small(path, items, note):
        if note["training"]["step"] == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
        return begin(path, items, note)

    monkeypatch.setattr(checkpoints.orbax, "start", small)
    try:
        with pytest.raises(loop.Stopped, match=r"^step 20 is done, and no checkpoint of it could"):
            train(config(), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "the checkpoint of step 20 could not be written" in caplog.text
    assert not (tmp_path / "run" / run_folder.RESULT).exists()
    monkeypatch.setattr(checkpoints.orbax, "start", begin)
    assert train(config(), tmp_path / "run", resume=True).state == "finished"


# -- Ctrl-C


def test_the_second_ctrl_c_ends_at_once(tmp_path, monkeypatch):
    """Everything is closed, and nothing more is saved."""
    monkeypatch.setattr(
        loop, "_validate", lambda *a, **k: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]
    )
    made = config(validation=Validation(every=8, batches=1), data=Ending())
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(made, tmp_path)
    assert OPENED[-1].closed
    assert saves(tmp_path) == [6]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_signal_while_it_compiles(tmp_path, monkeypatch):
    """It is not lost: the run ends as soon as it can, having saved."""
    before = runs.build.Built.lower

    def lower(built):
        os.kill(os.getpid(), signal.SIGTERM)
        return before(built)

    monkeypatch.setattr(runs.build.Built, "lower", lower)
    result = train(config(), tmp_path)
    assert (result.state, result.step) == ("stopped", 2)
    assert saves(tmp_path) == [2]


def test_a_signal_before_the_first_step(tmp_path, monkeypatch):
    """There is nothing to save yet, and nothing is compiled."""
    before = loop.begin

    def begin(built):
        os.kill(os.getpid(), signal.SIGTERM)
        return before(built)

    monkeypatch.setattr(loop, "begin", begin)
    monkeypatch.setattr(runs.build.Built, "lower", lambda built: pytest.fail("it compiles"))
    result = train(config(), tmp_path)
    assert (result.state, result.step) == ("stopped", 0)
    assert saves(tmp_path) == []


def test_a_signal_while_it_validates(tmp_path, monkeypatch):
    evaluate = ToyTask.evaluate

    def slow(task, *rest):
        os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(task, *rest)

    monkeypatch.setattr(ToyTask, "evaluate", slow)
    made = config(validation=Validation(every=8, batches=1))
    result = train(made, tmp_path)
    assert (result.state, result.step) == ("stopped", 10)
    assert [line["step"] for line in lines(tmp_path, "validation")] == [8]


# -- what is refused


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch": 0}, "config: batch is 0"),
        ({"mesh": runs.MeshShape(fsdp=3)}, r"3.* 1 device|1 device.*3"),
        ({"mesh": runs.MeshShape(data=2)}, "mesh.data 2 x mesh.fsdp 1 is 2, and there are 1 dev"),
        ({"batch": 10, "accumulate": 4}, "config: batch 10 is not a multiple of accumulate 4"),
    ],
)
def test_configs_that_make_no_sense(tmp_path, changes, sentence):
    with pytest.raises(NitrogenError, match=sentence) as caught:
        train(config(**changes), tmp_path / "run")
    assert not isinstance(caught.value, loop.Stopped)
    assert not (tmp_path / "run").exists()


def test_a_resume_with_another_network(tmp_path):
    """Every array by its path; and what is there stays."""
    train(config(steps=7), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NitrogenError) as caught:
        train(config(task=ToyTask(width=32)), tmp_path, resume=True)
    told = str(caught.value)
    for name in ("first/kernel is (8, 64), needed (8, 32)", "middle/bias is (64,), needed (32,)"):
        assert f"mis-shaped: params/{name}" in told
        assert f"mis-shaped: state/params/{name}" in told
    assert "mis-shaped: state/opt/1/mu/last/kernel is (64, 2), needed (32, 2)" in told
    assert sorted(tmp_path.rglob("*")) == [
        path for path in before if path.name != run_folder.RESULT
    ]
