"""`nitrogen predict` from its arguments to its files, lines and exit codes."""

from __future__ import annotations

import dataclasses
import json
import signal

import cv2
import numpy as np
import pytest

from nitrogen_jax import cli, gamepad
from nitrogen_jax.models.presets import policy_preset, vision_preset

av = pytest.importorskip("av")
pa = pytest.importorskip("pyarrow")
jax = pytest.importorskip("jax")
pytest.importorskip("safetensors")
import pyarrow.parquet as pq  # noqa: E402

from nitrogen_jax.evaluation.action_metrics import action_metrics  # noqa: E402
from nitrogen_jax.models import siglip2  # noqa: E402
from nitrogen_jax.serving import offline  # noqa: E402
from nitrogen_jax.serving.parts import Parts, read_metadata  # noqa: E402
from nitrogen_jax.weights import checkpoint  # noqa: E402
from nitrogen_jax.weights.meta import Meta  # noqa: E402
from nitrogen_jax.weights.policies import random_policy  # noqa: E402

CFG = dataclasses.replace(policy_preset("test"), euler_steps=3)
STEPS = CFG.horizon
RIGHT = ("UP", "BOTTOM", "LEFT", "RIGHT")  # RIGHT_... have no column in label tables


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """Checkpoint files: a plain policy, one that knows games, one of other sizes, a tower."""
    folder = tmp_path_factory.mktemp("policies")
    plain = random_policy(CFG)
    with_games = random_policy(dataclasses.replace(CFG, games=2, context_length=5))
    with_games = dataclasses.replace(
        with_games, meta=dataclasses.replace(with_games.meta, games={"Celeste": 1})
    )
    tower = vision_preset("test")
    params = jax.jit(lambda key: siglip2.init(tower, key))(jax.random.key(0))
    made = {
        "plain": plain,
        "games": with_games,
        "tower": checkpoint.Checkpoint(jax.tree.map(np.asarray, params), Meta(tower)),
    }
    for name, one in made.items():
        checkpoint.save(one, folder / f"{name}.safetensors")
    return {name: str(folder / f"{name}.safetensors") for name in made}


@pytest.fixture
def predict(policies, capsys):
    """Runs the verb in this process: (exit code, standard output, standard error)."""

    def run(*arguments, policy="plain"):
        arguments = ["predict", "--policy", policies[policy], *map(str, arguments)]
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 256, (20 + index, 30, 3))
        cv2.imwrite(str(folder / f"{index}.png"), pixels.astype(np.uint8))
    return folder


@pytest.fixture
def clips(tmp_path):
    """Two videos, the first with labels, and a file that is no video."""
    folder, labels = tmp_path / "clips", tmp_path / "labels"
    folder.mkdir()
    labels.mkdir()
    for name, frames in (("a", 30), ("b", 12)):
        with av.open(folder / f"{name}.mp4", "w") as container:
            stream = container.add_stream("libx264", rate=20)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for index in range(frames):
                pixels = np.full((32, 48, 3), 5 * index, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    (folder / "c.mp4").write_bytes(b"no video")
    columns = gamepad.vector_to_columns(true_actions())
    table = {name: one.tolist() for name, one in columns.items()}
    pq.write_table(pa.table(table), labels / "a.parquet")
    return folder, labels


def true_actions():
    """(30, 25): what the labels of the first video say."""
    random = np.random.default_rng(5)
    sticks = random.uniform(-1, 1, (2, 30, 2)).astype(np.float32)
    return gamepad.pack(gamepad.Pad(random.random((30, 21)) < 0.3, *sticks))


def actions_of(path):
    rows = pq.read_table(path)["actions"].to_pylist()
    return np.array(rows, np.float32).reshape(-1, STEPS, 25)


def refused(result, *words):
    """The run ended as bad input does: exit code 2 and one sentence that says these words."""
    code, out, error = result
    assert code == 2
    assert out == ""
    assert len(error.splitlines()) == 1
    for word in words:
        assert word in error
    return True


# ---------------------------------------------------------------------------------------------
# Pictures


def test_one_picture_in_words_as_a_grid_and_drawn(predict, pictures, tmp_path):
    code, out, _ = predict("--images", pictures / "0.png", "--draw", tmp_path / "drawn.png")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("step")
    grid = lines[lines.index("") + 1 :]
    assert grid[0].split() == ["step", *map(str, range(STEPS))]
    assert [line.split()[0] for line in grid[-2:]] == ["left", "right"]
    drawn = cv2.imread(str(tmp_path / "drawn.png"))
    assert drawn.shape[0] > 300
    assert drawn.shape[1] > drawn.shape[0]
    code, out, _ = predict("--images", pictures / "0.png", "--json")
    (only,) = json.loads(out.splitlines()[-1])["chunks"]
    assert only["words"] == lines[: lines.index("")]
    words = gamepad.describe_chunk(gamepad.decode(np.array(only["actions"], np.float32)))
    assert words == only["words"]


def test_many_pictures_are_a_line_each(predict, pictures, tmp_path):
    code, out, _ = predict("--images", pictures, "--batch", 3)
    assert code == 0
    lines = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(pictures / f"{i}.png") for i in range(5)]
    code, out, _ = predict("--images", pictures, "--out", tmp_path / "a.parquet", "--json")
    assert code == 0
    actions = actions_of(tmp_path / "a.parquet")
    assert [line.split(": ")[1] for line in lines] == [
        gamepad.describe(gamepad.decode(chunk[0])) for chunk in actions
    ]


def test_the_file_says_what_it_holds(predict, pictures, tmp_path, policies):
    out = tmp_path / "a.parquet"
    code, printed, _ = predict(
        *("--images", pictures, "--out", out, "--seed", 3, "--steps", 2, "--guidance", 1.5),
        *("--forbid", "start, GUIDE", "--dtype", "float32"),
    )
    assert code == 0
    assert f"{out}: 5 chunks of {STEPS} steps" in printed
    table = pq.read_table(out)
    assert table.column_names == ["source", "frame", "time", "actions"]
    assert table["source"].to_pylist() == [str(pictures / f"{i}.png") for i in range(5)]
    said = read_metadata(out)
    wanted = {
        **{"layout": "buttons_first", "dimensions": list(gamepad.DIMENSIONS), "horizon": STEPS},
        **{"shift": CFG.action_shift, "seed": 3, "steps": 2, "guidance": 1.5, "examples": 5},
        **{"forbidden": ["GUIDE", "START"], "problems": [], "metrics": None, "dtype": "float32"},
    }
    assert {key: said[key] for key in wanted} == wanted
    assert said["policy"]["provenance"]["source"] == "random parameters, seed 0"
    assert not actions_of(out)[..., [6, 19]].any()


def test_a_second_run_does_nothing_and_another_is_refused(predict, pictures, tmp_path):
    out = tmp_path / "a.parquet"
    options = ("--images", pictures, "--out", out)
    code, first, _ = predict(*options, "--json")
    assert code == 0
    before = out.stat()
    code, again, error = predict(*options, "--json", "--batch", 2)
    assert code == 0
    assert "complete already" in error
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    one, other = json.loads(first), json.loads(again)
    del one["seconds"], other["seconds"]
    assert one == other
    assert refused(predict(*options, "--seed", 1), "other seed", "--restart")
    cv2.imwrite(str(pictures / "2.png"), np.zeros((9, 9, 3), np.uint8))
    assert refused(predict(*options), "other inputs", "--restart")
    code, _, _ = predict(*options, "--restart")
    assert code == 0
    assert out.stat().st_mtime_ns != before.st_mtime_ns


def test_ctrl_c_keeps_what_is_finished(predict, pictures, tmp_path, monkeypatch):
    out = tmp_path / "a.parquet"
    options = ("--images", pictures, "--out", out, "--batch", 2)
    monkeypatch.setattr(offline, "PART_BATCHES", 1)
    add = Parts.add

    def interrupted(self, number, table, note):
        if number == 1:
            signal.raise_signal(signal.SIGINT)
        add(self, number, table, note)

    monkeypatch.setattr(Parts, "add", interrupted)
    code, printed, error = predict(*options)
    assert code == 130
    assert printed == ""
    assert "1 finished parts are kept" in error
    assert not out.exists()
    names = sorted(path.name for path in (tmp_path / "a.parquet.parts").iterdir())
    assert names == ["job.json", "part-000000.parquet"]
    monkeypatch.setattr(Parts, "add", add)
    assert predict(*options)[0] == 0
    assert predict("--images", pictures, "--out", tmp_path / "b.parquet", "--batch", 2)[0] == 0
    np.testing.assert_array_equal(actions_of(out), actions_of(tmp_path / "b.parquet"))
    assert not (tmp_path / "a.parquet.parts").exists()


# ---------------------------------------------------------------------------------------------
# Videos and records


def test_videos_with_labels(predict, clips, tmp_path):
    folder, labels = clips
    out = tmp_path / "a.parquet"
    code, printed, _ = predict(
        *("--videos", folder, "--labels", labels, "--every", 6, "--out", out)
    )
    assert code == 0
    assert "c.mp4: it cannot be opened" in printed
    table = pq.read_table(out)
    assert table["source"].to_pylist() == ["a.mp4"] * 5 + ["b.mp4"] * 2
    assert table["frame"].to_pylist() == [0, 6, 12, 18, 24, 0, 6]
    assert table["time"].to_pylist() == pytest.approx([0, 0.3, 0.6, 0.9, 1.2, 0, 0.3])
    metrics = read_metadata(out)["metrics"]
    said, was = [], []
    for frame, chunk in zip(range(0, 30, 6), actions_of(out)[:5], strict=True):
        labelled = np.zeros((30, 25), np.float32) + true_actions()
        labelled[:, [gamepad.BUTTON_INDEX[f"RIGHT_{n}"] for n in RIGHT]] = 0
        rows = labelled[frame + CFG.action_shift :][:STEPS]
        said.append(chunk[: len(rows)])
        was.append(rows)
    said, was = gamepad.decode(np.concatenate(said)), gamepad.decode(np.concatenate(was))
    assert metrics == action_metrics(said, was)
    assert "button accuracy" in printed
    assert f"{metrics['buttons']['accuracy_of_idle']:.4f}" in printed
    code, printed, _ = predict(*("--videos", folder, "--labels", labels, "--every", 6, "--json"))
    assert json.loads(printed.splitlines()[-1])["metrics"] == metrics


def test_videos_without_a_file_are_a_line_for_each_frame(predict, clips):
    code, out, _ = predict("--videos", clips[0], "--every", 10)
    assert code == 0
    heads = [line.split(": ")[0] for line in out.splitlines()[:5]]
    assert heads == [
        *("a.mp4 frame 0 (0.00 s)", "a.mp4 frame 10 (0.50 s)", "a.mp4 frame 20 (1.00 s)"),
        *("b.mp4 frame 0 (0.00 s)", "b.mp4 frame 10 (0.50 s)"),
    ]
    assert out.splitlines()[5].startswith("not read to its end: c.mp4")


def test_videos_of_which_none_can_be_read(predict, tmp_path):
    (tmp_path / "c.mp4").write_bytes(b"no video")
    code, out, _ = predict("--videos", tmp_path, "--out", tmp_path / "a.parquet")
    assert code == 1
    assert "c.mp4" in out
    assert len(actions_of(tmp_path / "a.parquet")) == 0


def test_records_bring_their_own_truth(predict, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from nitrogen_jax.data import records

    picture = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
    chunk = records.Chunk(
        *("abc", "g", "xboxone", 10.0, 30.0, 15, (picture, picture)),
        *(true_actions(), np.ones(30, np.float32)),
    )
    records.write_records(tmp_path / "r", [chunk, chunk], split="val")
    code, out, _ = predict(
        *("--records", tmp_path / "r", "--split", "val", "--every", 15, "--json")
    )
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert result["examples"] == 4
    assert [one["source"] for one in result["chunks"]] == [
        *("abc frame 300 (10.00 s)", "abc frame 315 (10.50 s)") * 2
    ]
    follow = 30 - CFG.action_shift - 15  # rows left after the second picture
    assert result["metrics"]["steps"] == 2 * (STEPS + follow)


# ---------------------------------------------------------------------------------------------
# Games, and what is refused


def test_a_game_matters(predict, pictures):
    picture = ("--images", pictures / "0.png", "--json")
    results = [
        json.loads(predict(*picture, *game, policy="games")[1])["chunks"][0]["actions"]
        for game in ((), ("--game", "Celeste"))
    ]
    assert np.abs(np.subtract(*results)).max() > 1e-4


def test_guidance_does_not_know_the_game(predict, pictures, caplog):
    options = ("--images", pictures / "0.png", "--game", "Celeste", "--guidance", "0.5")
    assert predict(*options, policy="games")[0] == 0
    assert "--game has no effect" in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["none is given", "exactly one of --images, --videos, --records"]),
        (("--images", "{p}", "--videos", "{p}"), ["--images and --videos is given"]),
        (("--images", "{p}", "--batch", 0), ["--batch is 0"]),
        (("--images", "{p}", "--steps", 0), ["--steps is 0"]),
        (("--images", "{p}", "--seed", -1), ["--seed is -1"]),
        (("--images", "{p}", "--seed", 2**64), ["less than 2**64"]),
        (("--images", "{p}", "--guidance", "nan"), ["--guidance is nan", "finite"]),
        (("--images", "{p}", "--guidance", "inf"), ["--guidance is inf"]),
        (("--images", "{p}", "--forbid", "START,JUMP"), ["button JUMP", "BACK"]),
        (("--images", "{p}", "--every", 3), ["--every belongs to --videos"]),
        (("--images", "{p}", "--labels", "{p}"), ["--labels belongs to --videos"]),
        (("--videos", "{p}", "--split", "val"), ["--split belongs to --records"]),
        (("--videos", "{p}", "--every", 0), ["--every is 0"]),
        (("--images", "{p}/nowhere"), ["nowhere does not exist"]),
        (("--videos", "{p}/nowhere"), ["--videos is", "a folder is needed"]),
        (("--records", "{p}/nowhere"), ["--records is", "a folder is needed"]),
        (("--videos", "{p}", "--labels", "{p}/nowhere"), ["--labels is"]),
        (("--images", "{empty}"), ["holds no picture"]),
        (("--videos", "{empty}"), ["holds no video"]),
        (("--records", "{empty}"), ["not a folder of records"]),
        (("--images", "{p}", "--out", "{p}/nowhere/a.parquet"), ["folder does not exist"]),
        (("--images", "{p}", "--out", "{p}"), ["is a folder"]),
        (("--images", "{p}", "--draw", "{p}/nowhere/a.png"), ["folder does not exist"]),
        (("--images", "{p}", "--draw", "{p}/a.jpg"), ["ending in .png"]),
        (("--images", "{p}", "--draw", "{p}/a.png"), ["exactly one picture"]),
        (("--images", "{p}", "--game", "Celeste"), ["knows no games by name"]),
    ],
)
def test_bad_input_is_one_sentence(predict, pictures, tmp_path, options, words):
    (tmp_path / "empty").mkdir()
    filled = [str(one).format(p=pictures, empty=tmp_path / "empty") for one in options]
    assert refused(predict(*filled), *words)


def test_policies_that_do_not_serve(predict, pictures, capsys):
    assert refused(predict("--images", pictures, policy="tower"), "vision tower alone")
    assert refused(
        predict("--images", pictures, "--game", "Doom", policy="games"), "'Doom'", "Celeste"
    )
    assert cli.main(["predict", "--policy", "nowhere.pt", "--images", str(pictures)]) == 2
    assert "nowhere.pt does not exist" in capsys.readouterr().err


def test_a_picture_that_cannot_be_decoded(predict, pictures, tmp_path):
    (pictures / "3.png").write_bytes(b"no picture")
    options = ("--images", pictures, "--out", tmp_path / "a.parquet")
    assert refused(predict(*options), "3.png cannot be decoded")
    assert not (tmp_path / "a.parquet").exists()
