"""`nitrogen play` as a person meets it: with a policy here, and with one on a server."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax import cli, gamepad
from nitrogen_jax.commands import play as command
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.play import loop, mind
from nitrogen_jax.serving.agent import Agent, make_engine
from nitrogen_jax.sim import catalogue, watch
from nitrogen_jax.weights.policies import random_policy

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from served import serving

SMALL = ["--size", "320x240", "--execute", "6"]
# Python that has no JAX: what a game machine runs.
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from nitrogen_jax import cli
sys.exit(cli.main(sys.argv[1:]))
"""
JAX = ("jax", "jaxlib", "flax", "optax", "orbax", "ml_dtypes", "tensorflow")


@pytest.fixture(scope="module")
def game():
    lacking = catalogue.get("freedoom").missing()
    if lacking:
        pytest.skip(lacking)
    return ["--game", "freedoom"]


@pytest.fixture(scope="module")
def engine():
    made = make_engine(random_policy(policy_preset("test")), batch=1, inpaint=True)
    made.warm_up()
    return made


@pytest.fixture(scope="module")
def server(engine):
    with serving(engine) as made:
        yield made


def run(capsys, *words):
    """(exit code, standard output, standard error) of the command."""
    code = cli.main(["play", *map(str, words)])
    return (code, *capsys.readouterr())


def lines(out: Path, number=0):
    path = out / "actions" / f"freedoom-E1M1-policy-{number}.jsonl"
    return [json.loads(line) for line in path.open()]


def test_a_policy_plays_here(game, capsys, tmp_path):
    out = tmp_path / "rec"
    words = [*game, *SMALL, "--policy", "random:test", "--seconds", "1", "--out", out]
    code, said, told = run(capsys, *words, "--seed", "2", "--episodes", "2", "--no-view")
    assert code == 0, told
    for part in ("grab", "preprocess", "queue", "infer", "apply", "game"):
        assert re.search(rf"{part} .*\d", said)
    assert "seed 3: 35 steps, 1.0 s of game time" in said
    assert "2 videos, 2 chunks of labels" in said
    assert "does not say at which rate it acts" in told
    assert cli.main(["data", "validate", str(out / "labels")]) == 0
    about = json.loads((out / "play.json").read_text())
    assert [one["video"] for one in about["episodes"]] == [
        *("freedoom-E1M1-policy-2", "freedoom-E1M1-policy-3")
    ]
    assert about["forbidden"] == ["BACK", "GUIDE", "START"]
    assert about["versions"]["jax"]
    assert about["policy"]["facts"]["horizon"] == 18
    assert len(lines(out, 3)) == 35


def test_the_command_that_is_kept_plays_the_same_again(game, server, tmp_path):
    out = tmp_path / "rec"
    words = [*game, *SMALL, "--policy", server.address, "--seconds", "1", "--seed", "2"]
    assert cli.main(["play", *words, "--policy-seed", "9", "--out", str(out)]) == 0
    line = json.loads((out / "play.json").read_text())["command"]
    assert cli.main(command_words(line, out, tmp_path / "again")) == 0
    one, two = lines(out, 2), lines(tmp_path / "again", 2)
    assert [(a["pad"], a["chunk"]) for a in one] == [(b["pad"], b["chunk"]) for b in two]


def command_words(line, out, other):
    head, *words = shlex.split(line)
    assert head == "nitrogen"
    return [str(other) if word == str(out) else word for word in words]


def test_a_machine_without_jax_plays_the_same_with_a_server(
    game, engine, server, run_python, tmp_path
):
    out = tmp_path / "rec"
    words = ["play", *game, *SMALL, "--policy", server.address, "--out", str(out), "--json"]
    code = BLOCKED.format(names=JAX)
    done = run_python("-c", code, *words, "--seconds", "1", "--policy-seed", "5")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["episodes"][0]["steps"] == 35
    assert {"grab", "preprocess", "queue", "infer", "network", "apply"} <= told["latency_ms"].keys()
    # The same episode with the same policy in this process.
    options = {"size": (32, 32), "window": (320, 240), "render_mode": "rgb_array"}
    here = mind.Lockstep(Agent(engine, seed=5, forbidden=gamepad.NO_MENUS), 6)
    with catalogue.make("freedoom", **options) as env:
        episode = loop.episode(env, here, 0, 35)
    found = lines(out)
    assert len(found) == len(episode.held) == 35
    for line, pad in zip(found, episode.held, strict=True):
        names = [gamepad.BUTTONS[at] for at in np.flatnonzero(pad.pressed)]
        assert line["pad"]["buttons"] == names
        np.testing.assert_allclose(line["pad"]["left"], pad.left, atol=1e-5)
        np.testing.assert_allclose(line["pad"]["right"], pad.right, atol=1e-5)


def test_the_base_install_plays_without_recording(game, server, run_python):
    words = ["play", *game, *SMALL, "--policy", server.address, "--seconds", "0.5"]
    code = BLOCKED.format(names=(*JAX, "av", "pyarrow", "scipy", "matplotlib", "pygame"))
    done = run_python("-c", code, *words)
    assert done.returncode == 0, done.stderr
    assert "18 steps" in done.stdout
    done = run_python("-c", code, *words, "--out", "rec")
    assert done.returncode == 2
    assert "which is not installed: pip install" in done.stderr
    done = run_python("-c", code, *words, "--window")
    assert done.returncode == 2
    assert "nitrogen_jax[window]" in done.stderr


def test_a_server_that_goes_is_told_and_nothing_is_lost(game, engine, capsys, tmp_path):
    out = tmp_path / "rec"
    with serving(engine) as going:

        def leave():
            while going.metrics.chunks < 8:
                time.sleep(0.01)
            stop.set()

        stop = threading.Event()
        watcher = threading.Thread(target=leave)
        watcher.start()
        address = going.address

        class Until:
            """Answers until it is time to go."""

            def __init__(self, engine):
                self._engine = engine

            def __getattr__(self, name):
                return getattr(self._engine, name)

            def run(self, questions):
                if stop.is_set():
                    time.sleep(3)  # longer than the client waits
                return self._engine.run(questions)

        going._engine = Until(engine)
        words = [*game, *SMALL, "--policy", address, "--timeout", "0.5", "--seconds", "600"]
        code, said, told = run(capsys, *words, "--out", out, "--no-view")
        watcher.join()
    assert code == 1
    assert f"no reply from {address} in 0.5 s" in told
    assert "ended by policy: no reply" in said
    count = len(lines(out))
    assert count >= 48
    assert f"{count:,} steps" in said
    assert cli.main(["data", "validate", str(out / "labels")]) == 0


def test_ctrl_c_keeps_what_was_played_and_leaves_no_game(game, server, tmp_path):
    out = tmp_path / "rec"
    words = [*game, *SMALL, "--policy", server.address, "--seconds", "600", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "nitrogen_jax.cli", "play", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 120
        while not any(path.stat().st_size for path in out.glob("actions/.*.jsonl")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        below = watch._below(process.pid)
        assert below
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, told
    assert "stopped" in said
    assert "what was played until then is kept" in told
    assert lines(out)
    assert not [path for path in out.rglob("*") if "tmp-" in path.name]
    assert cli.main(["data", "validate", str(out / "labels")]) == 0
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


def test_real_time_tells_delays_and_borders(game, server, capsys):
    words = [*game, "--size", "320x240", "--policy", server.address, "--realtime", "--no-view"]
    code, said, told = run(capsys, *words, "--seconds", "2", "--inject-delay", "40")
    assert code == 0, told
    assert re.search(r"70 slots, \d+ chunks, delay \d+ slots", said)
    assert re.search(r"no slot lacked an action|slots \(.*%\) had no action", said)
    assert re.search(r"\d+ slots took longer than their time", said)
    assert re.search(r"stick jerk \d\.\d+ at \d+ borders of chunks, \d\.\d+ elsewhere", said)
    assert re.search(r"injected .*\d", said)


def test_real_time_needs_a_server_that_was_started_for_it(game, capsys, tmp_path):
    plain = make_engine(random_policy(policy_preset("test")))
    plain.warm_up()
    with serving(plain) as other:
        words = [*game, *SMALL, "--policy", other.address, "--realtime", "--out", tmp_path / "rec"]
        code, _, told = run(capsys, *words)
    assert code == 2
    assert "start the server with --realtime" in told
    assert not (tmp_path / "rec").exists()


def test_the_panel_is_drawn_on_a_terminal(game, server, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    words = [*game, *SMALL, "--policy", server.address, "--seconds", "0.5", "--terminal"]
    code, _, told = run(capsys, *words)
    assert code == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told)
    assert "step 18 of 18" in shown
    assert "left stick" in shown
    assert max(len(line) for line in shown.splitlines() if "│" in line) == 80


def test_the_window_shows_and_ends(game, server, capsys, monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    from nitrogen_jax.sim import human

    shown = []

    class Closing(human.Window):
        def show(self, picture):
            shown.append(picture.shape)
            if len(shown) == 5:
                pygame.event.post(pygame.event.Event(pygame.QUIT))
            return super().show(picture)

    monkeypatch.setattr(human, "Window", Closing)
    words = [*game, *SMALL, "--policy", server.address, "--window"]
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert "ended by closed" in said
    assert set(shown) == {(240 + 216, 640, 3)}
    assert len(shown) == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--game", "supertuxx", "--policy", "random:test"], "perhaps supertux"),
        (["--game", "vizdoom", "--policy", "random:test", "--size", "64x64"], "leave out --size"),
        (["--policy", "nowhere"], "checkpoint nowhere does not exist"),
        (["--policy", "random:x"], "'x' is not known"),
        (["--policy", "random:test", "--level", "E1M99"], "freedoom has no level 'E1M99'"),
        (["--policy", "random:test", "--seconds", "0"], "--seconds is 0"),
        (["--policy", "random:test", "--episodes", "0"], "--episodes is 0"),
        (["--policy", "random:test", "--seed", "-1"], "--seed is -1"),
        (["--policy", "random:test", "--execute", "19"], "19 actions of each chunk"),
        (["--policy", "random:test", "--execute", "0"], "--execute is 0"),
        (["--policy", "random:test", "--cfg", "nan"], "--cfg is nan"),
        (["--policy", "random:test", "--forbid", "FIRE"], "button FIRE is not known"),
        (["--policy", "random:test", "--attach", "/dev/input/js99"], "cannot be opened"),
        (["--policy", "random:test", "--timeout", "3"], "for a policy on a server"),
        (["--policy", "random:test", "--policy-game", "chess"], "knows no games"),
        (["--policy", "random:test", "--switch"], "--switch belongs to --realtime"),
        (["--policy", "tcp://127.0.0.1:1", "--steps", "4"], "--steps is decided by the server"),
        (["--policy", "tcp://127.0.0.1:1", "--timeout", "0.3"], "127.0.0.1:1"),
    ],
)
def test_bad_usage_is_one_sentence(game, capsys, tmp_path, words, sentence):
    words = words if "--game" in words else [*game, *words]
    code, said, told = run(capsys, *words, "--out", tmp_path / "rec")
    told = "".join(line for line in told.splitlines(True) if "does not say at which" not in line)
    assert code == 2
    assert said == ""
    assert sentence in told
    assert told.count("\n") == 1
    assert not (tmp_path / "rec").exists()


def test_a_folder_of_somebody_is_left_alone(game, capsys, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, _, told = run(capsys, *game, "--policy", "random:test", "--out", tmp_path)
    assert code == 2
    assert "not an empty folder" in told
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_policy_of_nan_is_a_failure(game, capsys, tmp_path, monkeypatch):
    policy = random_policy(policy_preset("test"))
    import jax

    policy.params.update(jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), policy.params))
    monkeypatch.setattr("nitrogen_jax.weights.policies.load_policy", lambda *arguments: policy)
    words = [*game, *SMALL, "--policy", "random:test", "--out", tmp_path / "rec", "--no-view"]
    code, said, told = run(capsys, *words)
    assert code == 1
    assert "actions are not finite numbers" in told
    assert "0 steps" in said
    # Nothing was played: only what says so is there.
    assert [path.name for path in (tmp_path / "rec").iterdir()] == ["play.json"]


@pytest.fixture
def parser():
    made = argparse.ArgumentParser()
    command.add_arguments(made)
    return made


def test_lines_of_the_readme_and_of_the_help_are_understood(parser):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    found = [
        line.partition("#")[0].partition("   ")[0]
        for line in (readme + command.EXAMPLES).splitlines()
        if line.strip().startswith("nitrogen play --")
        for line in [line.strip()]
    ]
    assert len(found) >= 8
    for line in found:
        assert parser.parse_args(shlex.split(line)[2:]).policy


def test_the_command_line_is_told_as_it_was(parser):
    words = [
        "--game",
        "supertux",
        "--policy",
        "a b",
        "--seed",
        "0",
        "--realtime",
        "--size",
        "64x48",
    ]
    args = parser.parse_args(words)
    line = command.command(args)
    assert "--policy 'a b'" in line
    assert "--seed 0" in line
    assert "--realtime" in line
    assert "--switch" not in line
    assert vars(parser.parse_args(command_words(line, "", "")[1:])) == vars(args)
