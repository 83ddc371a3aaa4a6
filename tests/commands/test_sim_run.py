"""`nitrogen sim run`: steps, hashes, videos, actions, and its exit codes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax import cli
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim import actions

_spec = importlib.util.spec_from_file_location(
    "compiled", Path(__file__).parents[1] / "sim" / "compiled.py"
)
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)


@pytest.fixture
def run(capsys):
    """Runs the command on a test program: (exit code, standard output, standard error)."""

    def run(*options, program=None, words=()):
        game = [str(program or compiled.program("sdl2")), *words]
        options = ["--display", "dummy", "--size", "64x48", *map(str, options)]
        code = cli.main(["sim", "run", *options, "--", *game])
        return (code, *capsys.readouterr())

    return run


def play(path, steps=20):
    buttons = np.zeros((steps, NUM_BUTTONS), bool)
    buttons[::2, BUTTON_INDEX["SOUTH"]] = True
    left = np.linspace([-1, 0], [1, 0], steps)
    actions.write(path, Pad(buttons, left, np.zeros((steps, 2))))
    return path


def test_the_same_actions_give_the_same_hashes(run, tmp_path):
    played = play(tmp_path / "play.npz")
    files = [tmp_path / name for name in ("one", "two", "idle")]
    for file in files[:2]:
        assert run("--actions", played, "--seed", 3, "--hashes", file)[0] == 0
    assert run("--steps", 20, "--seed", 3, "--hashes", files[2])[0] == 0
    one, two, idle = (file.read_text().splitlines() for file in files)
    assert one == two
    assert len(one) == len(idle) == 20
    assert one != idle
    assert all(len(line) == 64 and int(line, 16) >= 0 for line in one)


def test_the_result_as_json(run, tmp_path):
    played = play(tmp_path / "play.npz", 5)
    code, out, _ = run("--actions", played, "--steps", 12, "--fps", 30, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["frames"], told["steps"], told["ended"]) == (12, 12, None)
    assert told["kind"] == "SDL2 renderer"
    assert told["pad_attached"] == 1
    assert told["virtual_seconds"] == pytest.approx(12 / 30, abs=1e-6)


def test_a_table_for_people(run):
    code, out, _ = run("--steps", 3)
    assert code == 0
    assert "3 of 3" in out
    assert "SDL2 renderer" in out


@pytest.mark.needs("av")
def test_the_frames_as_a_video(run, tmp_path):
    import av

    path = tmp_path / "play.mp4"
    assert run("--steps", 15, "--video", path)[0] == 0
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 15
    assert frames[0].shape == (48, 64, 3)


def test_a_game_that_ends_is_exit_code_1(run, tmp_path):
    hashes = tmp_path / "hashes"
    words = ["exit=8", "code=3"]
    code, out, err = run("--steps", 20, "--hashes", hashes, words=words)
    assert code == 1
    assert "6 of 20" in out
    assert "exit code 3" in err
    assert len(hashes.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", 0], "at least 1"),
        (["--fps", 0], "fps"),
        (["--seed", -1], "seed"),
        (["--seed", 2**63], "seed"),
        (["--display", "nowhere"], "not one of"),
        (["--display", ":4711"], "no X server answers"),
        (["--actions", "nothing.npz"], "No such file"),
        (["--home", "nothing"], "not a folder"),
        (["--hashes", "no/such/folder/file"], "does not exist"),
    ],
)
def test_bad_input_is_exit_code_2(run, options, words):
    code, out, err = run(*options)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not out


def test_a_game_that_is_not_there(run):
    code, _, err = run(program="no-such-game")
    assert code == 2
    assert "is the game installed?" in err


@pytest.mark.parametrize("words", [["--size", "640"], ["--size", "0x10"], ["--wrong"], []])
def test_usage(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["sim", "run", *words])
    assert caught.value.code == 2
