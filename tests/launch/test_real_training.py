"""The launchers with the real trainer: a sweep, and two processes over loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
CONFIG = """
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation


def config():
    return TrainConfig(
        task=PolicyTask(policy=policy_preset("test")),
        data=RecordsData(records="{records}"),
        steps=6,
        batch=4,
        optimizer=Optimizer(rate=1e-3, warmup=2),
        checkpoints=Keep(every=3),
        validation=Validation(every=None, batches=2),
        log_every=1,
    )
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config that trains in seconds on a small demonstration set."""
    folder = tmp_path_factory.mktemp("data")
    demo = ["data", "demo", str(folder / "demo"), "--videos", "3", "--seconds", "8"]
    demo += ["--rate", "30", "--size", "160x90", "--chunk-seconds", "8"]
    build = ["data", "build", "--labels", str(folder / "demo" / "labels")]
    build += ["--videos", str(folder / "demo" / "videos"), "--out", str(folder / "records")]
    build += ["--size", "32", "--split", "val=0.34"]
    for arguments in (demo, build):
        command = [sys.executable, "-m", "nitrogen_jax.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    path = folder / "config.py"
    path.write_text(CONFIG.format(records=folder / "records"))
    return path


def test_a_sweep_trains_and_is_taken_up(config, tmp_path, run_python):
    arguments = [str(ROOT / "launch" / "sweep.py"), "--config", str(config)]
    arguments += ["--out", str(tmp_path / "sweep"), "--grid", "optimizer.rate=1e-4,1e-2", "--json"]
    done = run_python(*arguments, timeout=800)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["metric"] == "validation.loss"
    assert [run["state"] for run in first["runs"]] == ["finished"] * 2
    assert [run["step"] for run in first["runs"]] == [6, 6]
    losses = [run["metrics"]["validation.loss"] for run in first["runs"]]
    assert losses[0] != losses[1]
    done = run_python(*arguments)
    assert json.loads(done.stdout) == first
    assert "2 of 2 runs are finished already" in done.stderr


def test_two_processes_over_loopback_train(config, tmp_path, stage):
    stage.venv(f'exec {sys.executable} -m nitrogen_jax.cli "$@"', "jax")
    options = ("--processes", "2", str(config), str(tmp_path / "run"))
    process = stage.start("local.sh", *options, CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")
    _, error = process.communicate(timeout=800)
    assert process.returncode == 0, error
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["state"], result["step"]) == ("finished", 6)
