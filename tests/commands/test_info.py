"""`nitrogen info`: what it says of checkpoints and of what are none."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("safetensors")

from nitrogen_jax import __version__, cli
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import VisionConfig
from nitrogen_jax.weights import checkpoint, rules
from nitrogen_jax.weights.checkpoint import Checkpoint
from nitrogen_jax.weights.meta import Meta
from nitrogen_jax.weights.torch_read import read_torch
from nitrogen_jax.weights.torch_write import write_torch

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes most of the time of a load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "shapes", functools.cache(policy.shapes))
        yield


@pytest.fixture
def info(capsys):
    """Runs the verb: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["info", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    cfg = VisionConfig("small", 8, 4, 16, 2, 2, 24)
    meta = Meta(cfg, provenance={"source": "model.safetensors"})
    flat = {
        k: np.zeros(v.shape, np.float32) for k, v in rules.flatten(checkpoint.shapes(meta)).items()
    }
    path = tmp_path_factory.mktemp("tower") / "tower.safetensors"
    checkpoint.save(Checkpoint(rules.unflatten(flat), meta), path)
    return path


def test_a_golden_as_json(info):
    code, out, error = info(GOLDEN / "frames_games", "--json")
    assert (code, error) == (0, "")
    (line,) = out.splitlines()
    data = json.loads(line)
    assert (data["kind"], data["step"], data["epoch"]) == ("policy", 1234, 0)
    assert (data["tensors"], data["parameters"]) == (316, 240_825)
    assert data["games"] == {"None": 0, "game_a": 1, "game_b": 2}
    assert data["config"]["vision"]["depth"] == 12
    assert data["action"]["shift"] == 3
    assert data["parts"]["game_embedding"] == {"tensors": 1, "parameters": 96}
    assert sum(part["tensors"] for part in data["parts"].values()) == 316
    assert sum(part["parameters"] for part in data["parts"].values()) == 240_825
    norms = json.loads((GOLDEN / "frames_games" / "grad_norms.json").read_text())
    model = read_torch(GOLDEN / "frames_games" / "ng.pt")["model"]
    trained = sum(model[name].size for name, norm in norms.items() if norm)
    assert data["trainable"]["as the original"] == trained
    assert data["notices"] == []


def test_a_golden_as_tables(info):
    code, out, error = info(GOLDEN / "tiny" / "ng.pt")
    assert (code, error) == (0, "")
    rows = [line.split() for line in out.replace("│", " ").splitlines()]
    assert ["vision", "208", "136,224"] in rows
    assert ["all", "315", "240,729"] in rows
    assert ["config.vision.heads", "2"] in rows
    assert ["action", "shift", "3"] in rows
    assert ["games", "none", "named"] in rows
    assert ["step", "1234"] in rows
    assert ["provenance.source", "ng.pt"] in rows


def test_the_released_sizes_without_any_file(info):
    code, out, _ = info("random:nitrogen", "--json")
    data = json.loads(out)
    assert code == 0
    assert (data["tensors"], data["parameters"]) == (595, 493_631_513)
    assert data["trainable"] == {"as the original": 468_440_089, "tower frozen": 177_675_289}
    assert data["parts"]["vision"] == {"tensors": 400, "parameters": 315_956_224}


@pytest.mark.parametrize("name", ["x", "x.safetensors", "x.pt"])
def test_a_converted_checkpoint_says_the_same(info, tmp_path, name):
    cli.main(["convert", str(GOLDEN / "frames_games"), str(tmp_path / name)])
    info("random:test")  # what convert printed goes with this
    ours, theirs = (
        json.loads(info(p, "--json")[1]) for p in (tmp_path / name, GOLDEN / "frames_games")
    )
    came = ours.pop("provenance")
    theirs.pop("provenance")
    assert ours == theirs
    assert came["source"] == "ng.pt"
    assert came["written_by"] == f"nitrogen_jax {__version__}"


def test_a_tower(info, tower):
    code, out, _ = info(tower, "--json")
    data = json.loads(out)
    assert code == 0
    assert data["kind"] == "vision"
    assert data["config"]["heads"] == 2
    assert not {"trainable", "games", "action", "time"} & data.keys()
    assert data["parts"]["layers_1"]["tensors"] == 16
    code, out, _ = info(tower)
    assert code == 0
    assert "trainable" not in out


def test_the_sizes_may_be_given(info, tmp_path):
    shutil.copy(GOLDEN / "tiny" / "ng.pt", tmp_path)
    assert info(tmp_path)[0] == 2
    code, out, _ = info(tmp_path, "--json", "--vision", GOLDEN / "tiny" / "vision.json")
    assert code == 0
    assert json.loads(out)["config"]["vision"]["name"] == "vision"


def test_unknown_fields_are_told(info, tmp_path):
    had = read_torch(GOLDEN / "tiny" / "ng.pt")
    had["ckpt_config"]["note :heart: [b]"] = 1
    write_torch(tmp_path / "ng.pt", had)
    shutil.copy(GOLDEN / "tiny" / "vision.json", tmp_path)
    notice = "ckpt_config field note :heart: [b] is not known and was ignored"
    assert json.loads(info(tmp_path, "--json")[1])["notices"] == [notice]
    assert info(tmp_path)[1].splitlines()[-1] == f"notice: {notice}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.pt"], "checkpoint gone.pt does not exist"),
        (["random:nobody"], "vision tower 'nobody' is not known: use a name such as"),
        (["random:test", "--vision", "tiny"], "random:test names its tower itself: leave it out"),
        ([GOLDEN / "README.md"], "is not a checkpoint: an Orbax folder, a .safetensors or a .pt"),
        ([GOLDEN], "holds 0 .pt or .safetensors files, where one is needed"),
        ([GOLDEN / "tiny", "--vision", "test"], "vision_hidden_size"),
    ],
)
def test_bad_input_is_one_sentence(info, arguments, message):
    if message == "vision_hidden_size":  # the same width, but another picture
        message = "num_visual_tokens_per_frame is 16 and must equal the tower's tokens, which is 4"
    code, out, error = info(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("nitrogen info: ")
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_listing_follows_where_tensors_do_not_fit(info, tmp_path):
    had = read_torch(GOLDEN / "tiny" / "ng.pt")
    model = {name: array for name, array in had["model"].items() if ".head." not in name}
    write_torch(tmp_path / "ng.pt", {**had, "model": model})
    shutil.copy(GOLDEN / "tiny" / "vision.json", tmp_path)
    code, out, error = info(tmp_path)
    assert (code, out) == (2, "")
    assert error.count("\n  missing: vision_encoder.head.") == 11


def test_the_program(run_python, tmp_path):
    ran = run_python("-m", "nitrogen_jax.cli", "info", "random:test", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["kind"] == "policy"
    (tmp_path / "x.pt").write_bytes((GOLDEN / "tiny" / "ng.pt").read_bytes()[:5000])
    ran = run_python("-m", "nitrogen_jax.cli", "info", str(tmp_path))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"nitrogen info: {tmp_path / 'x.pt'} ")
    assert len(ran.stderr.splitlines()) == 1
