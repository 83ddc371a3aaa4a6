"""`nitrogen label bench`: small clips from end to end, videos of others, and bad usage."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax import cli, gamepad
from nitrogen_jax.labeling import label_video
from nitrogen_jax.labeling.skins import skin_file
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.synth import clips, traces
from nitrogen_jax.labeling.synth.footage import MadeUp

_path = Path(__file__).parents[1] / "labeling" / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)

SKINS = (7, 3)
METRICS = {
    *("clips", "coverage", "localisation_recall", "false_accepts", "stick_r2", "stick_r2_p10"),
    *("stick_r2_bestlag", "button_macro_f1", "onset_f1", "button_accuracy", "idle_accuracy"),
}
SMALL = ("--seconds", "2", "--workers", "1", "--preset", "ultrafast")
GOOD = ("--width", "220", "240", "--travel", "4", "20", "--opacity", "0.9", "1")


@pytest.fixture
def bench(capsys, monkeypatch):
    """Runs the command on small clips: (exit code, standard output, standard error)."""
    monkeypatch.setattr(clips, "STREAMS", (((640, 360), 30.0, 2_500_000),))

    def run(*arguments):
        code = cli.main(["label", "bench", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shelf") / "skins"
    folder.mkdir()
    for seed in SKINS:
        skin_file.write(generate(seed), folder / f"{seed}")
    return folder


def pads(path: Path, broken=True) -> Path:
    """Two traces, of which one holds a NaN."""
    one = traces.smooth(np.random.default_rng(0), 6).states
    names = [name for name in gamepad.BUTTONS if one.buttons[:, gamepad.BUTTON_INDEX[name]].any()]
    sticks = np.concatenate([one.left, one.right], 1)
    content = {
        "button_names": np.array(names),
        "sticks_00": sticks,
        "buttons_00": one.buttons[:, [gamepad.BUTTON_INDEX[name] for name in names]],
    }
    if broken:
        wrong = sticks.copy()
        wrong[5, 2] = np.nan
        content |= {"sticks_01": wrong, "buttons_01": content["buttons_00"]}
    np.savez(path, **content)
    return path


def test_from_end_to_end(bench, shelf, tmp_path):
    broken = shelf / str(SKINS[0]) / "broken.json"
    broken.write_text("{")
    out, npz = tmp_path / "bench", pads(tmp_path / "pads.npz")
    arguments = ("--skins", shelf, "--traces", npz, "--clips", 2, "--out", out, *SMALL, *GOOD)
    code, said, errors = bench(*arguments, "--json")
    broken.unlink()
    assert code == 0
    # What cannot be read is told, and the run goes on.
    assert "broken.json is left out" in errors
    assert "left out: trace 01 of" in errors
    assert "sticks hold a value that is not finite in row 5" in errors
    content = json.loads(said)
    assert json.loads((out / "bench.json").read_text()) == content
    assert [one["plan"]["trace"] for one in content["clips"]] == ["pads/00"] * 2
    assert {one["skin"] for one in content["clips"]} == {generate(seed).name for seed in SKINS}
    for one in content["clips"]:
        assert 4 <= one["plan"]["at"][0] * travel(one["skin"]) <= 20
        assert 0.9 <= one["plan"]["opacity"] <= 1
        assert one["frames"] == 60
    groups = content["skins"]
    assert set(groups) == {generate(seed).name for seed in SKINS}
    for group in (content["overall"], *groups.values()):
        assert set(group) == METRICS | {"intervals"}
        assert set(group["intervals"]) == METRICS - {"clips"}
    overall = content["overall"]
    assert overall["clips"] == 2
    assert overall["localisation_recall"] == 1
    assert overall["coverage"] > 0.8
    assert overall["stick_r2"] > 0.9
    assert overall["button_macro_f1"] > 0.9
    assert overall["button_accuracy"] > overall["idle_accuracy"]
    assert content["settings"]["opacity"] == [0.9, 1]
    assert content["settings"]["clips"] == 2
    assert set(content["cpu_seconds_per_hour"]) == {"locate", "decode", "read"}
    # No video stays; a second call has nothing to do and says the same.
    assert sorted(path.suffix for path in (out / "clips").iterdir()) == [".json", ".json"]
    stamps = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    code, said, _ = bench(*arguments)
    assert code == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()} == stamps
    again = json.loads((out / "bench.json").read_text())
    assert again["overall"] == overall
    lines = [line for line in said.splitlines() if "overall" in line or "core" in line]
    assert f"{overall['stick_r2']:.3f}" in lines[0]
    assert "CPU-seconds per hour of video: " in said


def travel(name: str) -> float:
    (skin,) = [one for one in map(generate, SKINS) if one.name == name]
    return max(max(element.travel) for element in skin.elements)


@pytest.fixture
def two(tmp_path) -> tuple[Path, Path]:
    """Folders with one skin each."""
    for seed in SKINS:
        (tmp_path / str(seed)).mkdir()
        skin_file.write(generate(seed), tmp_path / str(seed) / "a")
    return tmp_path / str(SKINS[0]), tmp_path / str(SKINS[1])


def test_a_clip_whose_skin_is_not_given_is_not_labelled(bench, two, tmp_path):
    known, drawn = two
    arguments = ("--skins", known, "--overlay-skins", drawn, "--clips", 1, *SMALL, *GOOD)
    code, said, _ = bench(*arguments, "--out", tmp_path / "bench", "--json")
    assert code == 1
    content = json.loads(said)
    assert content["clips"][0]["cause"] == "no_overlay"
    assert content["overall"]["localisation_recall"] == 0
    assert content["unknown"]["clips"] == 1
    assert content["settings"]["discover"] is False


def test_where_skins_are_unknown_overlays_are_looked_for_without(bench, two, tmp_path, monkeypatch):
    asked = []
    known = label_video.discover
    monkeypatch.setattr(label_video, "discover", lambda *a: asked.append(a) or known(*a))
    arguments = ("--skins", two[0], "--skins-unknown", "--clips", 1, *SMALL, *GOOD)
    _, said, _ = bench(*arguments, "--out", tmp_path / "bench", "--json")
    (clip,) = json.loads(said)["clips"]
    assert len(asked) == 1
    assert clip["kind"] == "unknown"
    assert clip["accepted"] or clip["cause"] == "no_overlay"


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> tuple[Path, Path]:
    """A video with an overlay, and its truth as a label table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, skin = tmp_path_factory.mktemp("film"), generate(SKINS[0])
    trace = traces.smooth(np.random.default_rng(3), 4)
    scale = 230 / skin.size[0]
    plan = clips.ClipPlan(
        "film", skin.name, True, Placement(scale, 20.4, 30.7), 1.0, 0, False, (640, 360), 30.0,
        2_500_000, "h264", trace.name, 0.0, 2.0, 5,
    )  # fmt: skip
    clips.render(plan, skin, trace, MadeUp(), folder / "film.mp4", "ultrafast")
    did, _ = clips.truth(plan, skin, trace)
    vector = gamepad.pack(gamepad.Pad(did.buttons, did.left, did.right))
    columns = {k: v.tolist() for k, v in gamepad.vector_to_columns(vector).items()}
    pq.write_table(pa.table(columns), folder / "film.parquet")
    return folder / "film.mp4", folder / "film.parquet"


def test_videos_of_others(bench, shelf, film, tmp_path):
    video, truth = film
    out = tmp_path / "bench"
    code, said, _ = bench(
        "--skins", shelf, "--video", video, "--truth", truth, "--out", out, "--json"
    )
    assert code == 0
    content = json.loads(said)
    (one,) = content["clips"]
    assert one["name"] == "film.mp4"
    assert one["skin"] == generate(SKINS[0]).name
    overall = content["overall"]
    assert overall["stick_r2"] > 0.9
    assert overall["button_macro_f1"] > 0.9
    assert overall["coverage"] > 0.8
    assert set(content["skins"]) == {one["skin"]}
    assert json.loads((out / "bench.json").read_text()) == content


def test_a_video_that_cannot_be_labelled(bench, shelf, film, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    code, said, _ = bench(
        "--skins", shelf, "--video", bad, "--truth", film[1], "--out", tmp_path / "b", "--json"
    )
    assert code == 1
    (one,) = json.loads(said)["clips"]
    assert one["cause"] == "not_a_video"
    assert json.loads(said)["overall"]["coverage"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--video", "a.mp4"), "--video and --truth: give both"),
        (("--truth", "a.parquet"), "--video and --truth: give both"),
        (("--video", "a", "b", "--truth", "t"), "--video and --truth: give both"),
        (("--video", "a.mp4", "--truth", "none.parquet"), "none.parquet cannot be read"),
        (("--clips", "0"), "--clips is 0, where 1 is the least"),
        (("--workers", "0"), "--workers is 0, where 1 is the least"),
        (("--lag", "-1"), "--lag is -1, where 0 is the least"),
        (("--seed", "-1"), "--seed is -1, where 0 is the least"),
        (("--seconds", "0"), "--seconds is 0, where 1 to 3600 is possible"),
        (("--seconds", "nan"), "--seconds is nan, where 1 to 3600 is possible"),
        (("--travel", "5", "4"), "--travel is 5 4"),
        (("--width", "0", "4"), "--width is 0 4"),
        (("--width", "nan", "4"), "--width is nan 4"),
        (("--opacity", "0.5", "1.5"), "--opacity is 0.5 1.5"),
        (("--min-confidence", "2"), "--min-confidence is 2, where 0 to 1 is possible"),
        (("--preset", "quick"), "--preset quick is none of ultrafast"),
        (("--traces", "none.npz"), "traces none.npz cannot be read as .npz"),
        (("--footage", "nowhere", "--clips", "1"), "folder nowhere of footage holds no video"),
        (("--overlay-skins", "nowhere"), "folder nowhere of skins does not exist"),
    ],
)
def test_bad_usage(bench, shelf, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = bench("--skins", shelf, "--out", "bench", *SMALL, *arguments)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_no_skins_and_no_folder(bench, shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = bench("--skins", "nowhere", "--out", "bench")
    assert code == 2
    assert "folder nowhere of skins does not exist" in err
    (tmp_path / "file").write_text("")
    code, _, err = bench("--skins", shelf, "--out", "file")
    assert code == 2
    assert "--out file is a file" in err


def test_presets_that_are_drawn_and_cannot_be_read_are_told(bench, shelf, film, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    skin_file.write(presets.pad(), other / "pad")
    (other / "pad" / "broken.json").write_text("{")
    (tmp_path / "games").mkdir()
    code, _, err = bench(
        *("--skins", shelf, "--overlay-skins", other, "--out", tmp_path / "bench"),
        *("--footage", tmp_path / "games", "--clips", 1, *SMALL),
    )
    assert code == 2  # there is no footage
    assert "broken.json is left out" in err
