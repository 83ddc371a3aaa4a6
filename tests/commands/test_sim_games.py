"""`nitrogen sim list, check, record, bench, physics`: what they print and write, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import label_tree
from nitrogen_jax.sim import catalogue


@pytest.fixture
def sim(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["sim", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def doom():
    return installed("freedoom")


@pytest.fixture
def striker():
    return installed("airstriker")


def installed(slug: str) -> str:
    lacking = catalogue.get(slug).missing()
    if lacking:
        pytest.skip(lacking)
    return slug


def test_list_tells_what_is_there_and_how_to_get_the_rest(sim, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("nitrogen_jax.sim.game.GAME_FOLDERS", ())
    code, out, _ = sim("list")
    assert code == 0
    for words in ("supertux", "NitroGen/Freedoom-v0", "sudo apt-get install -y supertux"):
        assert words in out


def test_list_as_json(sim):
    code, out, _ = sim("list", "--json")
    assert code == 0
    rows = {row["game"]: row for row in json.loads(out)}
    assert list(rows) == list(catalogue.slugs())
    assert rows["freedoom"]["install"] == "sudo apt-get install -y chocolate-doom freedoom"
    for slug, row in rows.items():
        assert row["installed"] == (catalogue.get(slug).missing() is None)
    code, out, _ = sim("list", "--levels")
    assert "freedoom: E1M1 E1M2" in out


def test_check_of_an_emulator(sim, striker):
    code, out, _ = sim("check", striker, "--steps", 20, "--pause", 0.1)
    assert code == 0
    assert "repeats bit by bit" in out
    code, out, _ = sim("check", striker, "--steps", 20, "--pause", 0.1, "--json")
    assert code == 0
    found = json.loads(out)
    assert [one["kept"] for one in found] == [True] * 7


def test_check_fails_where_a_promise_is_broken(sim, striker, monkeypatch):
    from nitrogen_jax.sim import watch

    numbers = iter(range(10_000))
    monkeypatch.setattr(watch, "digest", lambda frame: str(next(numbers)))
    code, out, _ = sim("check", striker, "--steps", 5, "--pause", 0)
    assert code == 1
    assert "NO" in out


def test_record_writes_what_training_reads(sim, striker, tmp_path):
    out = tmp_path / "rec"
    code, text, _ = sim(
        *("record", striker, "--pad", "random", "--seconds", 1.5, "--frame-skip", 2),
        *("--overlay", "--corner", "top-left", "--out", out, "--json"),
    )
    assert code == 0
    (take,) = json.loads(text)
    assert (take["frames"], take["rate"], take["reason"]) == (46, 30.0, "")
    (raw,) = label_tree.open_tree(out / "labels").scan()
    meta, table = label_tree.read_chunk(raw)
    assert meta.video.video_id == take["video_id"]
    assert (meta.overlay.x, meta.overlay.y) < (20, 20)
    assert len(table.actions) == 46
    assert not gamepad.is_idle(gamepad.decode(table.actions)).all()
    code = cli.main(["data", "validate", str(out / "labels")])
    assert code == 0
    with np.load(out / "actions" / f"{take['video_id']}.npz") as file:
        assert file["buttons"].shape == (45, 21)


@pytest.mark.long
def test_a_recording_can_be_labelled(sim, doom, tmp_path):
    """What labelling reads off the overlay is what was pressed, row by row."""
    rec, tree = tmp_path / "rec", tmp_path / "labels"
    code, *_ = sim(*("record", doom, "--pad", "random", "--seconds", 8, "--overlay", "--out", rec))
    assert code == 0
    videos, skins = str(rec / "videos"), str(rec / "skins")
    words = ["label", "run", "--videos", videos, "--skins", skins, "--out", str(tree)]
    assert cli.main([*words, "--workers", "1"]) == 0

    def rows(root):
        (raw,) = label_tree.open_tree(root).scan()
        meta, table = label_tree.read_chunk(raw, prefer="raw")
        return meta.video.start_frame, table.actions

    (_, truth), (start, read) = rows(rec / "labels"), rows(tree)
    truth = truth[start : start + len(read)]
    assert len(read) > 0.9 * 280
    assert ((truth[:, :21] > 0.5) == (read[:, :21] > 0.5)).mean() > 0.995
    assert np.abs(truth[:, 21:] - read[:, 21:]).mean() < 0.02


def test_bench_prints_figures(sim, doom, striker):
    code, out, _ = sim(*("bench", doom, striker, "--steps", 30, "--window", "320x240", "--json"))
    assert code == 0
    first, second = json.loads(out)
    assert (first["slug"], first["drawn"]) == (doom, [320, 240])
    assert first["cpu_ms"] > 0
    assert (second["slug"], second["window"], second["cpu_ms"]) == (striker, None, None)
    code, out, _ = sim("bench", striker, "--steps", 30)
    assert code == 0
    assert "320x224" in out


def test_physics_writes_its_page(sim, doom, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    code, out, _ = sim("physics", doom, "--seconds", 0.5, "--out", page)
    assert code == 0
    assert "Pauses change nothing." in out
    assert "Physics of freedoom" in page.read_text()
    code, out, _ = sim("physics", doom, "--seconds", 0.5, "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["pauses_change_nothing"] is True
    state = {one["name"]: one["state"] for one in figures["runs"]}
    # Where the marine is: read from the program, the same with pauses, elsewhere without a pad.
    assert state["with pauses"] == {"health": 0.0, "x": 0.0, "y": 0.0}
    assert max(state["idle pad"]["x"], state["idle pad"]["y"]) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "fredoom"), "perhaps freedoom"),
        (("check", "ale", "--steps", "1"), "--steps needs at least 2"),
        (("record", "freedoom", "--pad", "no.npz", "--out", "x"), "neither scripted nor random"),
        (("record", "freedoom", "--skin", "a", "--out", "x"), "--skins, which are not given"),
        (("record", "freedoom", "--skins", "/nowhere", "--out", "x"), "/nowhere"),
        (("record", "freedoom", "--episodes", "0", "--out", "x"), "--episodes is 0"),
        (("bench", "doom3"), "there is no game 'doom3'"),
        (("physics", "vizdoom"), "there is no game 'vizdoom'"),
        (("physics", "freedoom", "--pad", "nothing"), "neither scripted nor random"),
    ],
)
def test_mistakes_are_one_sentence(sim, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = sim(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_game_of_pip_has_no_window_to_choose(sim, tmp_path):
    lacking = catalogue.get("vizdoom").missing()
    if lacking:
        pytest.skip(lacking)
    code, out, err = sim("record", "vizdoom", "--window", "64x64", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "ViZDoom draws and starts as it does: window cannot be chosen" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["list", "check", "record", "bench", "physics"])
def test_help_has_examples(part, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["sim", part, "--help"])
    assert ended.value.code == 0
    assert f"nitrogen sim {part}" in capsys.readouterr().out.split("examples:")[1]
