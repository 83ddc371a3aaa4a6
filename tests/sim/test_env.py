"""`GamepadEnv` with real games, where they are installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import nitrogen_jax.sim  # noqa: F401, registers the environments
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.sim import games, spaces, watch
from nitrogen_jax.sim.bindings import Bindings
from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.game import Game, Press

SMALL = (256, 256)


@pytest.fixture(params=["freedoom", "supertux"])
def game(request) -> Game:
    return installed(request.param)


@pytest.fixture
def doom() -> Game:
    return installed("freedoom")


def installed(slug: str) -> Game:
    found = games.get(slug)
    if found.missing():
        pytest.skip(found.missing())
    return found


def script(env: GamepadEnv, steps: int):
    """Actions of the game's script, over and over."""
    actions = [
        spaces.to_action(press.pad)
        for press in env.game.script
        for _ in range(press.frames(env.fps))
    ]
    return [actions[step % len(actions)] for step in range(steps)]


def hashes(env: GamepadEnv, seed: int, steps: int) -> list[str]:
    frames = [env.reset(seed=seed)[0]]
    frames += [env.step(action)[0] for action in script(env, steps)]
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.filterwarnings("error")
def test_gymnasium_has_no_complaint(doom):
    with gymnasium.make(doom.env_id, window=SMALL, size=(64, 64), start=()) as env:
        check_env(env.unwrapped, skip_render_check=True)


def test_the_same_seed_and_actions_give_the_same_frames(game):
    with GamepadEnv(game, window=SMALL) as one, GamepadEnv(game, window=SMALL) as other:
        first = hashes(one, 3, 90)
        assert len(set(first)) > 45
        assert hashes(other, 3, 90) == first


def test_a_press_is_seen_in_the_frame_of_its_own_step(game):
    """Twenty idle steps, then the stick: not one frame later than that."""
    push = spaces.idle() | {"sticks": np.array([1, -1, 1, 0], np.float32)}
    with GamepadEnv(game, window=SMALL) as env:
        env.reset(seed=3)
        idle = [env.step(spaces.idle())[0] for _ in range(22)]
        env.reset(seed=3)
        pushed = [env.step(action)[0] for action in [spaces.idle()] * 20 + [push] * 2]
    differ = [(a != b).any() for a, b in zip(idle, pushed, strict=True)]
    assert differ == [False] * 20 + [True] * 2


def test_the_first_frame_is_that_of_play(game):
    """After the macro nothing fades or melts: an idle second changes little."""
    with GamepadEnv(game, window=SMALL) as env:
        first, info = env.reset(seed=1)
        for _ in range(30):
            last, *_ = env.step(spaces.idle())
    assert info["frames"] == 0
    assert first.std() > 10
    assert np.abs(first.astype(int) - last).mean() < 6


def test_observations_have_any_size_and_pictures_their_own(doom):
    with GamepadEnv(doom, size=(100, 50), window=(400, 300), render_mode="rgb_array") as env:
        frame, _ = env.reset(seed=1)
        assert frame.shape == (50, 100, 3)
        assert frame in env.observation_space
        assert env.render().shape == (300, 400, 3)


def test_menus_are_masked_unless_they_are_asked_for(doom):
    start = pressing("START")

    def last(**options):
        with GamepadEnv(doom, window=SMALL, **options) as env:
            env.reset(seed=1)
            for _ in range(5):
                frame, *_ = env.step(start)
            return frame

    masked, allowed = last(), last(forbidden=())
    with GamepadEnv(doom, window=SMALL) as env:
        env.reset(seed=1)
        for _ in range(5):
            idle, *_ = env.step(spaces.idle())
    np.testing.assert_array_equal(masked, idle)
    assert np.abs(allowed.astype(int) - idle).mean() > 1  # the menu


def pressing(button: str):
    action = spaces.idle()
    action["buttons"][BUTTON_INDEX[button]] = 1
    return action


def test_a_trigger_that_the_engine_cannot_bind_fires(doom):
    trigger = pressing("RIGHT_TRIGGER")
    with GamepadEnv(doom, window=SMALL) as env:
        env.reset(seed=1)
        fired = [env.step(trigger)[0] for _ in range(20)]
        env.reset(seed=1)
        idle = [env.step(spaces.idle())[0] for _ in range(20)]
    assert any((a != b).any() for a, b in zip(fired, idle, strict=True))


def test_frame_skip_and_time(doom):
    with GamepadEnv(doom, window=SMALL, frame_skip=7, seconds=1.0) as env:
        env.reset(seed=1)
        before = env.session.time
        infos = [env.step(spaces.idle())[4] for _ in range(5)]
        assert [info["frames"] for info in infos] == [7, 14, 21, 28, 35]
        assert env.session.time - before == pytest.approx(1.0, abs=1e-3)
        assert [info["reason"] for info in infos] == [""] * 4 + ["time_limit"]


def test_a_game_that_dies_truncates_and_comes_back(doom):
    with GamepadEnv(doom, window=SMALL) as env:
        first, _ = env.reset(seed=1)
        os.kill(env.session.game_pid, signal.SIGKILL)
        frame, reward, terminated, truncated, info = env.step(spaces.idle())
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert (info["reason"], info["exit_code"]) == ("crashed", -signal.SIGKILL)
        np.testing.assert_array_equal(frame, first)
        with pytest.raises(NitrogenError, match="the episode is over"):
            env.step(spaces.idle())
        again, info = env.reset(seed=1)
        np.testing.assert_array_equal(again, first)
        assert info["exit_code"] is None


def test_a_game_that_hangs_truncates(doom):
    with GamepadEnv(replace(doom, step_timeout=2.0), window=SMALL) as env:
        env.reset(seed=1)
        pid = env.session.game_pid
        os.kill(pid, signal.SIGSTOP)
        *_, truncated, info = env.step(spaces.idle())
        assert truncated
        assert info["reason"] == "timeout"
        env.reset(seed=1)
        assert not is_there(pid)
        assert env.step(spaces.idle())[4]["reason"] == ""


def test_a_failed_reset_leaves_nothing_and_can_be_repeated(doom):
    broken = replace(doom, command=lambda setup: [setup.program, "-iwad", "/nowhere.wad"])
    env = GamepadEnv(broken, window=SMALL)
    with pytest.raises(NitrogenError, match="chocolate-doom"):
        env.reset(seed=1)
    assert env.session is None
    with pytest.raises(NitrogenError, match="the latest reset failed"):
        env.step(spaces.idle())
    env.game = doom
    env.reset(seed=1)
    env.close()


@pytest.mark.parametrize("episodes", [8, pytest.param(50, marks=pytest.mark.long)])
def test_episodes_leave_nothing_behind(doom, episodes, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def state():
        maps = Path("/proc/self/maps").read_text().count("nitrogen")
        files = len(os.listdir("/proc/self/fd"))
        return files, maps, sorted(tmp_path.iterdir()), watch.held().children

    with GamepadEnv(doom, window=SMALL, size=(32, 32)) as env:
        env.reset(seed=0)
        env.close()
        before = state()
        for seed in range(episodes):
            env.reset(seed=seed)
            pid = env.session.pid
            env.step(spaces.idle())
        env.close()
        assert not is_there(pid)
        assert state() == before
    assert list(tmp_path.iterdir()) == []


def test_two_steps_at_once_are_refused(doom):
    with GamepadEnv(doom, window=SMALL, frame_skip=500) as env:
        env.reset(seed=1)
        thread = threading.Thread(target=env.step, args=(spaces.idle(),))
        thread.start()
        until = time.monotonic() + 10
        while not env._busy.locked() and time.monotonic() < until:
            time.sleep(0.0005)
        with pytest.raises(NitrogenError, match="two calls at once"):
            env.step(spaces.idle())
        thread.join()
        env.step(spaces.idle())


def test_side_by_side_in_processes(doom):
    with GamepadEnv(doom, window=SMALL, size=(64, 64)) as env:
        alone = [env.reset(seed=7)[0]] + [env.step(action)[0] for action in script(env, 40)]
        actions = script(env, 40)
    envs = gymnasium.make_vec(doom.env_id, 2, "async", window=SMALL, size=(64, 64))
    try:
        frames, _ = envs.reset(seed=[7, 7])
        seen = [frames]
        for action in actions:
            both = {name: np.stack([value, value]) for name, value in action.items()}
            seen.append(envs.step(both)[0])
    finally:
        envs.close()
    for wanted, pair in zip(alone, seen, strict=True):
        np.testing.assert_array_equal(pair[0], wanted)
        np.testing.assert_array_equal(pair[1], wanted)


@pytest.mark.needs("Xlib")
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb, which is not installed")
def test_keys_instead_of_a_pad(doom):
    """The same game on a keyboard: Doom's own arrows walk."""
    bindings = Bindings({"left_stick_up": "Up", "RIGHT_TRIGGER": "Control_R"})
    with GamepadEnv(doom, bindings=bindings, window=(320, 240)) as env:
        assert env.display == "xvfb"
        env.reset(seed=1)
        forward = spaces.idle() | {"sticks": np.array([0, -1, 0, 0], np.float32)}
        walked = [env.step(forward)[0] for _ in range(30)][-1]
        env.reset(seed=1)
        stood = [env.step(spaces.idle())[0] for _ in range(30)][-1]
    assert np.abs(walked.astype(int) - stood).mean() > 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": "E9M9"}, "has no level 'E9M9'"),
        ({"frame_skip": 0}, "frame_skip is 0"),
        ({"frame_skip": 1.5}, "frame_skip is 1.5"),
        ({"fps": 0.5}, "fps is 0.5"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"seconds": 0}, "seconds is 0"),
        ({"size": (8, 8)}, "size is"),
        ({"window": (99999, 8)}, "window is"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"forbidden": ["STRT"]}, "STRT is not known"),
        ({"bindings": Bindings(), "display": "dummy"}, "need xvfb"),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(NitrogenError, match=words):
        GamepadEnv("freedoom", **options)


def test_mistakes_of_a_description_are_told():
    doom = games.get("freedoom")
    with pytest.raises(NitrogenError, match="display 'x' is not one of"):
        replace(doom, display="x")
    with pytest.raises(NitrogenError, match="keys need the display xvfb"):
        replace(doom, start=(Press(1.0, keys=("Return",)),))
    with pytest.raises(NitrogenError, match="more than 0"):
        Press(0)
    with pytest.raises(NitrogenError, match="perhaps freedoom"):
        games.get("fredoom")


def test_what_is_not_installed_names_the_package(doom):
    gone = replace(doom, program="no-such-program-anywhere")
    with pytest.raises(NitrogenError, match="apt-get install -y chocolate-doom freedoom"):
        GamepadEnv(gone).reset(seed=1)
    with pytest.raises(NitrogenError, match=r"lacks /nowhere\.wad"):
        GamepadEnv(replace(doom, needs=("/nowhere.wad",))).reset(seed=1)
