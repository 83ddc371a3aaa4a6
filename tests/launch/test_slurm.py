"""launch/slurm.sbatch: what it submits, what the job runs, and when it goes back into the queue."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = "configs/tiny.py"
JOB = {
    "SLURM_JOB_ID": "77",
    "SLURM_JOB_NUM_NODES": "4",
    "SLURM_CPUS_ON_NODE": "64",
    "SLURM_GPUS_ON_NODE": "8",
}


def test_a_dry_run_prints_submission_and_step(stage, words):
    options = ("--nodes", "4", "--gpus", "8", "--sbatch", "--partition=a b", "--extra", "cuda13")
    done = stage.run("slurm.sbatch", "--dry-run", *options, CONFIG, "runs/a b", "--x=1", VENV="/v")
    source, setup, submit, step, requeue = words(done.stdout)
    assert source == ["source", f"{ROOT}/launch/setup.sh"]
    assert setup == ["setup_venv", "/v", "jax,cuda13"]
    script = f"{ROOT}/launch/slurm.sbatch"
    assert submit == [
        *("env", f"NITROGEN_ROOT={ROOT}", "VENV=/v", "sbatch", "--nodes=4", "--gpus-per-node=8"),
        *("--partition=a b", script, "--extra", "cuda13", CONFIG, "runs/a b", "--x=1"),
    ]
    assert step[:5] == [
        *("srun", "--nodes=4", "--ntasks-per-node=1", "--cpus-per-task=CPUS"),
        "--kill-on-bad-exit=1",
    ]
    assert step[5:] == [
        *("/v/bin/nitrogen", "train", "--config", CONFIG, "--out", "runs/a b", "--resume", "--x=1")
    ]
    assert requeue == ["scontrol", "requeue", "JOB"]
    assert "# on SIGTERM: scancel --signal=TERM JOB" in done.stdout
    assert stage.calls == []


@pytest.mark.parametrize(
    ("options", "tasks", "cpus"), [((), "1", "64"), (("--per-gpu",), "8", "8")]
)
def test_a_dry_run_in_a_job_prints_its_numbers(stage, words, options, tasks, cpus):
    done = stage.run("slurm.sbatch", "--dry-run", *options, CONFIG, "runs/a", **JOB)
    step = words(done.stdout)[2]
    assert step[:4] == [
        *("srun", "--nodes=4", f"--ntasks-per-node={tasks}", f"--cpus-per-task={cpus}")
    ]
    assert words(done.stdout)[3] == ["scontrol", "requeue", "77"]
    assert stage.calls == []


def test_it_submits(stage):
    stage.venv("", "jax,cuda")
    stage.tool("sbatch", "echo Submitted batch job 77")
    done = stage.run("slurm.sbatch", "--nodes", "2", CONFIG, "runs/a")
    assert done.returncode == 0
    assert done.stdout == "Submitted batch job 77\n"
    assert stage.calls == [["sbatch", "--nodes=2", f"{ROOT}/launch/slurm.sbatch", CONFIG, "runs/a"]]


def test_one_process_a_gpu_needs_gpus(stage):
    done = stage.run("slurm.sbatch", "--per-gpu", CONFIG, "runs/a")
    assert (done.returncode, "--per-gpu needs --gpus" in done.stderr) == (2, True)


def test_slurm_reads_its_options():
    lines = (ROOT / "launch" / "slurm.sbatch").read_text().splitlines()
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    found = {line for line in lines[:first_command] if line.startswith("#SBATCH ")}
    assert {"#SBATCH --requeue", "#SBATCH --signal=B:TERM@120"} <= found


@pytest.fixture
def job(stage):
    """In a job whose `srun` runs what it is given, once."""
    stage.venv("", "jax,cuda")
    stage.tool("srun", 'while [[ $1 == --* ]]; do shift; done; "$@"')
    stage.tool("squeue", "echo RUNNING")
    stage.tool("scontrol")
    stage.environment |= JOB
    return stage


def names(stage):
    return [call[0] for call in stage.calls]


def test_a_finished_training_does_not_go_back(job, tmp_path):
    out = tmp_path / "run"
    result = json.dumps({"state": "finished"}, indent=1)
    job.venv(f"mkdir -p {out}; echo '{result}' >{out}/result.json", "jax,cuda")
    done = job.run("slurm.sbatch", CONFIG, str(out))
    assert done.returncode == 0
    assert names(job) == ["srun", "nitrogen"]


def test_a_saved_training_goes_back(job, tmp_path):
    done = job.run("slurm.sbatch", CONFIG, str(tmp_path / "run"))
    assert done.returncode == 0
    assert names(job) == ["srun", "nitrogen", "squeue", "scontrol"]
    assert job.calls[-1] == ["scontrol", "requeue", "77"]


@pytest.mark.parametrize("code", [1, 2, 137])
def test_a_training_that_fails_does_not_go_back(job, tmp_path, code):
    job.venv(f"exit {code}", "jax,cuda")
    done = job.run("slurm.sbatch", CONFIG, str(tmp_path / "run"))
    assert done.returncode == code
    assert "scontrol" not in names(job)


def test_a_cancelled_job_does_not_go_back(job, tmp_path):
    job.tool("squeue", "echo CANCELLED")
    done = job.run("slurm.sbatch", CONFIG, str(tmp_path / "run"))
    assert "the job is CANCELLED" in done.stdout
    assert "scontrol" not in names(job)


def test_it_does_not_go_back_for_ever(job, tmp_path):
    options = ("--restarts", "3", CONFIG, str(tmp_path / "run"))
    assert job.run("slurm.sbatch", *options, SLURM_RESTART_COUNT="2").returncode == 0
    done = job.run("slurm.sbatch", *options, SLURM_RESTART_COUNT="3")
    assert done.returncode == 1
    assert "not finished after 3 restarts" in done.stderr


def test_sigterm_reaches_the_step_and_the_job_goes_back(job, tmp_path):
    pid = tmp_path / "pid"
    job.venv(f"echo $$ >{pid}; trap 'exit 0' TERM; while :; do sleep 0.05; done", "jax,cuda")
    job.tool("scancel", f"kill -TERM $(cat {pid})")
    process = job.start("slurm.sbatch", CONFIG, str(tmp_path / "run"))
    job.wait_for_call("nitrogen")
    while not pid.exists() or not pid.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert ["scancel", "--signal=TERM", "77"] in job.calls
    assert job.calls[-1] == ["scontrol", "requeue", "77"]


def test_slurms_copy_of_the_script_finds_the_checkout(job, tmp_path):
    copy = tmp_path / "spool" / "slurm_script"
    copy.parent.mkdir()
    copy.write_text((ROOT / "launch" / "slurm.sbatch").read_text())
    for environment in ({"SLURM_SUBMIT_DIR": str(ROOT)}, {"NITROGEN_ROOT": str(ROOT)}):
        done = job.run(str(copy), "--dry-run", CONFIG, "runs/a", **environment)
        assert re.search(rf"^source {re.escape(str(ROOT))}/launch/setup.sh$", done.stdout, re.M)
