"""The comparison with recorded outputs: that it agrees, that it notices, that it names what lacks.

The network itself runs for whole folders only; where the comparison is the subject, what it
computed for `frames_games` is used again. (`tiny` is run by tests/commands/test_verify.py.)
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.weights import checkpoint, verify
from nitrogen_jax.weights.torch_read import read_torch
from nitrogen_jax.weights.torch_write import write_torch

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden" / "frames_games"
ROW_OF = {array: row for row, arrays in verify.ROWS.items() for array in arrays}
ROW_OF["guided_2"] = "guided"
ALL_ROWS = [*verify.ROWS, "gradients"]

_spec = importlib.util.spec_from_file_location("make_golden", DATA / "make_golden.py")
make_golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_golden)


@pytest.fixture(scope="module")
def run():
    """One real run on `frames_games`: (report, what `compute` gave, loss and gradient norms)."""
    kept = {}

    def keeping(name):
        function = getattr(verify, name)

        @functools.wraps(function)
        def call(*args):
            kept[name] = function(*args)
            return kept[name]

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("compute", "loss_and_gradient_norms"):
            patch.setattr(verify, name, keeping(name))
        report = verify.verify(GOLDEN)
    return report, kept["compute"], kept["loss_and_gradient_norms"]


@pytest.fixture
def again(run, monkeypatch):
    """`verify` that compares with what the network computed in `run`."""
    _, computed, gradients = run
    monkeypatch.setattr(policy, "shapes", shapes)

    def compute(cfg, params, inputs, recorded):
        wanted = {k: v for k, v in computed.items() if k != "loss"}
        assert cfg.games == 3
        return wanted

    monkeypatch.setattr(verify, "compute", compute)
    monkeypatch.setattr(verify, "loss_and_gradient_norms", lambda *args: gradients)
    return verify.verify


shapes = functools.cache(policy.shapes)


@pytest.fixture
def folder(tmp_path):
    """A copy of the golden under another name, to be changed."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "another name"))


def change(folder, name, new):
    """Replaces an array of io.npz (by what `new` makes of it) or removes it (None)."""
    with np.load(folder / "io.npz") as file:
        arrays = dict(file)
    old = arrays.pop(name)
    if new is not None:
        arrays[name] = new(old)
    np.savez(folder / "io.npz", **arrays)


def states(report):
    return {row.name: row.ok for row in report.rows}


# --- whole folders -------------------------------------------------------------------------------


def test_the_originals_recordings_agree(run):
    report, _, (_, norms) = run
    assert report.ok
    assert report.skipped == ()
    assert report.notices == ()
    assert [row.name for row in report.rows] == ALL_ROWS
    for row in report.rows:
        assert row.tolerance == verify.TOLERANCE == 1e-4
        assert 0 <= row.error < 2e-5, row.name
        assert row.error == max(row.arrays.values())
    assert len(report.rows[-1].arrays) == len(norms) == 316
    with np.load(GOLDEN / "io.npz") as file:
        compared = {name for row in report.rows[:-1] for name in row.arrays}
        inputs = {"images", *verify.INPUTS}
        assert compared | inputs == set(file.files)


# In the plain run the one that differs most from the recordings: other switches (which the tower
# does not have, so that two of its layers will do).
QUICK = {"other_switches": {"num_hidden_layers": 2}}


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("case", "vision"),
    [
        *QUICK.items(),
        *(
            pytest.param(case, {}, marks=pytest.mark.long)
            for case in make_golden.CASES
            if QUICK.get(case) != {}
        ),
    ],
)
def test_folders_that_we_make(case, vision, tmp_path):
    arguments = make_golden.CASES[case]
    arguments = {**arguments, "vision": {**arguments.get("vision", {}), **vision}}
    report = verify.verify(make_golden.write_golden(tmp_path / case, **arguments))
    assert states(report) == dict.fromkeys(ALL_ROWS, True)
    assert report.skipped == ()


def test_a_changed_weight_is_noticed_by_the_network(folder):
    """A real run, on few arrays: everything after the changed layer differs."""
    had = read_torch(GOLDEN / "ng.pt")
    name = "vl_self_attention_model.transformer_blocks.0.ff.net.0.proj.weight"
    changed = {**had["model"], name: 1.5 * had["model"][name]}
    write_torch(folder / "ng.pt", {**had, "model": changed})
    with np.load(GOLDEN / "io.npz") as file:
        kept = ("images", "dropped", "game_ids", "vision", "context_in", "context")
        np.savez(folder / "io.npz", **{k: file[k] for k in kept})
    (folder / "grad_norms.json").unlink()
    report = verify.verify(folder)
    assert states(report) == {"encoder": True, "context": False}
    errors = report.rows[1].arrays
    assert errors["context_in"] < 1e-4 < errors["context"]
    assert set(report.skipped) >= {"noise", "temb", "sampled", "guided", "loss", "grad_norms.json"}


# --- the comparison notices ----------------------------------------------------------------------


def test_what_was_kept_agrees(again, folder):
    assert states(again(folder)) == dict.fromkeys(ALL_ROWS, True)


def flipped(array):
    array = array.copy()
    array[0, 0, 0] = 1 - array[0, 0, 0]
    return array


def one_entry(value):
    """Sets or adds to a single entry, the last."""

    def new(array):
        array = np.array(array)
        array[(-1,) * array.ndim] = value if np.isnan(value) else array[(-1,) * array.ndim] + value
        return array

    return new


@pytest.mark.parametrize("name", sorted(ROW_OF))
@pytest.mark.parametrize("value", [1e-3, -1e-3, np.nan])
def test_one_changed_entry_of_any_array(again, folder, name, value):
    change(folder, name, one_entry(value))
    report = again(folder)
    assert not report.ok
    assert states(report) == {row: row != ROW_OF[name] for row in ALL_ROWS}
    row = next(row for row in report.rows if row.name == ROW_OF[name])
    wrong = {array for array, error in row.arrays.items() if not error <= 1e-4}
    assert wrong == {name}
    if np.isnan(value):
        assert row.error == np.inf
    else:
        assert row.error == pytest.approx(1e-3, rel=0.05)


def test_a_flipped_button(again, folder):
    change(folder, "buttons", flipped)
    report = again(folder)
    assert [row.name for row in report.rows if not row.ok] == ["buttons"]
    assert {row.name: row.error for row in report.rows}["buttons"] == 1


def norms_with(folder, name, factor):
    norms = json.loads((GOLDEN / "grad_norms.json").read_text())
    norms[name] = norms[name] * factor
    (folder / "grad_norms.json").write_text(json.dumps(norms))


NORMS = json.loads((GOLDEN / "grad_norms.json").read_text())
KEY_BIASES = [name for name in NORMS if name.endswith(("k_proj.bias", "to_k.bias"))]


@pytest.mark.parametrize("factor", [1.01, 0.99, 1.001, 0, np.nan, np.inf])
@pytest.mark.parametrize(
    "name",
    [
        "action_encoder.W1.W",
        "game_embedding.weight",
        "model.proj_out_2.bias",
        "vision_encoder.encoder.layers.0.self_attn.k_proj.weight",
        "vision_encoder.embeddings.position_embedding.weight",
    ],
)
def test_a_changed_gradient_of_a_weight(again, folder, name, factor):
    norms_with(folder, name, factor)
    report = again(folder)
    assert [row.name for row in report.rows if not row.ok] == ["gradients"]
    errors = report.rows[-1].arrays
    assert [key for key, error in errors.items() if not error <= 1e-4] == [name]


@pytest.mark.parametrize("name", KEY_BIASES)
def test_a_changed_gradient_of_a_key_bias(run, name):
    """Recorded is rounding; the size of what it is the rounding of decides."""
    _, _, (_, norms) = run
    assert max(verify.gradient_errors(norms, NORMS).values()) < 1e-4
    frozen = ".layers.11." in name
    changed = {**NORMS, name: 1e-3 if frozen else NORMS[name] * 1e6}
    assert verify.gradient_errors(norms, changed)[name] > 1e-4


def test_a_gradient_of_what_is_frozen(again, folder):
    name = "vision_encoder.head.probe"
    assert NORMS[name] == 0
    norms = {**NORMS, name: 1e-6}
    (folder / "grad_norms.json").write_text(json.dumps(norms))
    assert not again(folder).ok


def test_the_error_of_no_number_is_infinite():
    one, nan = np.ones(3), np.array([1, np.nan, 1])
    assert verify.max_error(one, nan, "x") == np.inf
    assert verify.max_error(nan, one, "x") == np.inf
    assert verify.max_error(nan, nan, "x") == np.inf
    assert verify.max_error(np.zeros((0, 3)), np.zeros((0, 3)), "x") == 0
    assert not verify.Row("x", float("nan"), 1e-4, {}).ok
    assert not verify.Report((), ("vision",), ()).ok


def test_exactly_the_tolerance_is_within_it():
    assert verify.Row("x", 1e-4, 1e-4, {}).ok
    assert not verify.Row("x", np.nextafter(1e-4, 1), 1e-4, {}).ok


# --- what the folder lacks -----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ROW_OF))
def test_a_missing_array_is_skipped_and_listed(again, folder, name):
    change(folder, name, None)
    report = again(folder)
    assert report.ok
    alone = name not in ("context_in", "context", "j_left", "j_right")
    alone &= name not in verify.ROWS["velocity"]
    assert report.skipped == (("guided",) if name == "guided_2" else (name,))
    assert (ROW_OF[name] in states(report)) != alone


def test_missing_norms_are_listed(again, folder):
    (folder / "grad_norms.json").unlink()
    report = again(folder)
    assert report.ok
    assert report.skipped == ("grad_norms.json",)
    assert [row.name for row in report.rows] == ALL_ROWS[:-1]


AFTER_CONTEXT = ["velocity", "actions", "guided", "buttons", "sticks", "loss", "gradients"]
NEEDED_BY = {
    "dropped": ["context", *AFTER_CONTEXT],
    "game_ids": ["context", *(row for row in AFTER_CONTEXT if row != "guided")],
    "noise": AFTER_CONTEXT,
    "train_actions": ["velocity", "loss", "gradients"],
    "train_t": ["temb", "velocity", "loss", "gradients"],
    "train_mask": ["loss", "gradients"],
}


@pytest.mark.parametrize("name", NEEDED_BY)
def test_what_depends_on_a_missing_input_is_skipped(folder, name, monkeypatch):
    """By what the network would be asked for; it answers at once."""
    change(folder, name, None)
    monkeypatch.setattr(policy, "shapes", shapes)
    with np.load(GOLDEN / "io.npz") as file:
        recorded = dict(file)
    asked = []

    def network(cfg, params, method, *inputs, compute):
        assert all(value is not None for value in inputs)
        asked.append(method)
        answers = {"encode": "vision", "context_in": "context_in", "mix": "context", "temb": "temb"}
        if method == "denoise_with_blocks":
            return {key: recorded[key] for key in verify.ROWS["velocity"]}
        return recorded[answers.get(method, "temb")]

    def sample(cfg, params, given, noise, frames, dropped, games, guidance, *, compute):
        assert noise is not None
        assert dropped is not None
        return recorded["sampled" if guidance is None else "guided_2"]

    monkeypatch.setattr(verify.jax, "jit", lambda function, **options: function)
    monkeypatch.setattr(policy, "network_apply", network)
    monkeypatch.setattr(policy, "conditioning", lambda *args, **kwargs: None)
    monkeypatch.setattr(policy, "sample", sample)
    report = verify.verify(folder)
    assert [row.name for row in report.rows] == [
        row for row in ALL_ROWS if row not in NEEDED_BY[name]
    ]
    assert report.skipped[0] == name
    assert report.ok


def test_game_ids_mean_nothing_without_games(tmp_path, monkeypatch):
    folder = shutil.copytree(DATA / "golden" / "tiny", tmp_path / "x")
    change(folder, "game_ids", lambda ids: ids + 99)
    loaded = checkpoint.load(folder)
    inputs = verify._inputs(loaded.meta.config, verify._read_arrays(folder / "io.npz"), folder)
    assert inputs["game_ids"] is None
    assert verify._lacking(inputs, *verify.INPUTS) == []


@pytest.mark.parametrize("name", ["guided_0", "guided_1.5", "guided_-1", "guided_1e-05"])
def test_scales_of_guidance_are_read_from_the_name(name):
    match = verify._GUIDED.fullmatch(name)
    assert f"guided_{float(match[1]):g}" == name


# --- folders that are broken: one sentence -------------------------------------------------------


def problem(folder):
    with pytest.raises(NitrogenError) as caught:
        verify.verify(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def network_never_runs(monkeypatch):
    """All of these are found before anything is computed."""
    monkeypatch.setattr(policy, "shapes", shapes)
    for name in ("compute", "loss_and_gradient_norms"):
        monkeypatch.setattr(verify, name, lambda *args: pytest.fail("the network ran"))


def io(folder, data):
    (folder / "io.npz").write_bytes(data)


def remove(name):
    return lambda folder: (folder / name).unlink()


def array(name, new):
    return lambda folder: change(folder, name, new)


def norms(text):
    return lambda folder: (folder / "grad_norms.json").write_text(text)


def cut(share):
    def do(folder):
        data = (folder / "ng.pt").read_bytes()
        (folder / "ng.pt").write_bytes(data[: int(share * len(data))])

    return do


def no_npz_but_npy(folder):
    np.save(folder / "io.npy", np.zeros(3))
    (folder / "io.npy").rename(folder / "io.npz")


BROKEN = {
    "no io.npz": (remove("io.npz"), "is not a readable .npz file"),
    "empty io.npz": (lambda f: io(f, b""), "is not a readable .npz file"),
    "io.npz of text": (lambda f: io(f, b"hello"), "is not a readable .npz file"),
    "half io.npz": (lambda f: io(f, (GOLDEN / "io.npz").read_bytes()[:50_000]), "not a readable"),
    "npy": (no_npz_but_npy, "is not a readable .npz file"),
    "objects": (array("noise", lambda a: a.astype(object)), "Object arrays cannot be loaded"),
    "texts": (array("vision", lambda a: a.astype(str)), "vision is of type <U32, where numbers"),
    "complex": (array("loss", lambda a: a.astype(complex)), "loss is of type complex128"),
    "no images": (array("images", None), "it has no array 'images'"),
    "images in floats": (
        array("images", lambda a: a / 1.0),
        "images are float64 (2, 2, 64, 64, 3)",
    ),
    "images too small": (array("images", lambda a: a[:, :, :32]), "where uint8 (batch, frames, 64"),
    "no batch": (array("images", lambda a: a[:0]), "images are uint8 (0, 2, 64, 64, 3)"),
    "no frames": (array("images", lambda a: a[:, :0]), "images are uint8 (2, 0, 64, 64, 3)"),
    "images of rank 4": (array("images", lambda a: a[0]), "images are uint8 (2, 64, 64, 3)"),
    "noise": (
        array("noise", lambda a: a[:, :-1]),
        "noise has shape (2, 17, 25), where (2, 18, 25)",
    ),
    "dropped": (array("dropped", lambda a: a[:, 0]), "dropped has shape (2,), where (2, 2) is"),
    "train_t": (array("train_t", lambda a: a[:, None]), "train_t has shape (2, 1), where (2,) is"),
    "mask": (array("train_mask", lambda a: a[..., :1]), "train_mask has shape (2, 18, 1), where"),
    "game of no row": (
        array("game_ids", lambda a: a + 2),
        "are not all rows of the game embedding",
    ),
    "negative game": (
        array("game_ids", lambda a: -a - 1),
        "are not all rows of the game embedding",
    ),
    "huge game": (array("game_ids", lambda a: a + 2**32), "are not all rows of the game embedding"),
    "half a game": (array("game_ids", lambda a: a + 0.5), "are not all rows of the game embedding"),
    "no game": (array("game_ids", lambda a: a * np.nan), "are not all rows of the game embedding"),
    "no ng.pt": (remove("ng.pt"), "holds 0 .pt or .safetensors files"),
    "a bit of ng.pt": (cut(0.01), "ng.pt"),
    "half of ng.pt": (cut(0.5), "ng.pt"),
    "most of ng.pt": (cut(0.99), "ng.pt"),
    "no vision.json": (remove("vision.json"), "give the tower's sizes with --vision FILE"),
    "broken norms": (norms("{"), "grad_norms.json is not a readable JSON file"),
    "list of norms": (norms("[1]"), "a table of tensor name -> norm is needed"),
    "text of a norm": (norms('{"a": "x"}'), "a table of tensor name -> norm is needed"),
    "other names": (norms('{"a": 1.0}'), "name different tensors, for example a"),
}


@pytest.mark.usefixtures("network_never_runs")
@pytest.mark.parametrize("name", BROKEN)
def test_broken_folders(folder, name):
    do, message = BROKEN[name]
    do(folder)
    found = problem(folder)
    assert message in found
    assert str(folder) in found


@pytest.mark.usefixtures("network_never_runs")
def test_more_frames_than_there_is_room_for(folder):
    change(folder, "images", lambda a: np.concatenate([a, a], axis=1))
    change(folder, "dropped", lambda a: np.zeros((2, 4), bool))
    found = problem(folder)
    assert found.startswith(f"{folder}: the context has 33 positions")
    assert "4 frame(s) of 16 tokens and a game token need 65" in found


@pytest.mark.usefixtures("network_never_runs")
def test_folders_that_are_none(tmp_path):
    assert "is not a folder with ng.pt and io.npz" in problem(tmp_path / "gone")
    assert "is not a folder with ng.pt and io.npz" in problem(GOLDEN / "io.npz")
    assert "holds 0 .pt or .safetensors files" in problem(tmp_path)


@pytest.mark.parametrize("name", ["vision", "blocks", "sampled", "loss", "guided_2", "buttons"])
def test_recordings_of_another_shape(again, folder, name):
    change(folder, name, lambda a: a[None])
    with pytest.raises(NitrogenError, match=f"another name: {name} has shape"):
        again(folder)


def test_a_tower_alone_is_no_policy(folder, monkeypatch):
    loaded = checkpoint.load(GOLDEN)
    tower = dataclasses.replace(loaded.meta, config=loaded.meta.config.vision)
    alone = checkpoint.Checkpoint(loaded.params["vision"], tower)
    monkeypatch.setattr(checkpoint, "load", lambda *args: alone)
    assert "is a vision tower, not a policy" in problem(folder)


# --- other places --------------------------------------------------------------------------------


def test_the_checkpoint_may_have_another_format_and_name(again, folder):
    """What `nitrogen convert` wrote is verified like what it came from."""
    checkpoint.save(checkpoint.load(folder), folder / "converted.safetensors")
    (folder / "ng.pt").unlink()
    (folder / "vision.json").unlink()
    assert again(folder).ok


def test_the_sizes_may_be_given(again, folder, tmp_path):
    (folder / "vision.json").rename(tmp_path / "elsewhere.json")
    assert again(folder, tmp_path / "elsewhere.json").ok
    with pytest.raises(NitrogenError, match="vision_hidden_size is 32 and the tower tiny has"):
        again(folder, "tiny")


def test_notices_of_the_checkpoint_are_passed_on(again, folder):
    had = read_torch(GOLDEN / "ng.pt")
    had["ckpt_config"]["note"] = 1
    write_torch(folder / "ng.pt", had)
    assert again(folder).notices == ("ckpt_config field note is not known and was ignored",)
