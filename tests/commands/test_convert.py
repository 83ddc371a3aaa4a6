"""`nitrogen convert`: what it prints, what it refuses, and that a refusal leaves nothing."""

from __future__ import annotations

import functools
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("orbax.checkpoint")
save_file = pytest.importorskip("safetensors.numpy").save_file

from nitrogen_jax import cli  # noqa: E402
from nitrogen_jax.models import policy, siglip2  # noqa: E402
from nitrogen_jax.weights import checkpoint, provenance, rules  # noqa: E402
from nitrogen_jax.weights.torch_read import read_torch  # noqa: E402
from nitrogen_jax.weights.torch_write import write_torch  # noqa: E402

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden"
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes most of the time of a load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "shapes", functools.cache(policy.shapes))
        patch.setattr(siglip2, "shapes", functools.cache(siglip2.shapes))
        yield


@pytest.fixture
def convert(capsys):
    """Runs the verb: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["convert", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(convert):
    """Runs the verb on what must be refused; its one sentence. Nothing may be left or changed."""

    def run(*arguments, within):
        before = snapshot(within)
        code, out, error = convert(*arguments)
        assert code == 2
        assert out == ""
        assert error.startswith("nitrogen convert: ")
        assert "Traceback" not in error
        assert snapshot(within) == before
        return error.removeprefix("nitrogen convert: ").rstrip("\n")

    return run


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every name below the folder, hidden ones too, and the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def source(tmp_path):
    """A copy of a golden's checkpoint with its sizes beside it, in a folder of its own."""
    (tmp_path / "in").mkdir()
    for name in ("ng.pt", "vision.json"):
        shutil.copy(GOLDEN / "tiny" / name, tmp_path / "in")
    (tmp_path / "out").mkdir()
    return tmp_path / "in" / "ng.pt"


def content() -> dict:
    read = read_torch(GOLDEN / "tiny" / "ng.pt")
    config = json.loads(json.dumps(read["ckpt_config"]))
    return {**read, "model": dict(read["model"]), "ckpt_config": config}


def rewritten(source: Path, **entries) -> Path:
    """`source` with entries of its model or of its ckpt_config (dotted) replaced."""
    had = content()
    for path, value in entries.items():
        node = had
        *parents, last = path.split("__")
        for name in parents:
            node = node[name]
        node[last] = value
    write_torch(source, had)
    return source


# --- what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("x", "orbax"), ("x.safetensors", "safetensors"), ("x.pt", "torch")]
)
@pytest.mark.parametrize("golden", ["tiny", "frames_games"])
def test_one_line_says_what_was_written(convert, tmp_path, golden, name, kind):
    code, out, error = convert(GOLDEN / golden, tmp_path / name)
    assert (code, error) == (0, "")
    tensors, parameters = {"tiny": (315, "240,729"), "frames_games": (316, "240,825")}[golden]
    pattern = rf"{tmp_path / name}: {kind}, {tensors} tensors, {parameters} parameters, [\d.]+ s\n"
    assert re.fullmatch(pattern, out)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    wrote, came = checkpoint.load(tmp_path / name), checkpoint.load(GOLDEN / golden)
    wrote, came = rules.flatten(wrote.params), rules.flatten(came.params)
    assert {k: v.tobytes() for k, v in wrote.items()} == {k: v.tobytes() for k, v in came.items()}


def test_json(convert, tmp_path):
    source = GOLDEN / "tiny" / "ng.pt"
    code, out, _ = convert(source, tmp_path / "a :heart: [b].pt", "--json")
    assert code == 0
    (line,) = out.splitlines()
    data = json.loads(line)
    assert data.pop("seconds") >= 0
    assert data == {
        "source": str(source),
        "destination": str(tmp_path / "a :heart: [b].pt"),
        "format": "torch",
        "kind": "policy",
        "tensors": 315,
        "parameters": 240_729,
        "notices": [],
    }


def test_where_it_came_from_is_written_down(convert, tmp_path):
    convert(GOLDEN / "tiny" / "ng.pt", tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "two.safetensors")
    found = checkpoint.load(tmp_path / "two.safetensors").meta.provenance
    assert found["source"] == "one"
    assert found["sha256"] == provenance.sha256(tmp_path / "one")
    assert found["from"]["source"] == "ng.pt"
    assert found["from"]["sha256"] == provenance.sha256(GOLDEN / "tiny" / "ng.pt")
    assert found["from"]["source_format"] == "nitrogen"


def test_overwrite_replaces_the_same_kind(convert, tmp_path):
    for name in ("x", "x.safetensors", "x.pt"):
        assert convert(GOLDEN / "tiny", tmp_path / name)[0] == 0
        assert convert(GOLDEN / "frames_games", tmp_path / name, "--overwrite")[0] == 0
        assert checkpoint.load(tmp_path / name).meta.config.games == 3
    (tmp_path / "empty").mkdir()
    assert convert(GOLDEN / "tiny", tmp_path / "empty", "--overwrite")[0] == 0


def test_relative_names(convert, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    assert convert("ng.pt", "x.safetensors")[0] == 0
    assert convert(".", "../out/y")[0] == 2  # two files in the folder now
    assert convert("x.safetensors", "../out/y")[0] == 0
    monkeypatch.chdir("../out")
    assert convert("y", "../z.pt")[0] == 0
    assert (source.parents[1] / "z.pt").is_file()


def test_unknown_fields_are_notices(convert, source, tmp_path):
    rewritten(source, ckpt_config__note=1, ckpt_config__model_cfg__more={"a": [2]})
    code, out, _ = convert(source, tmp_path / "x.safetensors", "--json")
    assert code == 0
    assert sorted(json.loads(out)["notices"]) == [
        "ckpt_config field model_cfg.more is not known and was ignored",
        "ckpt_config field note is not known and was ignored",
    ]
    kept = checkpoint.load(tmp_path / "x.safetensors").meta.original_config
    assert kept["model_cfg"]["more"] == {"a": [2]}


def test_notices_are_logged(convert, source, tmp_path, caplog):
    rewritten(source, ckpt_config__note=1)
    assert convert(source, tmp_path / "x.safetensors")[0] == 0
    assert caplog.messages == ["ckpt_config field note is not known and was ignored"]


def test_not_a_number_is_a_number_like_others_here(convert, source, tmp_path):
    bias = np.full(25, np.nan, np.float32)
    name = "action_decoder.layer2.b"
    rewritten(source, **{f"model__{name}": bias[None]})
    assert convert(source, tmp_path / "x.pt")[0] == 0
    wrote = read_torch(tmp_path / "x.pt")["model"][name]
    assert wrote.tobytes() == bias.tobytes()


@pytest.fixture
def tower(tmp_path):
    """A published tower: model.safetensors and config.json."""
    import jax

    from nitrogen_jax.models.configs import VisionConfig
    from nitrogen_jax.weights import original
    from nitrogen_jax.weights.meta import Meta

    cfg = VisionConfig("x", 8, 4, 16, 1, 2, 24)
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), siglip2.shapes(cfg))
    tensors = original.to_tensors(checkpoint.Checkpoint(params, Meta(cfg)))
    folder = tmp_path / "siglip"
    folder.mkdir()
    save_file({f"vision_model.{k}": v for k, v in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "siglip", **SIZES}))
    return folder


def test_a_tower_alone(convert, tower, tmp_path):
    for name in ("t", "t.safetensors"):
        code, out, _ = convert(tower, tmp_path / name, "--json")
        assert code == 0
        assert json.loads(out)["kind"] == "vision"
        assert checkpoint.load(tmp_path / name).meta.config.heads == 2


def test_the_sizes_of_a_tower_may_be_given(convert, refused, tower, tmp_path):
    (tower / "config.json").rename(tmp_path / "elsewhere.json")
    sentence = refused(tower, tmp_path / "t", within=tmp_path)
    assert "the tower's sizes are not known: put its config.json beside it" in sentence
    assert convert(tower, tmp_path / "t", "--vision", tmp_path / "elsewhere.json")[0] == 0


# --- destinations that are refused ----------------------------------------------------------------


def test_a_tower_is_no_pt(refused, tower, tmp_path):
    sentence = refused(tower, tmp_path / "t.pt", within=tmp_path)
    assert "the .pt format holds a whole policy, and this checkpoint is a vision tower" in sentence


@pytest.mark.parametrize("name", ["x", "x.pt", "x.safetensors"])
def test_what_is_there_is_kept(refused, source, tmp_path, name):
    (tmp_path / "out" / name).write_text("mine")
    sentence = refused(source, tmp_path / "out" / name, within=tmp_path)
    assert sentence.endswith("exists already: give another name or --overwrite")


def test_the_source_is_kept(refused, source, tmp_path):
    for options in ((), ("--overwrite",)):
        assert "is the source" in refused(source, source, *options, within=tmp_path)
        link = tmp_path / "out" / "link.pt"
        if not link.exists():
            link.symlink_to(source)
        assert "is the source" in refused(source, link, *options, within=tmp_path)
        # The folder that the source is in would be deleted with it.
        assert "the source or holds it" in refused(source, source.parent, *options, within=tmp_path)
        assert "holds it" in refused(source.parent, source.parent, *options, within=tmp_path)


def test_overwrite_deletes_checkpoints_only(refused, source, tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    (precious / "photos").mkdir(parents=True)
    (precious / "photos" / "a.png").write_text("mine")
    monkeypatch.chdir(precious)
    for name in (precious, precious / "photos", ".", "photos/..", "./photos"):
        sentence = refused(source, name, "--overwrite", within=tmp_path)
        assert "a folder of other things than an Orbax checkpoint" in sentence
    (tmp_path / "out" / "x.pt").mkdir()
    sentence = refused(source, tmp_path / "out" / "x.pt", "--overwrite", within=tmp_path)
    assert sentence.endswith("is a folder and a file is to be written: give another name")
    (tmp_path / "out" / "x").write_text("mine")
    sentence = refused(source, tmp_path / "out" / "x", "--overwrite", within=tmp_path)
    assert sentence.endswith("is a file and a folder is to be written: give another name")


@pytest.mark.parametrize("name", ["gone/x.pt", "gone/x", "in/ng.pt/x"])
def test_a_folder_that_is_not_there(refused, source, tmp_path, name):
    sentence = refused(source, tmp_path / name, within=tmp_path)
    assert sentence == f"the folder {(tmp_path / name).parent} does not exist"


# --- sources that are refused ---------------------------------------------------------------------


class Evil:
    """Unpickled by Python itself, it would leave a file."""

    def __init__(self, folder):
        self.command = f"touch '{folder / 'was_here'}'"

    def __reduce__(self):
        return os.system, (self.command,)


def truncated(share):
    def make(path):
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        return path

    return make


def holding(data, name="ng.pt"):
    def make(path):
        path.unlink()
        path = path.with_name(name)
        path.write_bytes(data)
        return path

    return make


def evil(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ng/data.pkl", pickle.dumps({"model": Evil(path.parent)}, protocol=2))
    return path


def empty_folder(path):
    (path.parent / "nothing").mkdir()
    return path.parent / "nothing"


def with_sizes(**sizes):
    def make(path):
        data = json.loads((path.parent / "vision.json").read_text())
        data["vision"].update(sizes)
        (path.parent / "vision.json").write_text(json.dumps(data))
        return path

    return make


def without_sizes(path):
    (path.parent / "vision.json").unlink()
    return path


def with_entries(**entries):
    return lambda path: rewritten(path, **entries)


PICTURE = (DATA / "frame.png").read_bytes()
BAD = {
    "cut at the start": (truncated(0.001), "ng.pt"),
    "cut in the middle": (truncated(0.5), "ng.pt"),
    "cut near the end": (truncated(0.9), "ng.pt"),
    "cut in its table": (truncated(0.999), "ng.pt"),
    "text": (holding(b"hello\n"), "ng.pt"),
    "text by another name": (holding(b"hello\n", "notes.txt"), "is not a checkpoint: an Orbax"),
    "empty": (holding(b""), "ng.pt"),
    "picture": (holding(PICTURE, "frame.png"), "is not a checkpoint: an Orbax"),
    "picture by another name": (holding(PICTURE), "ng.pt"),
    "huge header": (holding(b"\xff" * 7 + b"\x7f{}", "x.safetensors"), "x.safetensors is not a"),
    "broken header": (holding(b"\x05" + bytes(7) + b'{"a":', "x.safetensors"), "is not a complete"),
    "malicious": (evil, "posix.system, which is no part of a checkpoint"),
    "empty folder": (empty_folder, "holds 0 .pt or .safetensors files, where one is needed"),
    "gone": (lambda path: path.with_name("gone.pt"), "gone.pt does not exist"),
    "unsupported field": (
        with_entries(ckpt_config__model_cfg__diffusion_model_cfg__norm_type="layer_norm"),
        "diffusion_model_cfg.norm_type is 'layer_norm', which is not supported; it must be",
    ),
    "wrong type": (
        with_entries(ckpt_config__model_cfg__hidden_size="32"),
        "model_cfg.hidden_size is '32', where int is needed",
    ),
    "sizes that do not fit": (
        with_entries(ckpt_config__model_cfg__hidden_size=64),
        "dit.heads * dit.head_dim is 32 and must equal width 64",
    ),
    "unknown encoder": (
        lambda path: without_sizes(
            rewritten(path, ckpt_config__model_cfg__vision_encoder_name="vit-of-nobody")
        ),
        "vision tower 'vit-of-nobody' is not known: use a name such as",
    ),
    "unknown sizes": (without_sizes, "give the tower's sizes with --vision FILE"),
    "sizes beside of another width": (with_sizes(hidden_size=64), "vision_hidden_size is 32 and"),
    "no sizes beside": (with_sizes(patch_size=None), "patch_size is None, where a whole number"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_sentence_and_nothing_left(refused, source, tmp_path, name):
    make, message = BAD[name]
    made = make(source)
    for destination in ("x", "x.safetensors"):
        sentence = refused(made, tmp_path / "out" / destination, within=tmp_path)
        assert message in sentence
        assert "\n" not in sentence
    assert list((tmp_path / "out").iterdir()) == []


def test_sizes_beside_that_contradict_the_tensors(refused, source, tmp_path):
    with_sizes(num_hidden_layers=13)(source)
    lines = refused(source, tmp_path / "out" / "x", within=tmp_path).splitlines()
    assert lines[0] == f"{source}: 16 tensor(s) do not fit the configuration:"
    assert all(
        line.startswith("  missing: vision_encoder.encoder.layers.12.") for line in lines[1:-1]
    )
    assert len(lines) == 1 + 16 + 1
    assert "give its sizes with --vision FILE" in lines[-1]


def test_everything_that_does_not_fit_is_listed_at_once(refused, source, tmp_path):
    had = content()
    del had["model"]["model.proj_out_2.bias"]
    had["model"]["position_embedding.weight"] = np.zeros((63, 32), np.float32)
    had["model"]["model.proj_out_1.bias"] = np.zeros(64, np.int32)
    had["model"]["surplus"] = np.zeros(1, np.float32)
    write_torch(source, had)
    lines = refused(source, tmp_path / "out" / "x.pt", within=tmp_path).splitlines()
    assert lines[0] == f"{source}: 4 tensor(s) do not fit the configuration:"
    assert sorted(lines[1:-1]) == [
        "  extra: surplus (1,)",
        "  mis-shaped: position_embedding.weight is (63, 32), needed (64, 32)",
        "  mis-typed: model.proj_out_1.bias is int32, needed a float type",
        "  missing: model.proj_out_2.bias (32,)",
    ]


def test_an_option_that_means_nothing(refused, source, tmp_path):
    sentence = refused(source, tmp_path / "out" / "x", "--vision", "nobody", within=tmp_path)
    assert sentence.startswith("vision tower 'nobody' is not known: use a name such as")
    gone = tmp_path / "gone.json"
    sentence = refused(source, tmp_path / "out" / "x", "--vision", gone, within=tmp_path)
    assert sentence.startswith(f"{gone} is not a readable JSON file")


# --- stops while writing --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "x.safetensors", "x.pt"])
@pytest.mark.parametrize("there", [False, True])
def test_ctrl_c_leaves_what_was_there(convert, source, tmp_path, monkeypatch, name, there):
    if there:
        convert(GOLDEN / "frames_games", tmp_path / "out" / name)
    before = snapshot(tmp_path)
    save = checkpoint.save

    def interrupted(loaded, path, progress):
        def stop(amount):
            assert snapshot(tmp_path) != before  # something is being written
            raise KeyboardInterrupt

        save(loaded, path, stop)

    monkeypatch.setattr(checkpoint, "save", interrupted)
    code, out, error = convert(source, tmp_path / "out" / name, "--overwrite")
    assert (code, out, error) == (130, "", "nitrogen convert: interrupted\n")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["x", "x.safetensors", "x.pt"])
def test_a_full_disk_leaves_what_was_there(refused, source, tmp_path, monkeypatch, name):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    where = {
        "x": "orbax.checkpoint.v1.save",
        "x.safetensors": "safetensors.numpy.serialize_file",
        "x.pt": "zipfile.ZipFile.open",
    }
    loaded = checkpoint.load(source)
    monkeypatch.setattr(checkpoint, "load", lambda *args: loaded)
    monkeypatch.setattr(where[name], full)
    sentence = refused(source, tmp_path / "out" / name, within=tmp_path)
    assert sentence == f"cannot write {tmp_path / 'out' / name}: No space left on device"


# --- as a program ---------------------------------------------------------------------------------


def test_the_program(run_python, tmp_path):
    ran = run_python(
        "-m", "nitrogen_jax.cli", "convert", str(GOLDEN / "tiny"), str(tmp_path / "x"), "--json"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["tensors"] == 315
    (chunk,) = (tmp_path / "x" / "params" / "d").iterdir()
    chunk.unlink()
    ran = run_python(
        "-m", "nitrogen_jax.cli", "convert", str(tmp_path / "x"), str(tmp_path / "y.pt")
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"nitrogen convert: {tmp_path / 'x'} is not a complete Orbax")
    assert len(ran.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_real_ctrl_c_while_reading(source, tmp_path):
    """The source is a pipe that says nothing, so the program is caught in the middle."""
    pipe = source.with_name("pipe.pt")
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "nitrogen_jax.cli", "convert", pipe, tmp_path / "out" / "x"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    writer = None
    while writer is None:
        assert process.poll() is None, process.stderr.read()
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert error == "nitrogen convert: interrupted\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_random_weights_can_be_written(tmp_path, capsys):
    out = tmp_path / "start.safetensors"
    assert cli.main(["convert", "random:test", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["source"] == "random:test"
    assert checkpoint.load(out).meta.provenance["source"] == "random parameters, seed 0"
    assert cli.main(["convert", "random:nothing", str(tmp_path / "other")]) == 2
    assert list(tmp_path.iterdir()) == [out]
