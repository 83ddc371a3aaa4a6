"""The one object the loop talks to: files, view and meter at once, and its silent twin."""

from __future__ import annotations

import inspect
import json
import time

import jax
import jax.numpy as jnp
import pytest

pytest.importorskip("tensorboardX")
from nitrogen_jax.training import jsonl, logs
from nitrogen_jax.training.compiled import describe_compiled, memory
from nitrogen_jax.training.throughput import Meter

FOUND = {
    "loss": 0.25,
    "samples": 40,
    "overall": {"buttons": {"accuracy": 0.5, "micro_f1": 0.75}, "sticks": {"left": {"r2": None}}},
}


def run(folder, steps=range(1, 7), start=0, total=6, page=False, **options):
    """A small training as the loop tells it."""
    meter = Meter(8, flops_per_sample=1e6, peak=1e12)
    options = {"command": ["nitrogen", "train"], **options}
    with logs.open_log(folder, total, meter=meter, start=start, **options) as log:
        with log.outside("compiling"):
            program = jax.jit(lambda x: x @ x).lower(jnp.ones((8, 8))).compile()
        log.compiled(program, start)
        for step in steps:
            with log.waiting(None):
                pass
            log.step_done()
            log.train(step, {"loss": jnp.float32(1 / step), "grad_norm": jnp.nan, "skipped": 0})
            if step == 3:
                with log.outside("validation"):
                    time.sleep(0.01)
                log.validation(step, FOUND)
                log.saved(step)
        log.close(page)
    return log


def test_a_run(tmp_path, capsys):
    run(tmp_path, every=0, page=True)
    lines = jsonl.read(tmp_path / "log.jsonl")
    first, compiled, *rest, last = lines
    assert first["text"] == "started"
    assert first["command"] == ["nitrogen", "train"]
    assert first["machine"]["platform"] == "cpu"
    assert first["versions"]["jax"] == jax.__version__
    assert compiled["flops"] >= 2 * 8**3
    assert [line["step"] for line in rest if line["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert last["text"] == "ended"
    assert last["steps"] == 6
    train = [line for line in lines if line["kind"] == "train"]
    assert train[1]["loss"] == 0.5
    assert train[1]["grad_norm"] is None
    assert train[1]["samples_per_s"] > 0
    assert train[1]["host_memory_mib"] > 10
    assert 0.01 <= train[3]["seconds_apart"]["validation"] < 5
    (validation,) = (line for line in lines if line["kind"] == "validation")
    assert validation["overall"] == FOUND["overall"]
    assert (tmp_path / "curves.html").stat().st_size > 1000
    told = capsys.readouterr()
    assert told.out == ""
    for part in (
        "step 1/6",
        "a compiled step, per device",
        "validation after step 3: loss 0.25, overall/buttons/micro_f1 0.75",
        "checkpoint step 3",
    ):
        assert part in told.err


def test_the_event_file_says_the_same(tmp_path):
    run(tmp_path)
    raw = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    for name in (b"train/loss", b"train/samples_per_s", b"validation/overall/buttons/micro_f1"):
        assert name in raw
    assert b"validation/overall/sticks/left/r2" not in raw  # it was None


def test_a_resumed_run_reads_as_one(tmp_path):
    run(tmp_path, range(1, 6))
    run(tmp_path, range(4, 7), start=3)
    lines = jsonl.read(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    told = [line["text"] for line in lines if line["kind"] == "event" and "command" in line]
    assert told == ["started", "resumed"]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_all_processes_but_the_first_keep_silent(tmp_path, capsys):
    log = run(tmp_path, main=False)
    assert type(log) is logs.QuietLog
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_the_twins_are_called_alike():
    def public(kind):
        return {
            name: [*inspect.signature(method).parameters]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert public(logs.QuietLog) == public(logs.RunLog)


@pytest.mark.parametrize(
    ("error", "page"), [(RuntimeError, True), (KeyboardInterrupt, False), (SystemExit, False)]
)
def test_whatever_ends_a_run(tmp_path, error, page):
    def fail():
        with logs.open_log(tmp_path, 9, meter=Meter(1)) as log:
            log.train(1, {"loss": 1.0})
            raise error

    with pytest.raises(error):
        fail()
    assert (tmp_path / "curves.html").exists() == page
    assert jsonl.read(tmp_path / "log.jsonl")[-1]["text"] == "ended"


def test_closing_twice(tmp_path):
    log = run(tmp_path)
    log.close()
    assert not (tmp_path / "curves.html").exists()
    assert [line.get("text") for line in jsonl.read(tmp_path / "log.jsonl")].count("ended") == 1


def test_a_page_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    def fail(folder):
        raise OSError("no space left")

    monkeypatch.setattr("nitrogen_jax.report.curves.write_curves", fail)
    run(tmp_path, page=True)
    assert "no page of curves: no space left" in caplog.text


def test_nothing_is_shown_if_not_asked_for(tmp_path, capsys):
    run(tmp_path, view=False)
    assert capsys.readouterr() == ("", "")


def test_the_smoothed_loss_is_no_average_with_what_was_never_there(tmp_path):
    with logs.open_log(tmp_path, 9, meter=Meter(1), view=False) as log:
        for step, loss in enumerate([4.0, 4.0, float("nan"), 4.0], 1):
            log.train(step, {"loss": loss})
            assert log.status.smooth_loss == pytest.approx(4)
        log.train(5, {"loss": 2.0})
        assert 3 < log.status.smooth_loss < 4


def test_headline():
    assert logs.headline(FOUND) == "loss 0.25, overall/buttons/micro_f1 0.75"
    assert logs.headline({"samples": 3, "a": 0.5, "b": {"c": 1.5}}) == "a 0.5, b/c 1.5"
    assert logs.headline({"samples": 3}) == "no metrics"


def test_what_the_compiler_says():
    compiled = jax.jit(lambda x: (x @ x).sum()).lower(jnp.ones((128, 128))).compile()
    found = describe_compiled(compiled)
    assert found["flops"] == pytest.approx(2 * 128**3, rel=0.05)
    assert found["argument_mib"] == 128 * 128 * 4 / 2**20
    assert found["peak_mib"] >= found["argument_mib"] + found["temporary_mib"] > 0
    assert found["bytes_accessed"] >= 128 * 128 * 4
    assert json.loads(json.dumps(found)) == found


class Silent:
    """A program of a back end that tells nothing, or refuses to."""

    def cost_analysis(self):
        return None

    def memory_analysis(self):
        raise NotImplementedError


def test_a_back_end_that_says_nothing(tmp_path, capsys):
    assert set(describe_compiled(Silent()).values()) == {None}
    with logs.open_log(tmp_path, 1, meter=Meter(1)) as log:
        log.compiled(Silent())
    assert "nothing is known" in capsys.readouterr().err


def test_memory_of_a_device_that_tells(monkeypatch):
    class Device:
        def memory_stats(self):
            return {"bytes_in_use": 2**30, "bytes_limit": 2**31}

    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    found = memory()
    assert found["device_memory_mib"] == 1024
    assert found["device_limit_mib"] == 2048
    assert "device_peak_mib" not in found
