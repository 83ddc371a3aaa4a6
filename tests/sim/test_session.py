"""A session: every kind of frame, inputs in the very frame of their step, repetition, freezing."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.sim.errors import SessionError
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.session import Session

_spec = importlib.util.spec_from_file_location("compiled", Path(__file__).with_name("compiled.py"))
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)

launch, numbers, pad = compiled.launch, compiled.numbers, compiled.pad


def hashes(session, steps, script=lambda session, step: None):
    found = []
    for step in range(steps):
        script(session, step)
        session.step()
        found.append(hashlib.sha256(session.frame().tobytes()).hexdigest())
    return found


@pytest.mark.parametrize(
    ("name", "words", "display", "kind"),
    [
        ("sdl2", [], "dummy", "SDL2 renderer"),
        ("sdl2", ["surface"], "dummy", "SDL2 surface"),
        ("sdl2", ["gl"], "offscreen", "SDL2 OpenGL"),
        ("sdl2", ["gl"], "xvfb", "SDL2 OpenGL"),
        ("sdl2", [], "xvfb", "SDL2 renderer"),
        ("sdl1", [], "dummy", "SDL1.2 surface"),
        ("glx", [], "xvfb", "GLX"),
        ("glx", ["looked-up"], "xvfb", "GLX"),
        ("egl", [], "offscreen", "EGL"),
    ],
)
def test_every_step_is_one_frame_and_every_pixel_is_there(name, words, display, kind):
    if display == "xvfb":
        compiled.need("Xvfb", package="xvfb")
    with Session(launch(name, *words, display=display)) as session:
        assert session.stats["kind"] == kind
        assert session.frame().shape == (48, 64, 3)
        first = numbers(session)
        assert first["frame"] == 1
        for step in range(1, 6):
            session.step()
            assert session.frames == step
            told = numbers(session)
            assert told["frame"] == step + 1
            assert told["clock_us"] - first["clock_us"] == pytest.approx(step * 1e6 / 60, abs=1)
        session.step(10)
        assert session.frames == 15
        assert numbers(session)["frame"] == 16
        assert session.time == pytest.approx(15 / 60, abs=1e-6)


def test_vulkan_frames_are_read_from_the_display():
    compiled.need_xvfb()
    compiled.need("vkcube", package="vulkan-tools mesa-vulkan-drivers")
    if not list(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*")):
        pytest.skip("needs a Vulkan driver without a GPU: apt install mesa-vulkan-drivers")
    with Session(Launch(("vkcube",), size=(500, 500), display="xvfb")) as session:
        session.step(5)
        assert session.stats["kind"] == "Vulkan"
        before, moment = session.frame(), session.time
        session.step(20)
        assert session.frames == 25
        assert session.time - moment == pytest.approx(20 / 60, abs=1e-6)
        assert before.shape == (500, 500, 3)
        assert (session.frame() != before).any()


@pytest.mark.parametrize("depth", [8, 16, 24, 32])
def test_surfaces_of_any_depth(depth):
    with Session(launch("sdl1", f"depth={depth}", display="dummy")) as session:
        session.step()
        red, green, blue = session.frame()[25, 33].tolist()
        assert red > 200
        assert green < 40
        assert blue < 90


def test_a_frame_of_another_size_is_the_mean_of_its_area():
    with Session(launch()) as session:
        session.step()
        whole = session.frame().astype(float)
        assert session.frame((64, 48)).tolist() == whole.tolist()
        small = session.frame((32, 24))
        assert small.shape == (24, 32, 3)
        means = whole.reshape(24, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(small - means).max() <= 1
        session.frame()[:] = 0  # a copy: nobody else sees this
        assert session.frame().tolist() == whole.tolist()


def test_the_pad_is_seen_in_the_frame_of_its_step():
    with Session(launch()) as session:
        assert session.stats["pad_attached"] == 1
        assert numbers(session)["axis"] == 32768
        session.set_pad(pad("SOUTH", "DPAD_UP", left=(1, 0)))
        session.step()
        told = numbers(session)
        assert told["presses"] == 2
        assert told["down"] == 1 << 0 | 1 << 11
        assert told["axis"] == 65535
        session.set_pad(pad(left=(-1, 0)))
        session.step()
        told = numbers(session)
        assert (told["releases"], told["down"], told["axis"]) == (2, 0, 1)


@pytest.mark.parametrize("display", ["dummy", "xvfb"])
def test_of_300_pulses_none_is_lost(display):
    if display == "xvfb":
        compiled.need("Xvfb", package="xvfb")
    with Session(launch(display=display)) as session:
        for pulse in range(1, 301):
            session.set_pad(pad("EAST"))
            session.step()
            assert numbers(session)["presses"] == pulse
            session.set_pad(pad())
            session.step()
            assert numbers(session)["releases"] == pulse


@pytest.mark.parametrize("name", ["sdl2", "glx"])
def test_keys_are_seen_in_the_frame_of_their_step(name):
    compiled.need_xvfb()
    with Session(launch(name, display="xvfb")) as session:
        session.step(2)
        for pulse in range(1, 31):
            session.set_keys({"Return"})
            session.step()
            assert numbers(session)["keys"] == pulse
            session.set_keys(())
            session.step()
        with pytest.raises(SessionError, match="no key 'Banana'"):
            session.set_keys({"Banana"})


def test_a_held_key_is_not_repeated_in_real_time():
    compiled.need_xvfb()
    with Session(launch("glx", display="xvfb")) as session:
        session.step(2)
        session.set_keys({"Left", "space"})
        for _ in range(10):
            session.step()
            time.sleep(0.1)  # an X server repeats a key after 0.66 s
        assert numbers(session)["keys"] == 2


def test_a_game_without_pad_has_none():
    with Session(launch(pad=False)) as session:
        session.set_pad(pad("SOUTH"))
        session.step(2)
        assert session.stats["pad_attached"] == 0
        assert numbers(session)["presses"] == 0


def test_keys_need_an_x_display():
    with Session(launch()) as session, pytest.raises(SessionError, match='take "xvfb"'):
        session.set_keys({"a"})


WORKERS = ["sleeper", "waiter", "ticker"]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_thread_keeps_in_step(worker):
    with Session(launch("sdl2", worker, fps=100 / 3)) as session:
        session.step(10)
        before = numbers(session)["worker"]
        for step in range(1, 11):
            session.step()
            # Three wakes of 10 ms in each frame of 30 ms; the wait's first is a little later.
            assert abs(numbers(session)["worker"] - before - 3 * step) <= 1


def test_settle_waits_for_threads_that_compute():
    with Session(launch("sdl2", "loader", settle=True)) as session:
        session.step()
        assert numbers(session)["worker"] == 1  # it was done before time moved at all


@pytest.mark.parametrize("words", [["busy"], ["delay=20"]])
def test_a_program_that_waits_by_itself_costs_virtual_time_only(words):
    with Session(launch("sdl2", *words)) as session:
        session.step(50)
        # 20 ms in each frame, which is more than the 1/60 s that a step gives.
        assert session.time == pytest.approx(50 * 0.02, abs=0.002 * 50)
        assert session.time >= 50 * 0.02


def play(session, step):
    x = np.sin(step / 7)
    session.set_pad(pad(*(["SOUTH"] if step % 5 < 2 else []), left=(float(x), 0)))


@pytest.mark.parametrize(
    ("words", "display"),
    [(["sleeper", "busy"], "dummy"), (["gl", "sleeper"], "offscreen"), (["waiter"], "xvfb")],
)
def test_600_frames_repeat_bit_by_bit_under_load(words, display):
    if display == "xvfb":
        compiled.need("Xvfb", package="xvfb")
    description = launch("sdl2", *words, display=display, seed=3)
    with Session(description) as session:
        quiet = hashes(session, 600, play)
    assert len(set(quiet)) == 600
    load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Session(description) as session:
            assert hashes(session, 600, play) == quiet
    finally:
        load.kill()
        load.wait()


def test_the_seed_decides_randomness():
    def random(seed):
        with Session(launch(seed=seed)) as session:
            return numbers(session)["random"]

    assert random(1) == random(1) != random(2)


def test_two_sessions_side_by_side_are_two():
    with Session(launch(seed=1)) as one, Session(launch(seed=2)) as two:
        assert one.home != two.home
        alone = hashes(one, 20)
        one.set_pad(pad("SOUTH"))
        one.step(5)
        two.step(3)
        assert (one.frames, two.frames) == (25, 3)
        assert (numbers(one)["presses"], numbers(two)["presses"]) == (1, 0)
    with Session(launch(seed=1)) as again:
        assert hashes(again, 20) == alone


def test_nothing_moves_between_steps():
    words = [*WORKERS, "busy"]
    with Session(launch("sdl2", *words)) as session:
        session.step(5)
        before, told, moment = session.stats, numbers(session), session.time
        time.sleep(2)
        assert session.stats == before
        assert numbers(session) == told
        assert session.time == moment
        session.step()
        assert numbers(session)["clock_us"] - told["clock_us"] < 50_000


def test_two_steps_at_once_are_refused():
    with Session(launch("sdl2", "hang=3", step_timeout=3)) as session:
        session.step()
        errors = []

        def step():
            try:
                session.step()
            except SessionError as error:
                errors.append(str(error))

        thread = threading.Thread(target=step)
        thread.start()
        while not session._busy.locked():
            time.sleep(0.001)
        with pytest.raises(SessionError, match="another step"):
            session.step()
        thread.join()
        assert "hangs" in errors[0]


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_steps_are_whole_numbers(number):
    with Session(launch()) as session, pytest.raises(SessionError, match="whole number"):
        session.step(number)
