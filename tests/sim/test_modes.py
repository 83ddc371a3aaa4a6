"""REAL and SPEED: time runs like reality or scaled, with a hard clamp, and is continuous."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

from nitrogen_jax.sim.errors import LaunchError, SessionError
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.session import Session

_spec = importlib.util.spec_from_file_location("compiled", Path(__file__).with_name("compiled.py"))
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)

launch, numbers = compiled.launch, compiled.numbers


def watch(session, speed, seconds=0.5):
    """Checks that time passes at this speed; frames for each virtual second."""
    before, virtual, after = time.monotonic(), session.time, time.monotonic()
    frames = session.frames
    time.sleep(seconds)
    least, passed, most = (
        time.monotonic() - after,
        session.time - virtual,
        time.monotonic() - before,
    )
    assert speed * least - 1e-6 <= passed <= speed * most + 1e-6
    return (session.frames - frames) / passed


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 4.0])
def test_speed_scales_time(speed):
    with Session(launch("sdl2", "delay=20", mode="speed", speed=speed)) as session:
        while session.frames < 2:
            time.sleep(0.01)
        # The program sleeps 20 ms of its own time in each frame, and never less.
        assert 0 < watch(session, speed) <= 60


def test_speed_0_is_a_freeze():
    with Session(launch("sdl2", "delay=20", "sleeper", mode="speed")) as session:
        while session.frames < 2:
            time.sleep(0.01)
        session.set_mode("speed", 0.0)
        before, moment = session.frames, session.time
        time.sleep(0.6)
        assert session.time == moment
        assert session.frames - before <= 1  # one may have been on its way
        with pytest.raises(SessionError, match="speed 0"):
            session.step()
        session.set_mode("speed", 1.0)
        time.sleep(0.3)
        assert session.frames > before
        assert session.time >= moment


def test_steps_of_speed_are_grants_of_time():
    options = {"mode": "speed", "speed": 4.0, "fps": 10.0}
    with Session(launch("sdl2", "delay=20", "sleeper", **options)) as session:
        while session.frames < 2:
            time.sleep(0.01)
        session.step()
        begin = session.frames
        for _ in range(10):
            before, told = session.time, session.frames
            session.step()
            assert session.time - before == pytest.approx(0.1, abs=1e-9)
            assert session.frames - told <= 6  # of 20 ms each, and one that was almost there
            # The clamp holds: whoever sleeps does not wake; one frame may have been on its way.
            stopped = session.frames
            time.sleep(0.07)
            assert session.frames - stopped <= 1
            assert session.time - before == pytest.approx(0.1, abs=1e-9)
        assert session.frames > begin


def test_a_program_without_frames_runs_under_speed():
    command = ("/bin/sh", "-c", "while :; do sleep 1; echo tick; done")
    with Session(Launch(command, display="dummy", mode="speed", speed=20, fps=1)) as session:
        session.step()
        begin, before = session.time, session.log_text().count("tick")
        steps, ticks = 0, 0
        # On a busy machine it takes the shell long to start each sleep.
        while (steps < 10 or ticks == 0) and steps < 1000:
            session.step()
            steps, ticks = steps + 1, session.log_text().count("tick") - before
        assert session.time - begin == pytest.approx(steps)
        assert 1 <= ticks <= steps + 1
        assert session.frames == 0
        with pytest.raises(SessionError, match="no frame was captured"):
            session.frame()


def test_real_time_runs_by_itself_and_back_to_lock():
    with Session(launch("sdl2", "delay=20", "sleeper")) as session:
        session.step(5)
        moment = session.time
        session.set_mode("real")
        assert 0 < watch(session, 1) <= 60
        session.set_pad(compiled.pad("SOUTH"))
        session.step(3)  # waits for three more
        assert numbers(session)["presses"] == 1
        session.set_mode("lock")
        session.step(2)
        locked = numbers(session)
        assert session.time > moment
        time.sleep(0.3)
        assert numbers(session) == locked
        # From then on, a step is one frame of 20 ms.
        for step in range(1, 6):
            session.step()
            told = numbers(session)
            assert told["frame"] - locked["frame"] == step
            assert told["clock_us"] - locked["clock_us"] == pytest.approx(step * 20_000, abs=2)


def test_a_launch_in_real_mode_has_a_first_frame():
    with Session(launch("sdl2", "delay=20", mode="real")) as session:
        assert session.mode == "real"
        assert session.frame().shape == (48, 64, 3)
        session.step(5)
        assert session.frames >= 5


@pytest.mark.parametrize(("mode", "speed"), [("fast", 1), ("speed", -1), ("speed", float("nan"))])
def test_modes_that_are_none(mode, speed):
    with Session(launch()) as session, pytest.raises(LaunchError, match=r"mode|speed"):
        session.set_mode(mode, speed)
