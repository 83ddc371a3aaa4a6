"""Games of pip under a pad: the same spaces, the same rules, real emulators where installed."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import nitrogen_jax.sim  # noqa: F401, registers the environments
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim import catalogue, spaces, watch
from nitrogen_jax.sim.adapters import ADAPTERS, procgen, vizdoom
from nitrogen_jax.sim.adapters.airstriker import held
from nitrogen_jax.sim.adapters.process import Worker, WorkerLost


def pad(*buttons: str, left=(0, 0), right=(0, 0)) -> Pad:
    pressed = np.zeros(NUM_BUTTONS, bool)
    pressed[[BUTTON_INDEX[name] for name in buttons]] = True
    return Pad(pressed, left, right)


def action(*buttons: str, left=(0, 0), right=(0, 0)):
    return spaces.to_action(pad(*buttons, left=left, right=right))


def installed(slug: str) -> str:
    lacking = ADAPTERS[slug].missing()
    if lacking:
        pytest.skip(lacking)
    return slug


@pytest.fixture(params=sorted(ADAPTERS))
def slug(request) -> str:
    return installed(request.param)


@pytest.fixture(params=["airstriker", "ale"])
def quick(request) -> str:
    """For what is the same in all of them."""
    return installed(request.param)


def test_something_is_seen_of_render(quick):
    with catalogue.make(quick, render_mode="rgb_array") as env:
        with pytest.raises(NitrogenError, match=r"reset\(\) comes first"):
            env.render()
        frame, _ = env.reset(seed=1)
        shown = env.render()
        assert shown.dtype == np.uint8
        assert shown.shape != frame.shape
        assert shown.std() > 1


def hashes(env, seed: int, steps: int) -> list[str]:
    """Of the first frame and of those after random actions."""
    env.action_space.seed(seed)
    frames = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        frame, _, terminated, truncated, _ = env.step(env.action_space.sample())
        frames.append(frame)
        if terminated or truncated:
            break
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]


@pytest.mark.filterwarnings("error")
def test_gymnasium_has_no_complaint(slug):
    with gymnasium.make(ADAPTERS[slug].env_id, size=(32, 32)) as env:
        check_env(env.unwrapped, skip_render_check=True)


def test_the_registered_id_has_our_spaces(slug):
    with gymnasium.make(ADAPTERS[slug].env_id, size=(96, 64)) as env:
        assert env.observation_space == spaces.observation_space((96, 64))
        assert env.action_space == spaces.action_space()
        frame, info = env.reset(seed=5)
        assert frame.std() > 1
        assert (info["seed"], info["frames"], info["level"]) == (5, 0, ADAPTERS[slug].levels[0])


def test_the_same_seed_and_actions_give_the_same_frames(slug):
    with catalogue.make(slug) as one, catalogue.make(slug) as other:
        first, second = hashes(one, 11, 25), hashes(other, 11, 25)
        assert len(set(first)) > 3
        assert first == second


def test_frame_skip_holds_the_pad(quick):
    with catalogue.make(quick, frame_skip=4) as one, catalogue.make(quick) as other:
        one.reset(seed=2), other.reset(seed=2)
        for way in ((1, 0), (-1, 0)):
            skipped, *_, info = one.step(action(left=way))
            for _ in range(4):
                frame, *_, same = other.step(action(left=way))
            np.testing.assert_array_equal(skipped, frame)
            assert info["frames"] == same["frames"]
            assert info["total"] == same["total"]


def test_time_is_limited_by_game_time(quick):
    with catalogue.make(quick, seconds=0.5, frame_skip=2) as env:
        env.reset(seed=1)
        steps, truncated = 0, False
        while not truncated:
            *_, terminated, truncated, info = env.step(spaces.idle())
            assert not terminated
            steps += 1
        assert info["reason"] == "time_limit"
        assert steps == np.ceil(round(0.5 * env.fps) / 2)
        with pytest.raises(NitrogenError, match="the episode is over"):
            env.step(spaces.idle())


def test_what_cannot_be_is_refused(slug):
    with pytest.raises(NitrogenError, match="has no level 'nowhere'"):
        catalogue.make(slug, level="nowhere")
    with pytest.raises(NitrogenError, match="frames a second"):
        catalogue.make(slug, fps=1)
    with catalogue.make(slug) as env:
        with pytest.raises(NitrogenError, match=r"reset\(\) comes first"):
            env.step(spaces.idle())
        for seed in (-1, 2**31, 1.5, True):
            with pytest.raises(NitrogenError, match="where a whole number of 0"):
                env.reset(seed=seed)


def test_many_in_processes_of_their_own():
    installed("ale")
    envs = gymnasium.make_vec("NitroGen/ALE-v0", 2, "async", level="pong", size=(64, 64))
    try:
        frames, infos = envs.reset(seed=[3, 4])
        assert frames.shape == (2, 64, 64, 3)
        frames, *_ = envs.step(envs.action_space.sample())
        assert frames.shape == (2, 64, 64, 3)
        assert infos["seed"].tolist() == [3, 4]
    finally:
        envs.close()


# What pads mean, and what comes of it


def test_what_a_pad_means_on_a_joystick():
    assert set(held(pad("SOUTH", left=(-1, 0)))) == {"LEFT", "B"}
    installed("ale")
    from nitrogen_jax.sim.adapters import ale

    assert ale.word(pad()) == "NOOP"
    assert ale.word(pad("SOUTH")) == "FIRE"
    assert ale.word(pad("RIGHT_TRIGGER", left=(1, -1))) == "UPRIGHTFIRE"
    assert ale.word(pad("DPAD_DOWN", "DPAD_LEFT")) == "DOWNLEFT"


def test_what_a_pad_means_in_procgen():
    combinations = {
        **{(-1, 1): 0, (-1, 0): 1, (-1, -1): 2, (0, 1): 3, (0, 0): 4, (0, -1): 5},
        **{(1, 1): 6, (1, 0): 7, (1, -1): 8},
    }
    for way, index in combinations.items():
        assert procgen.combination(pad(left=way), "maze") == index
    assert procgen.combination(pad("SOUTH", left=(1, 0)), "coinrun") == 8
    assert procgen.combination(pad("SOUTH", left=(1, 0)), "bossfight") == 9


def test_what_a_pad_means_in_doom():
    found = vizdoom.values(pad("RIGHT_TRIGGER", left=(0.5, -1), right=(-1, 0)))
    pressed = {name for name, value in found.items() if value}
    assert pressed == {"ATTACK", "MOVE_FORWARD", "MOVE_RIGHT", "TURN_LEFT_RIGHT_DELTA"}
    assert found["TURN_LEFT_RIGHT_DELTA"] == -vizdoom.TURN
    assert not any(vizdoom.values(pad(right=(0.09, -0.09))).values())


def test_doom_turns_and_shoots():
    with catalogue.make(installed("vizdoom"), level="defend_the_center") as env:
        *_, info = env.reset(seed=1)
        angle, shots = info["variables"]["ANGLE"], info["variables"]["SELECTED_WEAPON_AMMO"]
        for _ in range(10):
            *_, info = env.step(action(right=(1, 0)))
        turned = (angle - info["variables"]["ANGLE"]) % 360
        assert 40 < turned < 90  # to the right, 7 degrees in each of about ten frames
        for _ in range(40):  # the pistol comes up first
            *_, info = env.step(action("RIGHT_TRIGGER"))
        assert info["variables"]["SELECTED_WEAPON_AMMO"] < shots


@pytest.mark.parametrize("level", ["freedoom1", "basic_audio", "deathmatch"])
def test_scenarios_with_sound_and_many_buttons_begin(level):
    with catalogue.make(installed("vizdoom"), level=level, size=(64, 64)) as env:
        first, _ = env.reset(seed=1)
        for _ in range(10):
            frame, *_, info = env.step(action("SOUTH", left=(0, -1), right=(1, 0)))
        assert info["reason"] == ""
        assert (frame != first).any()


def test_a_scenario_ends_by_its_own_limit():
    with catalogue.make(installed("vizdoom"), level="basic", frame_skip=100) as env:
        env.reset(seed=1)
        truncated = False
        for _ in range(4):
            *_, terminated, truncated, info = env.step(spaces.idle())
            if truncated:
                break
        assert (terminated, truncated, info["reason"]) == (False, True, "native_limit")
        assert info["total"] <= -280  # one for each frame


def test_coinrun_is_won_by_its_coin():
    """A player who holds right and jumps now and then wins some level and dies in another."""
    won = []
    with catalogue.make(installed("procgen"), level="coinrun", size=(32, 32)) as env:
        for seed in (1, 4):
            env.reset(seed=seed)
            for step in range(60):
                buttons = ("SOUTH",) if step % 12 < 6 else ()
                _, reward, terminated, _, info = env.step(action(*buttons, left=(1, 0)))
                if terminated:
                    won.append((reward, info["variables"]["prev_level_complete"]))
                    break
    assert (10.0, 1.0) in won
    assert set(won) <= {(10.0, 1.0), (0.0, 0.0)}


def test_breakout_is_lost_without_a_player_and_terminates():
    with catalogue.make(installed("ale"), level="breakout", frame_skip=20) as env:
        *_, info = env.reset(seed=0)
        assert info["variables"]["lives"] == 5
        terminated = False
        for _ in range(400):
            *_, terminated, truncated, info = env.step(action("SOUTH"))
            assert not truncated
            if terminated:
                break
        assert terminated
        assert info["variables"]["lives"] == 0


# Workers


def test_a_worker_that_dies_truncates_the_episode():
    with catalogue.make(installed("airstriker")) as env:
        env.reset(seed=1)
        os.kill(env._worker._process.pid, signal.SIGKILL)
        frame, _, terminated, truncated, info = env.step(spaces.idle())
        assert (terminated, truncated, info["reason"]) == (False, True, "crashed")
        assert frame.shape == (256, 256, 3)
        env.reset(seed=1)
        assert env.step(spaces.idle())[4]["reason"] == ""


def test_a_killed_engine_leaves_no_memory():
    before = watch.held().memory
    with catalogue.make(installed("vizdoom")) as env:
        env.reset(seed=1)
        pid = env._worker._process.pid
        assert Path(f"/proc/{pid}").exists()
        os.killpg(pid, signal.SIGKILL)
        assert env.step(spaces.idle())[4]["reason"] == "crashed"
    assert not watch.forsaken(watch.held().memory - before)


def test_a_closed_environment_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    env = catalogue.make(installed("vizdoom"))
    env.reset(seed=1)
    group = env._worker._process.pid
    assert list(tmp_path.iterdir())
    env.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_a_worker_ends_when_its_controller_is_killed(tmp_path, run_python):
    installed("airstriker")
    run_python(
        "-c",
        "import os, signal\n"
        "from nitrogen_jax.sim import catalogue\n"
        "env = catalogue.make('airstriker')\n"
        "env.reset(seed=1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        TMPDIR=str(tmp_path),
    )
    until = time.monotonic() + 20
    while list(tmp_path.glob("nitrogen-*")) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(tmp_path.glob("nitrogen-*")) == []


def test_what_a_worker_says_last_is_told(tmp_path, monkeypatch):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no such cartridge')")
    monkeypatch.setattr("nitrogen_jax.sim.adapters.process.WORKERS", tmp_path)
    import sys

    with pytest.raises(WorkerLost, match=r"broken\.py ended: no such cartridge"):
        Worker(sys.executable, "broken.py").ask(do="reset", seed=0, level="")
    with pytest.raises(NitrogenError, match="cannot start"):
        Worker(str(tmp_path / "python"), "broken.py")


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setenv("NITROGEN_PROCGEN_PYTHON", "/nowhere/python")
    with pytest.raises(NitrogenError, match="/nowhere/python, which is no program"):
        catalogue.make("procgen")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NitrogenError, match=r"not installed: pip install 'nitrogen_jax\[games\]'"):
        catalogue.make("ale")
    assert ADAPTERS["ale"].levels == ()
