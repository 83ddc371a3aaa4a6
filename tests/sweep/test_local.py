"""The queue on one machine, with a program that ends in every way a training can."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sweep import local, plan, states

FAKE = (sys.executable, str(Path(__file__).with_name("fake_nitrogen.py")))
ROOT = Path(__file__).parents[2]


def sweep(out, grid, **options):
    lines = []
    runs = plan.make_runs(grid)
    report = local.run_all(runs, "config.py", out, FAKE, say=lines.append, **options)
    return report, lines


def starts(out, name):
    return (out / name / "starts").read_text().splitlines()


def test_all_runs_run_and_tell(tmp_path):
    report, lines = sweep(tmp_path, ["rate=1,2,3"], slots=(None, None))
    assert report == local.Report({f"rate={n}": states.FINISHED for n in "123"})
    assert len(lines) == 3
    assert re.fullmatch(r"\[1/3\] rate=\d: finished in \d s; waiting: [01], ETA \d s", lines[0])
    assert lines[2].startswith("[3/3]")
    assert "ETA" not in lines[2]
    assert starts(tmp_path, "rate=2") == [
        f"train --config config.py --out {tmp_path}/rate=2 --resume --rate=2"
    ]
    assert (tmp_path / "logs" / "rate=2.log").read_text() == (
        f"gpus {os.environ.get('CUDA_VISIBLE_DEVICES')}\n"
    )


def test_a_failed_run_does_not_stop_the_others(tmp_path):
    report, lines = sweep(tmp_path, ["mode=fail,good"])
    assert report.states == {"mode=fail": states.FAILED, "mode=good": states.FINISHED}
    assert "exit code 3" in lines[0]
    assert str(tmp_path / "logs" / "mode=fail.log") in lines[0]


def test_it_goes_on_where_it_stopped(tmp_path):
    report, _ = sweep(tmp_path, ["mode=good,twice,fail"])
    assert report.states["mode=twice"] == states.UNFINISHED
    report, lines = sweep(tmp_path, ["mode=good,twice,fail"])
    assert report.states == {
        "mode=good": states.FINISHED,
        "mode=twice": states.FINISHED,
        "mode=fail": states.FAILED,
    }
    assert lines[0] == "1 of 3 runs are finished already"
    counts = [len(starts(tmp_path, f"mode={mode}")) for mode in ("good", "twice", "fail")]
    assert counts == [1, 2, 2]


def test_a_result_that_is_cut_off_is_no_result(tmp_path):
    sweep(tmp_path, ["rate=1"])
    result = tmp_path / "rate=1" / "result.json"
    result.write_text(result.read_text()[:-5])
    sweep(tmp_path, ["rate=1"])
    assert len(starts(tmp_path, "rate=1")) == 2


def test_each_place_has_its_gpus(tmp_path):
    sweep(tmp_path, ["rate=1,2,3,4"], slots=("0,1", "2,3"))
    seen = {(tmp_path / "logs" / f"rate={n}.log").read_text() for n in "1234"}
    assert seen == {"gpus 0,1\n", "gpus 2,3\n"}


@pytest.mark.parametrize(
    ("jobs", "environment", "gpus", "slots"),
    [
        (1, {}, 8, [None]),
        (2, {}, 0, [None, None]),
        (2, {}, 8, ["0,1,2,3", "4,5,6,7"]),
        (2, {"CUDA_VISIBLE_DEVICES": "3,5,7"}, 8, ["3", "5"]),
        (2, {"CUDA_VISIBLE_DEVICES": ""}, 8, [None, None]),
        (2, {"JAX_PLATFORMS": "cpu"}, 8, [None, None]),
    ],
)
def test_gpus_are_divided(jobs, environment, gpus, slots):
    assert local.gpu_slots(jobs, environment, lambda: gpus) == slots


def test_more_jobs_than_gpus_are_refused():
    with pytest.raises(NitrogenError, match="--jobs is 3, and there are 2 GPUs"):
        local.gpu_slots(3, {}, lambda: 2)


# Runs a sweep in a process that can be sent signals, and prints what it came to.
PROGRAM = """
import sys
from pathlib import Path
from nitrogen_jax.sweep import local, plan
out, grace, *grid = sys.argv[1:]
command = ({python!r}, {fake!r})
report = local.run_all(plan.make_runs(grid), "c.py", Path(out), command, (None, None),
                       grace=float(grace))
print(report.states, report.signal)
"""


def start(out, grid, grace=30):
    program = textwrap.dedent(PROGRAM).format(python=FAKE[0], fake=FAKE[1])
    return subprocess.Popen(
        [sys.executable, "-c", program, str(out), str(grace), *grid],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(*paths):
    deadline = time.monotonic() + 30
    while not all(path.exists() and path.stat().st_size for path in paths):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_runs_save(tmp_path, number):
    process = start(tmp_path, ["mode=slow", "rate=1,2,3"])
    folders = [tmp_path / f"mode=slow,rate={n}" for n in "123"]
    wait_for(folders[0] / "ready", folders[1] / "ready")
    process.send_signal(number)
    told, _ = process.communicate(timeout=30)
    states_ = {f"mode=slow,rate={n}": "unfinished" for n in "12"}
    assert told.strip() == f"{states_ | {'mode=slow,rate=3': 'not started'}} {int(number)}"
    assert all((folder / "saved").exists() for folder in folders[:2])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "logs",
        "mode=slow,rate=1",
        "mode=slow,rate=2",
    ]


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_does_not_save_is_ended(tmp_path, times):
    process = start(tmp_path, ["mode=stubborn"], grace=0.5 if times == 1 else 60)
    wait_for(tmp_path / "mode=stubborn" / "ready")
    for _ in range(times):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    told, _ = process.communicate(timeout=30)
    assert "failed" in told


def test_a_sweep_that_was_killed_is_not_taken_up_while_its_runs_go_on(tmp_path):
    process = start(tmp_path, ["mode=slow"])
    wait_for(tmp_path / "mode=slow" / "ready")
    process.kill()
    process.communicate()
    with pytest.raises(NitrogenError, match="is running"):
        sweep(tmp_path, ["rate=1"])
    os.kill(int((tmp_path / "mode=slow" / "ready").read_text()), signal.SIGTERM)
    wait_for(tmp_path / "mode=slow" / "saved")
    deadline = time.monotonic() + 10
    while True:
        try:
            report, _ = sweep(tmp_path, ["rate=1"])
            break
        except NitrogenError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert report.states == {"rate=1": states.FINISHED}


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.6, "5 s"), (185, "3 min 5 s"), (7400, "2 h 3 min")]
)
def test_durations(seconds, text):
    assert local.duration(seconds) == text


def test_another_config_in_the_same_folder_is_refused(tmp_path):
    states.remember(tmp_path, "a.py")
    states.remember(tmp_path, "a.py")
    with pytest.raises(NitrogenError, match=r"is a sweep of .*a\.py"):
        states.remember(tmp_path, "b.py")
