"""launch/transfer.sh: what it runs, from where, and that it passes on what it does not know."""

from __future__ import annotations

import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def test_a_dry_run_prints_the_commands_and_does_nothing(stage, words):
    given = ("--short", "--out", "/runs/a b", "--only", "train-*", "--seeds=(0, 1)")
    done = stage.run("transfer.sh", "--dry-run", *given, VENV="/v e")
    source, setup, folder, study = words(done.stdout)
    assert source == ["source", str(ROOT / "launch" / "setup.sh")]
    assert setup == ["setup_venv", "/v e", "jax,games,label"]
    assert folder == ["cd", str(ROOT)]
    rest = ["--short", "--only", "train-*", "--seeds=(0, 1)"]
    assert study == ["exec", "/v e/bin/nitrogen", "study", "transfer", "--out", "/runs/a b", *rest]
    assert [call[0] for call in stage.calls] == ["nvidia-smi"]
    assert done.returncode == 0


def test_a_gpu_needs_its_own_extra_unless_told_otherwise(stage, words):
    stage.tool("nvidia-smi")
    done = stage.run("transfer.sh", "--dry-run")
    assert words(done.stdout)[1][2] == "jax,games,label,cuda"
    done = stage.run("transfer.sh", "--dry-run", "--extra", "none")
    assert words(done.stdout)[1][2] == "jax,games,label"


def test_a_folder_is_named_from_where_the_script_is_called(stage):
    stage.venv("pwd; exit 3", "jax,games,label")
    done = stage.run("transfer.sh", "--out", "here", "--list")
    assert done.returncode == 3
    assert done.stdout.strip() == str(ROOT)
    assert stage.calls[-1] == ["nitrogen", "study", "transfer", "--out", f"{ROOT}/here", "--list"]


def test_help_and_bad_usage(stage):
    done = stage.run("transfer.sh", "--help")
    assert done.returncode == 0
    for option in ("--out", "--extra", "--dry-run", "--short", "--only", "--list"):
        assert option in done.stdout
    done = stage.run("transfer.sh", "--out")
    assert done.returncode == 2
    assert "--out needs a value" in done.stderr
    assert stage.calls == []
