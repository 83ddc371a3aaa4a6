"""launch/sweep.py from the command line: dry runs, a whole sweep, SLURM."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKE = (sys.executable, str(ROOT / "tests" / "sweep" / "fake_nitrogen.py"))
CONFIG = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Train:
    rate: float = 0.1
    mode: str = "good"
    seed: int = 0

def config():
    return Train()
"""


@pytest.fixture(scope="module")
def sweep():
    spec = importlib.util.spec_from_file_location("sweep", ROOT / "launch" / "sweep.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A config, and the options that name it and a folder."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    return ["--config", str(path), "--out", str(tmp_path / "out")]


def test_help_comes_as_a_program():
    done = subprocess.run(
        [ROOT / "launch" / "sweep.py", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0
    for option in ("--grid", "--list", "--seeds", "--jobs", "--slurm", "--dry-run", "--metric"):
        assert option in done.stdout


def test_a_dry_run_prints_every_command_and_does_nothing(sweep, given, capsys, tmp_path):
    grid = ["--grid", "rate=1,2", "--grid", "mode=good,'a b'"]
    assert sweep.main([*given, *grid, "--dry-run", "--jobs", "2"], FAKE) == 0
    lines = capsys.readouterr().out.splitlines()
    out = tmp_path / "out"
    name = "mode=good,rate=2"
    assert lines[0] == "# 4 runs, 2 at a time"
    assert shlex.split(lines[3]) == [
        *(*FAKE, "train", *given[:2], "--out", f"{out}/{name}", "--resume", "--rate=2"),
        *("--mode=good", f">>{out}/logs/{name}.log", "2>&1"),
    ]
    assert "--mode='a b'" in shlex.split(lines[4], posix=True)
    assert lines[-1].startswith("# then ")
    assert not out.exists()


def test_a_dry_run_says_which_gpus_and_what_is_finished(sweep, given, capsys, monkeypatch):
    assert sweep.main([*given, "--grid", "rate=1"], FAKE) == 0
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    capsys.readouterr()
    assert sweep.main([*given, "--grid", "rate=1,2", "--jobs", "2", "--dry-run"], FAKE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("CUDA_VISIBLE_DEVICES=0,1 CUDA_VISIBLE_DEVICES=2,3")
    assert lines[1] == "# finished: rate=1"
    assert "--rate=2" in lines[2]


def test_a_whole_sweep(sweep, given, capsys, tmp_path):
    options = [*given, "--grid", "rate=0.1,0.4", "--seeds", "2"]
    assert sweep.main([*options, "--jobs", "2"], FAKE) == 0
    told = capsys.readouterr()
    assert "best (min) validation.loss: 0.6 (mean of 2 runs) with rate=0.4" in told.out
    assert "[4/4]" in told.err
    out = tmp_path / "out"
    for name in ("table.csv", "table.json", "plot.png", "plot.svg", "sweep.html"):
        assert (out / name).stat().st_size
    assert not list(out.glob(".*"))
    # All of it again starts nothing; another metric needs no run.
    options += ["--json", "--metric", "validation.r2"]
    assert sweep.main(options, ("/none",)) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["metric"], data["best"]) == ("validation.r2", "max")
    assert data["best_setting"]["overrides"] == {"rate": "0.1"}
    assert data == json.loads((out / "table.json").read_text())


def test_a_failed_run_makes_it_1_and_is_in_the_table(sweep, given, capsys):
    assert sweep.main([*given, "--grid", "mode=fail,good"], FAKE) == 1
    told = capsys.readouterr()
    assert "exit code 3" in told.err
    assert "failed" in told.out
    assert sweep.main([*given, "--grid", "mode=fail,good", "--table"], FAKE) == 1
    assert "unfinished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--grid", "rat=1"], "did you mean 'rate'"),
        (["--grid", "rate=fast"], "float is needed"),
        (["--jobs", "-1"], "at least 1"),
        (["--list", "none.txt"], "none.txt cannot be read"),
    ],
)
def test_bad_usage_starts_nothing(sweep, given, capsys, tmp_path, options, complaint):
    assert sweep.main([*given, *options], FAKE) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.startswith("sweep.py: ")
    assert not (tmp_path / "out").exists()


def test_a_metric_that_no_run_has_is_said_and_the_table_is_kept(sweep, given, capsys, tmp_path):
    assert sweep.main([*given, "--grid", "rate=1", "--metric", "validation.los"], FAKE) == 2
    assert "did you mean 'validation.loss'" in capsys.readouterr().err
    assert "finished" in (tmp_path / "out" / "table.csv").read_text()


def array(text):
    """The script of a dry run, and the commands after it."""
    body, _, rest = text.partition("\nEND\n")
    return body.partition("\n")[2], [shlex.split(line) for line in rest.splitlines()]


def test_a_dry_run_on_slurm_prints_script_and_submission(sweep, given, capsys, tmp_path):
    options = ["--grid", "rate=1,2,3", "--jobs", "2", "--slurm=--time=1:00 --partition='a b'"]
    assert sweep.main([*given, *options, "--dry-run"], FAKE) == 0
    script, (setup, submit) = array(capsys.readouterr().out)
    assert "#SBATCH --array=0-2%2\n" in script
    assert "#SBATCH --signal=B:TERM@120\n" in script
    assert setup[0] == "bash"
    assert setup[2].endswith("setup_venv " + shlex.join([str(sweep_venv()), "jax,cuda"]))
    assert submit == ["sbatch", "--time=1:00", "--partition=a b", f"{tmp_path}/out/array.sbatch"]
    assert not (tmp_path / "out").exists()


def sweep_venv():
    return Path(os.environ.get("VENV") or ROOT / ".venv")


def test_each_element_of_the_array_trains_its_run(sweep, given, capsys, tmp_path):
    options = ["--grid", "rate=1,2", "--grid", "mode='it''s'", "--slurm", "--extra", "none"]
    assert sweep.main([*given, *options, "--dry-run"], FAKE) == 0
    script, _ = array(capsys.readouterr().out)
    launched = f"bash {ROOT}/launch/slurm.sbatch --extra none "
    assert f"exec {launched}" in script
    (tmp_path / "array").write_text(script.replace("exec bash", "printf '%s\\n'"))
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "1"}
    done = subprocess.run(
        ["bash", tmp_path / "array"], env=environment, capture_output=True, text=True
    )
    name = next(line for line in done.stdout.splitlines() if "/out/" in line)
    assert done.stdout.splitlines()[3:] == [given[1], name, "--rate=2", "--mode='it''s'"]
    assert Path(name).parent == tmp_path / "out"


def test_slurm_gets_what_is_not_finished(sweep, given, capsys, tmp_path, monkeypatch, stage):
    assert sweep.main([*given, "--grid", "rate=1"], FAKE) == 0
    stage.tool("sbatch", "echo Submitted batch job 5")
    monkeypatch.setenv("VENV", str(stage.venv("", "jax")))
    monkeypatch.setenv("PATH", f"{stage.folder / 'bin'}:{os.environ['PATH']}")
    options = [*given, "--slurm", "--extra", "none"]
    assert sweep.main([*options, "--grid", "rate=1,2"], FAKE) == 0
    assert stage.calls == [["sbatch", f"{tmp_path}/out/array.sbatch"]]
    script = (tmp_path / "out" / "array.sbatch").read_text()
    assert "--rate=2" in script
    assert "--rate=1" not in script
    assert "--table" in capsys.readouterr().out
    assert sweep.main([*options, "--grid", "rate=1"], FAKE) == 0
    assert len(stage.calls) == 1
