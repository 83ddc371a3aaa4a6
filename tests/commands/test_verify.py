"""`nitrogen verify`: rows, exit codes and the last line.

The network runs once, in a real process; elsewhere it answers what the original recorded.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax import cli
from nitrogen_jax.models import policy
from nitrogen_jax.weights import rules, tables, verify

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "frames_games"
ROWS = [*verify.ROWS, "gradients"]
shapes = functools.cache(policy.shapes)


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the verb with a network that reproduces the golden: (code, JSON or None, out, err)."""
    with np.load(GOLDEN / "io.npz") as file:
        computed = {name: file[name] for name in file.files}
    norms = json.loads((GOLDEN / "grad_norms.json").read_text())

    def loss_and_gradient_norms(cfg, params, inputs):
        placed = rules.place(list(rules.flatten(params)), tables.NITROGEN)
        return computed["loss"], {leaf.path: norms[leaf.foreign] for leaf in placed}

    monkeypatch.setattr(policy, "shapes", shapes)
    monkeypatch.setattr(verify, "compute", lambda *args: dict(computed))
    monkeypatch.setattr(verify, "loss_and_gradient_norms", loss_and_gradient_norms)

    def call(*arguments):
        code = cli.main(["verify", *map(str, arguments)])
        out, error = capsys.readouterr()
        last = json.loads(out.splitlines()[-1]) if code != 2 else None
        return code, last, out, error

    return call


@pytest.fixture
def folder(tmp_path):
    """A copy of the golden, to be changed."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "a folder [" / "b] :heart:"))


def change(folder, name, new):
    with np.load(folder / "io.npz") as file:
        arrays = dict(file)
    old = arrays.pop(name)
    if new is not None:
        arrays[name] = new(old)
    np.savez(folder / "io.npz", **arrays)


def test_everything_agrees(run, folder):
    code, last, out, error = run(folder)
    assert (code, error) == (0, "")
    assert last == {
        "ok": True,
        "rows": [{"name": name, "error": 0.0, "tolerance": 1e-4, "ok": True} for name in ROWS],
        "skipped": [],
    }
    assert str(folder) in out
    table = [line.replace("│", " ").split() for line in out.splitlines()]
    assert ["encoder", "0.00e+00", "1e-04", "ok", "vision"] in table


ARRAYS = {array: row for row, arrays in verify.ROWS.items() for array in arrays}


@pytest.mark.parametrize("name", [*ARRAYS, "guided_2"])
def test_a_difference_is_exit_code_1_and_one_false_row(run, folder, name):
    change(folder, name, lambda array: array + np.float32(1e-3))
    code, last, out, error = run(folder)
    assert (code, error) == (1, "")
    assert last["ok"] is False
    false = ARRAYS.get(name, "guided")
    assert [row["name"] for row in last["rows"] if not row["ok"]] == [false]
    (row,) = (row for row in last["rows"] if row["name"] == false)
    assert row["error"] == pytest.approx(1e-3, rel=1e-3)
    table = [line.replace("│", " ").split() for line in out.splitlines()]
    assert [false, "1.00e-03", "1e-04", "DIFFERS", name] in table


def test_a_number_that_is_none_is_null(run, folder):
    change(folder, "sampled", lambda array: np.full_like(array, np.nan))
    code, last, out, _ = run(folder)
    assert code == 1
    assert {"name": "actions", "error": None, "tolerance": 1e-4, "ok": False} in last["rows"]
    assert "NaN" not in out
    assert "Infinity" not in out


def test_a_gradient_that_differs(run, folder):
    norms = json.loads((folder / "grad_norms.json").read_text())
    norms["model.proj_out_1.weight"] *= 1.01
    (folder / "grad_norms.json").write_text(json.dumps(norms))
    code, last, out, _ = run(folder)
    assert code == 1
    assert [row["name"] for row in last["rows"] if not row["ok"]] == ["gradients"]
    assert last["rows"][-1]["error"] == pytest.approx(0.01, rel=0.02)
    assert "model.proj_out_1.weight" in out


def test_what_lacks_is_said_and_is_no_difference(run, folder):
    change(folder, "blocks", None)
    change(folder, "guided_2", None)
    (folder / "grad_norms.json").unlink()
    code, last, out, _ = run(folder)
    assert code == 0
    assert last["ok"] is True
    assert last["skipped"] == ["blocks", "guided", "grad_norms.json"]
    assert "not recorded, skipped: blocks, guided, grad_norms.json" in out.splitlines()
    assert [row["name"] for row in last["rows"]] == [
        name for name in ROWS if name not in ("guided", "gradients")
    ]


def test_the_sizes_may_be_given_and_the_tolerance_may_not(run, folder, tmp_path, capsys):
    (folder / "vision.json").rename(tmp_path / "sizes.json")
    assert run(folder)[0] == 2
    assert run(folder, "--vision", tmp_path / "sizes.json")[0] == 0
    with pytest.raises(SystemExit) as stop:
        run(folder, "--tolerance", "1")
    assert stop.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run("--help")
    options = {word for word in capsys.readouterr().out.split() if word.startswith("--")}
    assert options == {"--help", "--vision"}


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda f: (f / "io.npz").unlink(), "io.npz is not a readable .npz file"),
        (lambda f: (f / "io.npz").write_bytes(b"PK"), "io.npz is not a readable .npz file"),
        (lambda f: change(f, "loss", lambda a: a.astype(object)), "Object arrays cannot be loaded"),
        (lambda f: change(f, "images", None), "it has no array 'images'"),
        (lambda f: change(f, "noise", lambda a: a[0]), "noise has shape (18, 25)"),
        (lambda f: change(f, "vision", lambda a: a[0]), "vision has shape (2, 16, 32)"),
        (lambda f: change(f, "game_ids", lambda a: a + 3), "are not all rows of the game"),
        (lambda f: (f / "ng.pt").write_bytes(b"PK\x03\x04"), "ng.pt"),
        (lambda f: (f / "ng.pt").unlink(), "holds 0 .pt or .safetensors files"),
        (lambda f: (f / "grad_norms.json").write_text("{}"), "name different tensors"),
        (shutil.rmtree, "is not a folder with ng.pt and io.npz"),
    ],
)
def test_a_broken_folder_is_one_sentence(run, folder, do, message):
    do(folder)
    code, _, out, error = run(folder)
    assert (code, out) == (2, "")
    assert error.startswith("nitrogen verify: ")
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_program(run_python):
    """The real network, on the other golden."""
    ran = run_python("-m", "nitrogen_jax.cli", "verify", str(GOLDEN.with_name("tiny")))
    assert (ran.returncode, ran.stderr) == (0, "")
    last = json.loads(ran.stdout.splitlines()[-1])
    assert (last["ok"], last["skipped"]) == (True, [])
    assert [row["name"] for row in last["rows"]] == ROWS
    assert all(row["ok"] and row["error"] < 2e-5 for row in last["rows"])


def test_the_program_on_a_broken_folder(run_python, folder):
    (folder / "ng.pt").write_bytes((GOLDEN / "ng.pt").read_bytes()[:100_000])
    ran = run_python("-m", "nitrogen_jax.cli", "verify", str(folder))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"nitrogen verify: {folder / 'ng.pt'} ")
    assert len(ran.stderr.splitlines()) == 1
