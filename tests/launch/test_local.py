"""launch/local.sh: what it prints, and what it does with several processes."""

from __future__ import annotations

import os
import signal
import time

import pytest

CONFIG, OUT = "configs/tiny.py", "runs/a b"
TRAIN = ["train", "--config", CONFIG, "--out", OUT, "--resume"]


def test_a_dry_run_prints_the_command_and_does_nothing(stage, words):
    stage.tool("nvidia-smi")
    done = stage.run("local.sh", "--dry-run", CONFIG, OUT, "--a.b=[1, 2]", VENV="/v e")
    source, setup, train = words(done.stdout)
    assert source[0] == "source"
    assert source[1].endswith("launch/setup.sh")
    assert setup == ["setup_venv", "/v e", "jax"]
    assert train == ["exec", "/v e/bin/nitrogen", *TRAIN, "--a.b=[1, 2]"]
    assert [call[0] for call in stage.calls] == ["nvidia-smi"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("visible", "extra", "parts"),
    [
        ("0,1,2,3", (), ["0,1", "2,3"]),
        ("7,5", ("--extra", "cuda13"), ["7", "5"]),
        ("", (), [None, None]),
    ],
)
def test_a_dry_run_of_several_divides_the_gpus(stage, words, visible, extra, parts):
    options = ("--processes", "2", "--port", "23456", *extra)
    done = stage.run("local.sh", "--dry-run", *options, CONFIG, OUT, CUDA_VISIBLE_DEVICES=visible)
    _, setup, *trains = words(done.stdout)
    assert setup[2] == ("jax" if not visible else f"jax,{extra[1] if extra else 'cuda'}")
    assert len(trains) == 2
    for index, (train, part) in enumerate(zip(trains, parts, strict=True)):
        if part is not None:
            assert train[:2] == ["env", f"CUDA_VISIBLE_DEVICES={part}"]
        tail = ["--coordinator", "127.0.0.1:23456", "--processes", "2", "--process-id", str(index)]
        assert train[-12:] == [*TRAIN, *tail]


def test_gpus_are_asked_of_the_driver(stage, words):
    stage.tool("nvidia-smi", "printf '0\\n1\\n'")
    done = stage.run("local.sh", "--dry-run", "--processes", "2", CONFIG, OUT)
    assert [train[1] for train in words(done.stdout)[2:]] == [
        "CUDA_VISIBLE_DEVICES=0",
        "CUDA_VISIBLE_DEVICES=1",
    ]


def test_processes_must_divide_the_gpus(stage):
    done = stage.run("local.sh", "--processes", "3", CONFIG, OUT, CUDA_VISIBLE_DEVICES="0,1,2,3")
    assert done.returncode == 2
    assert "--processes 3 does not divide the 4 GPUs" in done.stderr


def test_the_port_goes_with_the_folder(stage, words):
    def port(out):
        done = stage.run("local.sh", "--dry-run", "--processes", "2", CONFIG, out)
        line = words(done.stdout)[-1]
        return line[line.index("--coordinator") + 1]

    assert port("runs/a") == port("runs/a") != port("runs/b")


@pytest.mark.parametrize("code", [0, 1, 2])
def test_one_process_ends_as_the_training_does(stage, code):
    stage.venv(f"exit {code}", "jax")
    done = stage.run("local.sh", CONFIG, OUT, "--x=1")
    assert done.returncode == code
    assert stage.calls[-1] == ["nitrogen", *TRAIN, "--x=1"]


def test_one_process_gets_the_signals(stage):
    stage.venv("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done", "jax")
    process = stage.start("local.sh", CONFIG, OUT)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_several_processes_run_together(stage):
    stage.venv('echo "$CUDA_VISIBLE_DEVICES"', "jax,cuda")
    options = ("--processes", "2", "--port", "23456")
    done = stage.run("local.sh", *options, CONFIG, OUT, CUDA_VISIBLE_DEVICES="4,5")
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == ["4", "5"]
    assert sorted(call[-1] for call in stage.calls if call[0] == "nitrogen") == ["0", "1"]


WAITS = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_all_save(stage, number):
    stage.venv(WAITS, "jax")
    process = stage.start("local.sh", "--processes", "2", CONFIG, OUT)
    assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert out.split() == ["saved", "saved"]
    assert process.returncode == 0


def test_when_one_fails_the_others_are_stopped(stage):
    fails = 'case "${!#}" in 1) sleep 0.3; exit 3;; esac; '
    stage.venv(fails + WAITS, "jax")
    done = stage.run("local.sh", "--processes", "3", CONFIG, OUT)
    assert done.returncode == 3
    assert done.stdout.split().count("saved") == 2
    assert "ended with 3: stopping the others" in done.stderr


def test_one_that_hangs_is_killed(stage):
    hangs = "trap '' TERM; echo $$; while :; do sleep 0.05; done"
    stage.venv(f'case "${{!#}}" in 1) sleep 0.3; exit 3;; esac; {hangs}', "jax")
    began = time.monotonic()
    done = stage.run("local.sh", "--processes", "2", "--grace", "1", CONFIG, OUT)
    assert done.returncode == 3
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout.split()[0]), 0)
