"""Checkpoints of every format in and out, SigLIP towers, and files that are none."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError

jax = pytest.importorskip("jax")
pytest.importorskip("orbax.checkpoint")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

import ml_dtypes  # noqa: E402

from nitrogen_jax.models import policy, siglip2  # noqa: E402
from nitrogen_jax.models.configs import FLOAT32  # noqa: E402
from nitrogen_jax.models.presets import policy_preset, vision_preset  # noqa: E402
from nitrogen_jax.weights import checkpoint, original, provenance, rules  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.meta import Meta, to_json  # noqa: E402
from nitrogen_jax.weights.torch_read import read_torch  # noqa: E402
from nitrogen_jax.weights.torch_write import write_torch  # noqa: E402

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden"
GOLDENS = ("tiny", "frames_games")
NAMES = {"torch": "x.pt", "safetensors": "x.safetensors", "orbax": "x"}


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes most of the time of a load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "shapes", functools.cache(policy.shapes))
        patch.setattr(siglip2, "shapes", functools.cache(siglip2.shapes))
        yield


@functools.cache
def golden(name):
    return checkpoint.load(GOLDEN / name / "ng.pt")


def content(name="tiny"):
    """What is in a golden's ng.pt, to be changed: our own copies of arrays and tables."""
    read = read_torch(GOLDEN / name / "ng.pt")
    config = json.loads(json.dumps(read["ckpt_config"]))
    return {**read, "model": dict(read["model"]), "ckpt_config": config}


@pytest.fixture
def place(tmp_path):
    """A folder that has the golden's vision.json, as the released layout of tests needs."""
    shutil.copy(GOLDEN / "tiny" / "vision.json", tmp_path)
    return tmp_path


def same(one: Checkpoint, other: Checkpoint) -> None:
    """Bitwise equal parameters, and equal meta but for who wrote it last."""
    ours, theirs = rules.flatten(one.params), rules.flatten(other.params)
    assert list(ours) == list(theirs)
    for path, array in ours.items():
        assert type(theirs[path]) is np.ndarray
        assert theirs[path].dtype == np.float32
        assert array.tobytes() == theirs[path].tobytes(), path
    assert without_writer(one.meta) == without_writer(other.meta)


def without_writer(meta: Meta) -> Meta:
    kept = {k: v for k, v in meta.provenance.items() if k != "written_by"}
    return dataclasses.replace(meta, provenance=kept)


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDENS)
def test_every_conversion_is_bitwise(name, tmp_path):
    """One walk that takes each of the six ways between formats; no vision.json anywhere."""
    wanted = golden(name)
    walk = ("torch", "safetensors", "orbax", "torch", "orbax", "safetensors", "torch")
    for number, kind in enumerate(walk):
        folder = tmp_path / str(number)
        folder.mkdir()
        checkpoint.save(wanted, folder / NAMES[kind])
        assert [path.name for path in folder.iterdir()] == [NAMES[kind]]
        found = checkpoint.load(folder / NAMES[kind])
        same(wanted, found)
        wanted = found
    assert wanted.meta.config.vision == golden(name).meta.config.vision


def test_what_a_golden_says():
    meta = golden("frames_games").meta
    assert meta.kind == "policy"
    assert meta.games == {"None": 0, "game_a": 1, "game_b": 2}
    assert meta.config.games == 3
    assert (meta.config.vision.heads, meta.config.vision.depth) == (2, 12)
    assert (meta.step, meta.epoch) == (1234, 0)
    assert meta.notices == ()
    assert meta.original_config == content("frames_games")["ckpt_config"]
    assert golden("tiny").meta.games is None


def test_a_folder_that_holds_one_file_is_that_file(tmp_path):
    same(golden("tiny"), checkpoint.load(GOLDEN / "tiny"))
    folder = tmp_path / "a folder with spaces and \N{SNOWMAN}"
    folder.mkdir()
    for kind in ("safetensors", "orbax"):
        checkpoint.save(golden("tiny"), folder / NAMES[kind])
    (folder / ".x.tmp-1.pt").touch()  # somebody else's unfinished file
    same(golden("tiny"), checkpoint.load(folder))
    same(golden("tiny"), checkpoint.load(folder / "x"))


def test_content_decides_not_the_name(tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / "x.pt")
    checkpoint.save(golden("tiny"), tmp_path / "x.safetensors")
    (tmp_path / "x.pt").rename(tmp_path / "model.bin")
    (tmp_path / "x.safetensors").rename(tmp_path / "model")
    assert checkpoint.detect(tmp_path / "model.bin") == "torch"
    assert checkpoint.detect(tmp_path / "model") == "safetensors"
    same(golden("tiny"), checkpoint.load(tmp_path / "model"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pt", "torch"),
        ("a.pth", "torch"),
        ("a.safetensors", "safetensors"),
        ("a", "orbax"),
        ("a.b", "orbax"),
        ("a.pt/", "torch"),
    ],
)
def test_the_name_of_a_destination_decides(name, kind):
    assert checkpoint.format_of(Path(name)) == kind


def test_progress_counts_every_byte(tmp_path):
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(golden("tiny").params))
    for kind in NAMES:
        done = []
        checkpoint.save(golden("tiny"), tmp_path / NAMES[kind], done.append)
        assert sum(done) == size
        done.clear()
        checkpoint.load(tmp_path / NAMES[kind], progress=done.append)
        assert sum(done) == size


def test_lineage_is_kept_through_every_format(tmp_path):
    found, source = golden("tiny"), GOLDEN / "tiny" / "ng.pt"
    for kind in ("orbax", "torch", "safetensors"):
        found = provenance.stamped(found, source)
        checkpoint.save(found, tmp_path / NAMES[kind])
        source = tmp_path / NAMES[kind]
        found = checkpoint.load(source)
    last = found.meta.provenance
    assert [last["source"], last["from"]["source"], last["from"]["from"]["source"]] == [
        "x.pt",
        "x",
        "ng.pt",
    ]
    first = last["from"]["from"]
    assert first["source_format"] == "nitrogen"
    assert first["sha256"] == provenance.sha256(GOLDEN / "tiny" / "ng.pt")
    assert last["written_by"].startswith("nitrogen_jax ")


@pytest.mark.parametrize("kind", NAMES)
def test_not_a_number_goes_through(kind, tmp_path):
    params = jax.tree.map(np.copy, dict(golden("tiny").params))
    bits = np.array([0x7FC12345, 0xFF800000, 0x80000000], np.uint32)  # NaN, -inf, -0
    params["action_decoder"]["layer2"]["bias"][0, :3] = bits.view(np.float32)
    odd = Checkpoint(params, golden("tiny").meta)
    checkpoint.save(odd, tmp_path / NAMES[kind])
    same(odd, checkpoint.load(tmp_path / NAMES[kind]))


@pytest.mark.parametrize("kind", NAMES)
def test_arrays_of_any_memory_order_and_of_jax(kind, tmp_path):
    params = jax.tree.map(np.asfortranarray, dict(golden("tiny").params))
    params["dit"] = jax.tree.map(jax.numpy.asarray, params["dit"])
    checkpoint.save(Checkpoint(params, golden("tiny").meta), tmp_path / NAMES[kind])
    same(golden("tiny"), checkpoint.load(tmp_path / NAMES[kind]))


# --- the original's .pt --------------------------------------------------------------------------


def test_a_written_pt_has_the_originals_entries_and_keeps_its_config(tmp_path):
    had = content("frames_games")
    had["ckpt_config"]["note"] = {"by": ["somebody", None]}
    had["ckpt_config"]["model_cfg"]["unheard_of"] = (1, 2.5)
    had["ckpt_config"]["tokenizer_cfg"]["table"] = np.arange(3)
    write_torch(tmp_path / "in.pt", had)
    shutil.copy(GOLDEN / "frames_games" / "vision.json", tmp_path)
    loaded = checkpoint.load(tmp_path / "in.pt")
    assert sorted(loaded.meta.notices) == [
        f"ckpt_config field {name} is not known and was ignored"
        for name in ("model_cfg.unheard_of", "note", "tokenizer_cfg.table")
    ]
    (tmp_path / "out").mkdir()
    checkpoint.save(loaded, tmp_path / "out" / "ng.pt")
    wrote = read_torch(tmp_path / "out" / "ng.pt")
    assert list(wrote) == ["model", "step", "epoch", "ckpt_config", "nitrogen_jax"]
    assert (wrote["step"], wrote["epoch"]) == (1234, 0)
    config = wrote["ckpt_config"]
    assert config["note"] == {"by": ["somebody", None]}
    assert config["model_cfg"]["unheard_of"] == [1, 2.5]
    assert config["tokenizer_cfg"]["table"] == [0, 1, 2]
    assert config["model_cfg"]["vision_encoder_name"] == "google/siglip2-large-patch16-256"
    for name, array in had["model"].items():
        assert wrote["model"][name].tobytes() == np.ascontiguousarray(array).tobytes()
    # Every field it came with is there unchanged: what is added are switches of our own.
    for section in ("tokenizer_cfg", "modality_cfg"):
        known = {k: v for k, v in had["ckpt_config"][section].items() if k != "table"}
        assert known.items() <= config[section].items()


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", GOLDENS)
def test_pytorch_takes_a_written_pt(name, tmp_path):
    """torch.load in both modes, a strict load into the reference, and equal outputs."""
    import torch

    from nitrogen_jax.bench import torch_reference

    checkpoint.save(golden(name), tmp_path / "ng.pt")
    vision = json.loads((GOLDEN / name / "vision.json").read_text())
    with np.load(GOLDEN / name / "io.npz") as file:
        given = {k: torch.from_numpy(file[k]) for k in ("images", "noise", "dropped", "game_ids")}
        wanted = file["sampled"]
    for safe in (True, False):
        wrote = torch.load(tmp_path / "ng.pt", weights_only=safe)
        first = torch.load(GOLDEN / name / "ng.pt", weights_only=safe)
        assert set(wrote["model"]) == set(first["model"])
        assert all(torch.equal(wrote["model"][k], v) for k, v in first["model"].items())
        games = vision["games"] and len(vision["games"])
        model = torch_reference.build(wrote["ckpt_config"], vision["vision"], games)
        model.load_state_dict(wrote["model"], strict=True)
    found = model.sample(given["images"], given["noise"], given["dropped"], given["game_ids"])
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


@pytest.mark.needs("torch")
def test_pytorch_takes_a_policy_of_our_own(tmp_path):
    """One that never was the original's, so that its ckpt_config is all ours."""
    import torch

    from nitrogen_jax.bench import torch_reference
    from nitrogen_jax.weights import tower_sizes

    cfg = dataclasses.replace(policy_preset("test"), games=3, context_length=5)
    rng = np.random.default_rng(0)
    flat = rules.flatten(policy.shapes(cfg))
    flat = {name: rng.standard_normal(leaf.shape, np.float32) for name, leaf in flat.items()}
    made = Checkpoint(rules.unflatten(flat), Meta(cfg))
    checkpoint.save(made, tmp_path / "own.pt")
    wrote = torch.load(tmp_path / "own.pt", weights_only=True)
    model = torch_reference.build(wrote["ckpt_config"], tower_sizes.to_json(cfg.vision), 3)
    model.load_state_dict(wrote["model"], strict=True)
    held = {name: value.numpy() for name, value in model.state_dict().items()}
    for name, array in original.to_tensors(made).items():
        np.testing.assert_array_equal(held[name], array)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64])
def test_other_float_types_become_float32(dtype, place):
    had = content()
    had["model"] = {name: array.astype(dtype) for name, array in had["model"].items()}
    write_torch(place / "ng.pt", had)
    found = rules.flatten(checkpoint.load(place / "ng.pt").params)
    for path, array in rules.flatten(golden("tiny").params).items():
        assert found[path].dtype == np.float32
        np.testing.assert_array_equal(found[path], array.astype(dtype).astype(np.float32))


def test_games_are_seen_in_the_tensors(tmp_path):
    """Without a vision.json to name them, the embedding still has its rows."""
    path = tmp_path / "ng.pt"
    shutil.copy(GOLDEN / "frames_games" / "ng.pt", path)
    sizes = json.loads((GOLDEN / "frames_games" / "vision.json").read_text())["vision"]
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    meta = checkpoint.load(path, vision=tmp_path / "sizes.json").meta
    assert (meta.config.games, meta.games) == (3, None)


# --- whose sizes of the tower count --------------------------------------------------------------


def heads(place, count, name):
    sizes = json.loads((GOLDEN / "tiny" / "vision.json").read_text())
    sizes["vision"]["num_attention_heads"] = count
    (place / name).write_text(json.dumps(sizes))
    return place / name


@pytest.mark.parametrize("kind", NAMES)
def test_option_then_beside_then_inside(kind, tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / NAMES[kind])
    assert checkpoint.load(tmp_path / NAMES[kind]).meta.config.vision.heads == 2
    heads(tmp_path, 4, "vision.json")
    assert checkpoint.load(tmp_path / NAMES[kind]).meta.config.vision.heads == 4
    option = heads(tmp_path, 8, "option.json")
    assert checkpoint.load(tmp_path / NAMES[kind], option).meta.config.vision.heads == 8


@pytest.mark.parametrize("kind", NAMES)
def test_sizes_that_contradict_the_tensors(kind, tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / NAMES[kind])
    sizes = json.loads((GOLDEN / "tiny" / "vision.json").read_text())
    sizes["vision"]["intermediate_size"] = 65
    (tmp_path / "vision.json").write_text(json.dumps(sizes))
    with pytest.raises(NitrogenError) as caught:
        checkpoint.load(tmp_path / NAMES[kind])
    # in every layer and in the head: a kernel, its bias, and the kernel after them
    assert str(caught.value).count("mis-shaped: ") == (12 + 1) * 3


def test_the_original_without_sizes_of_its_tower(tmp_path):
    shutil.copy(GOLDEN / "tiny" / "ng.pt", tmp_path)
    with pytest.raises(NitrogenError, match=r"hidden_size is 32 and the tower google/.*1024"):
        checkpoint.load(tmp_path / "ng.pt")


# --- the original's tensors in a .safetensors ----------------------------------------------------


def test_tensors_of_the_original_with_their_config_beside(place):
    had = content()
    arrays = {name: np.ascontiguousarray(array) for name, array in had["model"].items()}
    safetensors_numpy.save_file(arrays, place / "model.safetensors")
    with pytest.raises(NitrogenError, match=r"need ckpt_config.json beside them"):
        checkpoint.load(place / "model.safetensors")
    (place / "ckpt_config.json").write_text(json.dumps(had["ckpt_config"]))
    found = checkpoint.load(place)
    assert found.meta.config == golden("tiny").meta.config
    as_pt = dataclasses.replace(golden("tiny").meta, step=0, provenance=found.meta.provenance)
    same(Checkpoint(golden("tiny").params, as_pt), found)


# --- a file of ours that other hands changed -----------------------------------------------------


def test_step_of_a_continued_training(tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / "x.pt")
    had = {**read_torch(tmp_path / "x.pt"), "step": np.array(2000), "epoch": None}
    write_torch(tmp_path / "y.pt", had)
    meta = checkpoint.load(tmp_path / "y.pt").meta
    assert (meta.step, meta.epoch) == (2000, 0)


def test_metadata_and_ckpt_config_that_disagree(tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / "x.pt")
    had = read_torch(tmp_path / "x.pt")
    had["ckpt_config"]["modality_cfg"]["action_shift"] = 5
    write_torch(tmp_path / "y.pt", had)
    message = "action_shift is 3 in its entry 'nitrogen_jax' and 5 in its ckpt_config"
    with pytest.raises(NitrogenError, match=message):
        checkpoint.load(tmp_path / "y.pt")
    del had["nitrogen_jax"]
    write_torch(tmp_path / "y.pt", had)
    shutil.copy(GOLDEN / "tiny" / "vision.json", tmp_path)
    assert checkpoint.load(tmp_path / "y.pt").meta.config.action_shift == 5


@pytest.mark.parametrize("entry", ["{", "[" * 100_000, 3, None, "{}", '{"format": "other"}'])
def test_metadata_in_a_pt_that_is_none(entry, tmp_path):
    checkpoint.save(golden("tiny"), tmp_path / "x.pt")
    write_torch(tmp_path / "y.pt", {**read_torch(tmp_path / "x.pt"), "nitrogen_jax": entry})
    with pytest.raises(NitrogenError, match=r"is not JSON text|not that of a nitrogen_jax"):
        checkpoint.load(tmp_path / "y.pt")


def altered(kind, place, /, **changes):
    """A checkpoint of `kind` whose metadata has entries replaced; "a__b" goes inside."""
    data = to_json(golden("tiny").meta)
    for path, value in changes.items():
        node = data
        *parents, last = path.split("__")
        for name in parents:
            node = node[name]
        node[last] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nitrogen_jax.weights.meta.to_json", lambda meta: data)
        checkpoint.save(golden("tiny"), place / NAMES[kind])
    return place / NAMES[kind]


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": "t=1 noise"}, "its time convention is 't=1 noise'"),
        ({"version": 2}, "format version 2 and this program reads up to 1"),
        ({"action__layout": "sticks_first"}, "action.layout is 'sticks_first'"),
        ({"action__dimensions": ["A", "B"]}, "action.dimensions is"),
        ({"kind": "dream"}, "its kind is 'dream'"),
    ],
)
def test_conventions_that_are_not_ours(kind, change, message, tmp_path):
    path = altered(kind, tmp_path, **change)
    with pytest.raises(NitrogenError, match=message):
        checkpoint.load(path)


# --- tensors that do not fit: all in one error ---------------------------------------------------


def test_every_tensor_that_does_not_fit_is_listed(place):
    had = content()
    tensors = had["model"]
    del tensors["model.proj_out_1.bias"], tensors["position_embedding.weight"]
    tensors["model.proj_out_2.weight"] = np.zeros((32, 31), np.float32)
    tensors["model.proj_out_2.bias"] = np.zeros(32, np.int64)
    tensors["surplus"] = np.zeros((2, 2), np.float32)
    tensors["action_encoder.W1.W"] = tensors["action_encoder.W1.W"].astype(np.uint8)
    write_torch(place / "ng.pt", had)
    with pytest.raises(NitrogenError) as caught:
        checkpoint.load(place / "ng.pt")
    head, *listing, hint = str(caught.value).splitlines()
    assert head == f"{place / 'ng.pt'}: 6 tensor(s) do not fit the configuration:"
    assert sorted(line.strip() for line in listing) == [
        "extra: surplus (2, 2)",
        "mis-shaped: model.proj_out_2.weight is (32, 31), needed (32, 32)",
        "mis-typed: action_encoder.W1.W is uint8, needed a float type",
        "mis-typed: model.proj_out_2.bias is int64, needed a float type",
        "missing: model.proj_out_1.bias (64,)",
        "missing: position_embedding.weight (64, 32)",
    ]
    assert "--vision FILE" in hint


def misfits():
    """Our own parameters, one missing, one too many, one mis-shaped, one mis-typed."""
    flat = dict(rules.flatten(golden("tiny").params))
    del flat["dit/out/bias"]
    flat["dit/more/bias"] = np.zeros(3, np.float32)
    flat["dit/out/kernel"] = np.zeros((32, 31), np.float32)
    flat["position_embedding"] = np.zeros((64, 32), np.int32)
    return Checkpoint(rules.unflatten(flat), golden("tiny").meta)


@pytest.mark.parametrize("kind", ["safetensors", "orbax"])
def test_the_same_of_our_own_formats(kind, tmp_path):
    checkpoint.save(misfits(), tmp_path / NAMES[kind])
    with pytest.raises(NitrogenError) as caught:
        checkpoint.load(tmp_path / NAMES[kind])
    text = str(caught.value)
    assert "4 tensor(s) do not fit" in text
    assert "missing: dit/out/bias (32,)" in text
    assert "extra: dit/more/bias (3,)" in text
    assert "mis-shaped: dit/out/kernel is (32, 31), needed (32, 32)" in text
    assert "mis-typed: position_embedding is " in text


@pytest.mark.parametrize("kind", ["safetensors", "orbax"])
def test_our_own_formats_take_other_floats(kind, tmp_path):
    half = jax.tree.map(lambda leaf: leaf.astype(ml_dtypes.bfloat16), dict(golden("tiny").params))
    checkpoint.save(Checkpoint(half, golden("tiny").meta), tmp_path / NAMES[kind])
    wanted = jax.tree.map(lambda leaf: leaf.astype(np.float32), half)
    same(Checkpoint(wanted, golden("tiny").meta), checkpoint.load(tmp_path / NAMES[kind]))


# --- files that are no checkpoints ---------------------------------------------------------------


class Evil:
    """Unpickled by Python itself, it would leave a file."""

    def __init__(self, folder: Path):
        self.command = f"touch '{folder / 'was_here'}'"

    def __reduce__(self):
        return os.system, (self.command,)


def as_zip(path: Path, code: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", code)
        archive.writestr("archive/version", "3\n")


PICTURE = (DATA / "frame.png").read_bytes()
TEXT = b"the weights are on the other disk\n"
DEEP = b'{"a":' + b"[" * 100_000
# name -> bytes; what a user may point at by mistake or malice
FILES = {
    "notes.txt": TEXT,
    "notes.pt": TEXT,
    "notes.safetensors": TEXT,
    "empty": b"",
    "empty.pt": b"",
    "empty.safetensors": b"",
    "frame.png": PICTURE,
    "frame.pt": PICTURE,
    "huge_header.safetensors": b"\xff" * 7 + b"\x7f" + b'{"a": 1}' + b"x" * 99,
    "long_header.safetensors": (90_000_000).to_bytes(8, "little") + b'{"a": 1}',
    "broken_json.safetensors": (10).to_bytes(8, "little") + b'{"a":  12,',
    "deep_json.safetensors": len(DEEP).to_bytes(8, "little") + DEEP,
    "zip.pt": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_checkpoints(name, tmp_path):
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(NitrogenError) as caught:
        checkpoint.load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["evil.pt", "bare.pt", "bare.pkl"])
def test_a_malicious_pickle_runs_nothing(name, tmp_path):
    code = pickle.dumps({"model": Evil(tmp_path)}, protocol=2)
    if name == "evil.pt":
        as_zip(tmp_path / name, code)
    else:
        (tmp_path / name).write_bytes(code)
    with pytest.raises(NitrogenError):
        checkpoint.load(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    pickle.loads(code)  # the proof that it would have
    assert (tmp_path / "was_here").exists()


def test_folders_and_names_that_are_no_checkpoints(tmp_path):
    def message(path):
        with pytest.raises(NitrogenError) as caught:
            checkpoint.load(path)
        return str(caught.value)

    assert "holds 0 .pt or .safetensors files" in message(tmp_path)
    (tmp_path / "a.pt").touch()
    (tmp_path / "b.safetensors").touch()
    assert "holds 2 .pt or .safetensors files" in message(tmp_path)
    assert message(tmp_path / "gone") == f"checkpoint {tmp_path / 'gone'} does not exist"
    assert "File name too long" in message(tmp_path / ("x" * 300))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_truncated_files(kind, share, place):
    checkpoint.save(golden("tiny"), place / NAMES[kind])
    data = (place / NAMES[kind]).read_bytes()
    (place / NAMES[kind]).write_bytes(data[: int(share * len(data))])
    with pytest.raises(NitrogenError) as caught:
        checkpoint.load(place / NAMES[kind])
    assert str(caught.value).startswith(f"{place / NAMES[kind]} ")
    assert "\n" not in str(caught.value)


def test_pt_files_that_hold_something_else(place):
    had = content()

    def message(entries):
        write_torch(place / "x.pt", entries)
        with pytest.raises(NitrogenError) as caught:
            checkpoint.load(place / "x.pt")
        assert str(caught.value).startswith(f"{place / 'x.pt'}")
        return str(caught.value)

    without = {key: had[key] for key in ("model", "step", "epoch")}
    assert "no entry 'ckpt_config'" in message(without)
    assert "no entry 'model' beside step, epoch" in message({"step": 1, "epoch": 2})
    assert "holds a list, not a checkpoint" in message([1, 2])
    assert "without 'ckpt_config' beside them" in message(had["model"])
    assert "'model' is not a table of tensors" in message({**had, "model": [1]})
    assert "model entry 'a' is not a tensor" in message({**had, "model": {"a": 1}})
    assert "model entry 3 is not a tensor" in message({**had, "model": {3: np.zeros(2)}})
    assert "step is 'x', where a whole number is needed" in message({**had, "step": "x"})
    assert "no model_cfg" in message({**had, "ckpt_config": "x"})
    assert "315 tensor(s) do not fit" in message({**had, "model": {}})
    games = {**had["model"], "game_embedding.weight": np.zeros(3, np.float32)}
    assert "game_embedding.weight is (3,), where (games, width)" in message({**had, "model": games})


def test_a_safetensors_file_of_another_kind(tmp_path):
    arrays = {"bert.embeddings.weight": np.zeros((2, 3), np.float32)}
    safetensors_numpy.save_file(arrays, tmp_path / "x.safetensors")
    with pytest.raises(NitrogenError, match="neither a checkpoint of nitrogen_jax, nor NitroGen"):
        checkpoint.load(tmp_path / "x.safetensors")
    for note in ("{", "[" * 100_000):
        safetensors_numpy.save_file(arrays, tmp_path / "x.safetensors", {"nitrogen_jax": note})
        with pytest.raises(NitrogenError, match="its metadata is not JSON text"):
            checkpoint.load(tmp_path / "x.safetensors")


# --- Orbax folders -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orbax(tmp_path_factory):
    """A whole one, to be copied and damaged."""
    path = tmp_path_factory.mktemp("orbax") / "x"
    checkpoint.save(golden("tiny"), path)
    return path


def files(folder: Path) -> list[Path]:
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("damage", ["missing", "half"])
def test_a_damaged_orbax_folder_is_refused_or_read_right(damage, orbax, tmp_path, capfd):
    """Some of its files are not read at all; without the others it is one sentence, no noise."""
    refused, largest = set(), max(files(orbax), key=lambda name: (orbax / name).stat().st_size)
    must = {"_CHECKPOINT_METADATA", "params/_METADATA", "params/manifest.ocdbt", str(largest)}
    damaged = files(orbax) if damage == "missing" else [Path(name) for name in must]
    for number, name in enumerate(damaged):
        folder = tmp_path / str(number)
        shutil.copytree(orbax, folder)
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        if damage == "half":
            (folder / name).write_bytes(whole[: len(whole) // 2])
        problem = None
        try:
            found = checkpoint.load(folder)
        except NitrogenError as error:
            problem = str(error)
        if problem is None:
            same(golden("tiny"), found)
        else:
            refused.add(name.as_posix())
            assert problem.startswith(str(folder))
            assert "\n" not in problem
        shutil.rmtree(folder)
    assert must <= refused
    assert capfd.readouterr().err == ""


def test_an_orbax_folder_of_another_project(tmp_path):
    from orbax.checkpoint import v1 as ocp

    tree = {"layer": {"kernel": np.ones((2, 3), np.float32)}}
    ocp.save(tmp_path / "a", tree, checkpointable_name="params", custom_metadata={"by": "them"})
    with pytest.raises(NitrogenError, match="but none of nitrogen_jax: its custom metadata has no"):
        checkpoint.load(tmp_path / "a")
    ocp.save(tmp_path / "b", tree, checkpointable_name="state")
    with pytest.raises(NitrogenError, match="is not a complete Orbax checkpoint with an item"):
        checkpoint.load(tmp_path / "b")
    note = {"nitrogen_jax": to_json(golden("tiny").meta)}
    odd = {"layer": "text", "number": 3}
    ocp.save(tmp_path / "c", odd, checkpointable_name="params", custom_metadata=note)
    with pytest.raises(NitrogenError, match="tensor\\(s\\) do not fit"):
        checkpoint.load(tmp_path / "c")


# --- nothing is left behind ----------------------------------------------------------------------


class Stopped(BaseException):
    """As Ctrl-C is: no Exception."""


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", NAMES)
def test_a_stop_while_writing_leaves_what_was_there(kind, overwrite, tmp_path):
    before = []
    if overwrite:
        checkpoint.save(golden("tiny"), tmp_path / NAMES[kind])
        before = [(name, (tmp_path / name).read_bytes()) for name in files(tmp_path)]

    def stop(amount):
        raise Stopped

    with pytest.raises(Stopped):
        checkpoint.save(golden("frames_games"), tmp_path / NAMES[kind], stop)
    assert [(name, (tmp_path / name).read_bytes()) for name in files(tmp_path)] == before
    assert [p.name for p in tmp_path.iterdir()] == ([NAMES[kind]] if overwrite else [])


def test_what_orbax_leaves_when_it_fails_is_cleared_away(tmp_path, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    def fail(path, *args, **kwargs):
        (path.parent / f"{path.name}.orbax-checkpoint-tmp").mkdir()  # as it does
        raise ValueError("the outside") from RuntimeError("RESOURCE_EXHAUSTED: no room\nat 1")

    monkeypatch.setattr(ocp, "save", fail)
    with pytest.raises(NitrogenError, match=r"x: RESOURCE_EXHAUSTED: no room$"):
        checkpoint.save(golden("tiny"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", NAMES)
def test_a_full_disk_is_one_sentence(kind, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    where = {
        "torch": "zipfile.ZipFile.open",
        "safetensors": "safetensors.numpy.serialize_file",
        "orbax": "orbax.checkpoint.v1.save",
    }
    monkeypatch.setattr(where[kind], fail)
    with pytest.raises(NitrogenError, match=r"cannot write .*: No space left on device"):
        checkpoint.save(golden("tiny"), tmp_path / NAMES[kind])
    assert list(tmp_path.iterdir()) == []


def test_orbax_asks_for_room_first(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NitrogenError, match="962,916 bytes are needed, 1,000 free"):
        checkpoint.save(golden("tiny"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", NAMES)
def test_a_folder_that_is_not_there(kind, tmp_path):
    with pytest.raises(NitrogenError, match=r"the folder .*gone does not exist"):
        checkpoint.save(golden("tiny"), tmp_path / "gone" / NAMES[kind])


def test_a_tower_is_no_pt(tmp_path):
    tower = Checkpoint({}, Meta(vision_preset("test")))
    with pytest.raises(NitrogenError, match="holds a whole policy, and this checkpoint is a"):
        checkpoint.save(tower, tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


# --- SigLIP towers as transformers publishes them ------------------------------------------------

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 30,  # two whole patches and two pixels that nobody looks at
    "patch_size": 14,
}
TEXT_SIZES = {
    "hidden_size": 24,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 20,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
KINDS = ("vision", "whole", "classifier")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """kind -> (folder of save_pretrained, frames, tokens, pooled vector)."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("published")
    frames = np.random.default_rng(0).integers(0, 256, (2, 30, 30, 3)).astype(np.uint8)
    pixels = torch.from_numpy((frames / 255 - 0.5) / 0.5).float().movedim(-1, 1)
    both = transformers.SiglipConfig(text_config=TEXT_SIZES, vision_config=SIZES)
    made = {
        "vision": transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SIZES)),
        "whole": transformers.SiglipModel(both),
        "classifier": transformers.SiglipForImageClassification(both),
    }
    torch.manual_seed(0)
    found = {}
    for kind, model in made.items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.15)
            tower = model.eval() if kind == "vision" else model.eval().vision_model
            out = tower(pixel_values=pixels)
        model.save_pretrained(root / kind)
        found[kind] = (root / kind, frames, out.last_hidden_state, out.pooler_output)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_tower_gives_the_outputs_of_transformers(kind, published):
    folder, frames, tokens, pooled = published[kind]
    loaded = checkpoint.load(folder)
    cfg = loaded.meta.config
    assert (loaded.meta.kind, cfg.name, cfg.tokens) == ("vision", kind, 4)
    assert set(rules.flatten(loaded.params)) == set(rules.flatten(checkpoint.shapes(loaded.meta)))
    found = siglip2.tokens(cfg, loaded.params, frames, compute=FLOAT32)
    np.testing.assert_allclose(np.asarray(found), tokens.numpy(), atol=1e-4)
    found = siglip2.pooled(cfg, loaded.params, frames, compute=FLOAT32)
    np.testing.assert_allclose(np.asarray(found), pooled.numpy(), atol=1e-4)
    same(loaded, checkpoint.load(folder / "model.safetensors"))


def tower_file(folder: Path, tensors, *, sizes=True) -> Path:
    """A file of a tower's tensors, with the config.json that goes with SIZES or without."""
    safetensors_numpy.save_file(dict(tensors), folder / "model.safetensors")
    if sizes:
        published = {"model_type": "siglip_vision_model", **SIZES}
        (folder / "config.json").write_text(json.dumps(published))
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def tower():
    """(parameters, their published names and arrays) of a small random tower."""
    cfg = dataclasses.replace(vision_preset("test"), name="model")
    cfg = dataclasses.replace(cfg, image_size=30, patch_size=14, width=24, heads=3, mlp=40)
    params = jax.jit(lambda key: siglip2.init(cfg, key))(jax.random.key(0))
    params = jax.tree.map(np.asarray, params)
    return params, original.to_tensors(Checkpoint(params, Meta(cfg)))


@pytest.mark.parametrize(
    "prefix", ["", "vision_model.", "vision_encoder.", "model.vision_tower.vision_model."]
)
def test_names_of_a_tower_inside_something_larger(prefix, tower, tmp_path):
    params, tensors = tower
    more = {"text_model.final_layer_norm.weight": np.zeros(3), "logit_scale": np.zeros(1)}
    renamed = {prefix + name: array for name, array in tensors.items()}
    loaded = checkpoint.load(tower_file(tmp_path, renamed | more))
    same(Checkpoint(params, loaded.meta), loaded)


def test_a_tower_in_half_precision(tower, tmp_path):
    params, tensors = tower
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in tensors.items()}
    loaded = checkpoint.load(tower_file(tmp_path, half))
    wanted = jax.tree.map(lambda leaf: leaf.astype(ml_dtypes.bfloat16).astype(np.float32), params)
    same(Checkpoint(wanted, loaded.meta), loaded)


def test_a_tower_as_pytorch_saves_it(tower, tmp_path):
    params, tensors = tower
    write_torch(tmp_path / "tower.pt", {f"vision_model.{k}": v for k, v in tensors.items()})
    (tmp_path / "config.json").write_text(json.dumps(SIZES))
    loaded = checkpoint.load(tmp_path)
    assert loaded.meta.config.name == tmp_path.name
    same(Checkpoint(params, loaded.meta), loaded)


@pytest.mark.parametrize("kind", ["safetensors", "orbax"])
def test_a_converted_tower_knows_its_sizes(kind, tower, tmp_path):
    source = checkpoint.load(tower_file(tmp_path, tower[1]))
    (tmp_path / "out").mkdir()
    checkpoint.save(source, tmp_path / "out" / NAMES[kind])
    same(source, checkpoint.load(tmp_path / "out" / NAMES[kind]))


def test_where_the_sizes_of_a_tower_come_from(tower, tmp_path):
    path = tower_file(tmp_path, tower[1], sizes=False)
    with pytest.raises(NitrogenError, match=r"sizes are not known: put its config.json beside it"):
        checkpoint.load(path)
    (tmp_path / "config.json").write_text(json.dumps(SIZES))
    assert checkpoint.load(path).meta.config.heads == 3
    sizes = {**SIZES, "num_attention_heads": 4}
    (tmp_path / "vision.json").write_text(json.dumps(sizes))
    assert checkpoint.load(path).meta.config.heads == 4
    (tmp_path / "mine.json").write_text(json.dumps({**SIZES, "num_attention_heads": 6}))
    assert checkpoint.load(path, tmp_path / "mine.json").meta.config.heads == 6
    with pytest.raises(NitrogenError, match="sizes are those of test; give others with --vision"):
        checkpoint.load(path, "test")


def test_a_preset_gives_the_sizes_of_a_tower(tmp_path):
    cfg = vision_preset("test")
    params = jax.jit(lambda key: siglip2.init(cfg, key))(jax.random.key(0))
    tensors = original.to_tensors(Checkpoint(params, Meta(cfg)))
    loaded = checkpoint.load(tower_file(tmp_path, tensors, sizes=False), "test")
    assert loaded.meta.config == cfg


def test_towers_that_lack_a_part_or_are_two(tower, tmp_path):
    headless = {name: array for name, array in tower[1].items() if not name.startswith("head.")}
    with pytest.raises(NitrogenError, match="11 tensor\\(s\\) do not fit") as caught:
        checkpoint.load(tower_file(tmp_path, headless))
    assert str(caught.value).count("missing: head.") == 11
    two = {f"{part}.{name}": array for part in "ab" for name, array in tower[1].items()}
    with pytest.raises(NitrogenError, match="neither a checkpoint of nitrogen_jax"):
        checkpoint.load(tower_file(tmp_path, two))


def test_numbers_of_eight_bits_are_refused(tower, tmp_path):
    tensors = {k: v.astype(ml_dtypes.float8_e4m3fn) for k, v in tower[1].items()}
    with pytest.raises(NitrogenError, match=r"mis-typed: post_layernorm\.weight is F8_E4M3"):
        checkpoint.load(tower_file(tmp_path, tensors))
