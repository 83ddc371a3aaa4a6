"""Episodes: with a made-up game to see every end, and with real ones."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest

pytest.importorskip("av")

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.data.label_check import check_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.play import loop
from nitrogen_jax.play.policy import Policy
from nitrogen_jax.play.runs import Plan, play
from nitrogen_jax.sim import catalogue, watch
from nitrogen_jax.sim.human import BUTTON, EVENT
from nitrogen_jax.sim.pad_env import CRASHED, EXITED


@pytest.fixture
def policy(waving):
    """A policy whose players are kept."""
    made = []

    def make(seed):
        made.append(waving(seed))
        return made[-1]

    return Policy(waving().facts, make), made


def lines(out, name):
    return [json.loads(line) for line in (out / "actions" / f"{name}.jsonl").open()]


def test_time_is_played_to_its_end(toy, policy, the_wave, tmp_path):
    policy, made = policy
    plan = Plan("toy", "A Toy", 0.5, seed=7, policy_seed=70, episodes=2, execute=4, out=tmp_path)
    seen = []
    with toy() as env:
        result = play(
            plan, policy, env, view=lambda one: seen.append(one) or True, about={"command": "it"}
        )
    assert [(one["seed"], one["ended"], one["steps"]) for one in result.episodes] == [
        *((7, "time", 30), (8, "time", 30))
    ]
    assert (result.failed, result.stopped) == ("", False)
    assert [one["reward"] for one in result.episodes] == [30.0, 30.0]
    assert [(player.seed, player.closed) for player in made] == [(70, True), (71, True)]
    assert [step for step, _ in made[0].asked] == list(range(0, 30, 4))
    # The policy's wave was held, but for the menu's button.
    found = lines(tmp_path, "toy-policy-7")
    for line in found:
        pad = gamepad.apply_mask(gamepad.decode(the_wave(line["step"])))
        names = [gamepad.BUTTONS[at] for at in np.flatnonzero(pad.pressed)]
        assert line["pad"]["buttons"] == names
        assert line["chunk"] == (line["step"] - 1) // 4 * 4
        # A step is shown with what its own pad did.
        held = seen[line["step"]].picture[0, 0, 0] == 255
        assert held == ("SOUTH" in names)
        asked = {"preprocess", "infer"} if (line["step"] - 1) % 4 == 0 else set()
        assert set(line["latency_ms"]) == {"grab", "game"} | asked
    assert [one.step for one in seen] == [*range(31), *range(31)]
    assert list(check_tree(label_tree.open_tree(tmp_path / "labels"))) == []
    about = json.loads((tmp_path / "play.json").read_text())
    assert about["command"] == "it"
    assert about["episodes"] == result.episodes
    assert about["latency_ms"]["infer"]["count"] == 16
    assert about["latency_ms"]["game"]["count"] == 60


@pytest.mark.parametrize(
    ("options", "ended"),
    [
        ({"over": 9}, loop.TERMINATED),
        ({"over": 9, "reason": EXITED}, EXITED),
        ({"seconds": 0.15}, "time_limit"),
    ],
)
def test_a_game_that_ends_by_itself_is_no_failure(toy, policy, tmp_path, options, ended):
    with toy(**options) as env:
        plan = Plan("toy", "A Toy", 1.0, episodes=2, out=tmp_path)
        result = play(plan, policy[0], env)
    assert [(one["ended"], one["steps"]) for one in result.episodes] == [(ended, 9)] * 2
    assert result.failed == ""
    assert len(lines(tmp_path, "toy-policy-1")) == 9


def test_a_game_that_dies_is_a_failure_and_the_next_episode_is_played(toy, policy, tmp_path):
    with toy(over=9, reason=CRASHED) as env:
        result = play(Plan("toy", "A Toy", 1.0, episodes=2, out=tmp_path), policy[0], env)
    assert [one["ended"] for one in result.episodes] == [CRASHED] * 2
    assert result.failed == "A Toy died"
    assert len(lines(tmp_path, "toy-policy-0")) == 9


class Gone(Exception):
    pass


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (np.full((18, 25), np.nan, np.float32), "holds nan"),
        (NitrogenError("no reply from tcp://x in 10 s"), "no reply from tcp://x"),
        (Gone("a bug"), None),
    ],
)
def test_a_policy_that_fails_costs_nothing_of_what_was_played(toy, waving, tmp_path, chunk, words):
    class Failing(waving):
        def act(self, frames, step=None, known=None):
            if step < 12:
                return super().act(frames, step, known)
            if isinstance(chunk, Exception):
                raise chunk
            return chunk

    players = []
    policy = Policy(waving().facts, lambda seed: players.append(Failing()) or players[-1])
    plan = Plan("toy", "A Toy", 1.0, execute=6, episodes=3, out=tmp_path)
    with toy() as env:
        if words is None:
            with pytest.raises(Gone):
                play(plan, policy, env)
        else:
            result = play(plan, policy, env)
            (one,) = result.episodes
            assert (one["ended"], one["steps"]) == (loop.POLICY_FAILED, 12)
            assert words in result.failed
    assert [player.closed for player in players] == [True]
    assert len(lines(tmp_path, "toy-policy-0")) == 12
    assert list(check_tree(label_tree.open_tree(tmp_path / "labels"))) == []


def test_it_stops_when_it_is_told_to(toy, policy, tmp_path):
    count = iter(range(100))
    with toy() as env:
        plan = Plan("toy", "A Toy", 1.0, episodes=3, out=tmp_path)
        result = play(plan, policy[0], env, stop=lambda: next(count) == 20)
        assert result.stopped
        assert [(one["ended"], one["steps"]) for one in result.episodes] == [("stopped", 20)]
        plan = Plan("toy", "A Toy", 1.0, episodes=3)
        result = play(plan, policy[0], env, view=lambda seen: seen.step < 5)
        assert [(one["ended"], one["steps"]) for one in result.episodes] == [("closed", 5)]
        assert not result.stopped
    assert len(lines(tmp_path, "toy-policy-0")) == 20


def test_a_picture_that_grows_ends_the_recording(toy, policy, tmp_path):
    with toy(growing=True) as env:
        result = play(Plan("toy", "A Toy", 1.0, out=tmp_path), policy[0], env)
    assert "50 pixels" in result.failed
    assert result.episodes[0]["ended"] == loop.NOT_WRITTEN
    assert len(lines(tmp_path, "toy-policy-0")) == 5


def test_a_person_takes_over_and_hands_back(toy, policy, tmp_path):
    """The pad is the person's while they touch and for half a second more; the rows tell."""
    device = tmp_path / "js0"
    os.mkfifo(device)
    end = os.open(device, os.O_RDWR)

    def touch(seen):
        if seen.step in (10, 15):
            os.write(end, EVENT.pack(0, seen.step == 10, BUTTON, 3))
        return True

    out = tmp_path / "out"
    out.mkdir()
    with toy(fps=20.0) as env:
        plan = Plan("toy", "A Toy", 2.0, device=device, out=out)
        result = play(plan, policy[0], env, view=touch)
    os.close(end)
    found = lines(out, "toy-policy-0")
    # Touched in the steps 11 to 15; 10 steps are half a second, the last of them is the policy's.
    by_person = [line["step"] for line in found if line["by"] == "person"]
    assert by_person == list(range(11, 25))
    assert result.episodes[0]["by_person"] == 14
    for line in found:
        if line["by"] == "person":
            assert line["pad"]["buttons"] == (["NORTH"] if line["step"] <= 15 else [])
            assert line["policy"]["left"] != [0, 0]
    (chunk,) = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(out / "labels").scan()]
    north = chunk[1].actions[:, BUTTON_INDEX["NORTH"]]
    assert np.flatnonzero(north).tolist() == [11, 12, 13, 14, 15]


def test_in_real_time_the_game_goes_on(toy, waving):
    """A second of game takes a second; chunks come late and no slot lacks an action."""
    policy = Policy(waving().facts, lambda seed: waving(seed))
    with toy(fps=50.0) as env:
        plan = Plan("toy", "A Toy", 1.2, realtime=True, delay=0.06)
        result = play(plan, policy, env)
    (one,) = result.episodes
    assert one["ended"] == "time"
    assert one["wall"] >= 59 / 50
    live = one["realtime"]
    assert live["slots"] == 60
    assert live["delay_slots"]["median"] >= 3
    assert live["delay_ms"]["median"] >= 60
    assert live["before_first"] >= 3
    found = result.latency.summary()
    assert found["injected"]["p50"] > 0
    assert {"queue", "slot", "preprocess", "infer"} <= found.keys()
    # A wave is the same whichever chunk it is of: borders cannot be told.
    if not live["starved"]:
        assert live["jerk_at_borders"] < 0.1
    assert live["borders"] > 0


def test_in_real_time_a_policy_that_fails_again_and_again_ends_it(toy, waving, tmp_path):
    class Failing(waving):
        def act(self, frames, step=None, known=None):
            if len(self.asked) >= 2:
                raise NitrogenError("the server is silent")
            return super().act(frames, step, known)

    policy = Policy(waving().facts, lambda seed: Failing(seed))
    with toy(fps=100.0) as env:
        plan = Plan("toy", "A Toy", 10.0, realtime=True, out=tmp_path)
        result = play(plan, policy, env)
    assert result.failed == "the server is silent"
    assert 0 < result.episodes[0]["steps"] < 1000
    assert result.episodes[0]["realtime"]["failed"] == 5
    steps = result.episodes[0]["steps"]
    assert len(lines(tmp_path, "toy-policy-0")) == steps
    for folder in ("videos", "debug"):
        path = tmp_path / folder / "toy-policy-0.mp4"
        assert len(list(video.frames(path, threads=1))) == steps + 1


# Real games --------------------------------------------------------------------------------------


def play_doom(policy, out, seconds=1.0, **options):
    out.mkdir()
    options = {"size": (32, 32), "window": (320, 240), "render_mode": "rgb_array", **options}
    with catalogue.make("freedoom", **options) as env:
        return play(Plan("freedoom", "Freedoom", seconds, seed=3, execute=6, out=out), policy, env)


def test_the_same_seeds_give_the_same_files(doom, policy, tmp_path):
    before = watch.held()
    for name in ("a", "b"):
        result = play_doom(policy[0], tmp_path / name)
        assert result.episodes[0]["ended"] == "time"
    assert watch.held().children == before.children
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    one = [name for name in files if name.suffix == ".mp4" and "videos" in str(name)]
    for name in (*one, *(name for name in files if "labels" in str(name))):
        if (tmp_path / "a" / name).is_file():
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert len(one) == 1
    a, b = (lines(tmp_path / name, "freedoom-E1M1-policy-3") for name in "ab")
    assert [(x["pad"], x["chunk"]) for x in a] == [(x["pad"], x["chunk"]) for x in b]
    assert {"grab", "apply", "game"} <= a[5]["latency_ms"].keys()


def test_a_real_game_that_is_killed_is_told(doom, policy, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    options = {"size": (32, 32), "window": (320, 240), "render_mode": "rgb_array"}
    with catalogue.make("freedoom", **options) as env:

        def see(seen):
            if seen.step == 10:
                os.kill(env.session.game_pid, signal.SIGKILL)
            return True

        plan = Plan("freedoom", "Freedoom", 2.0, out=out)
        result = play(plan, policy[0], env, view=see)
    (one,) = result.episodes
    assert one["ended"] == CRASHED
    assert result.failed == "Freedoom died"
    found = lines(out, "freedoom-E1M1-policy-0")
    assert one["steps"] - 1 <= 11
    assert len(found) == one["steps"]


def test_a_frame_skip_makes_steps_longer(vizdoom, policy):
    options = {"size": (32, 32), "frame_skip": 5, "render_mode": "rgb_array"}
    with catalogue.make("vizdoom", **options) as env:
        result = play(Plan("vizdoom", "ViZDoom", 2.0, seed=3), policy[0], env)
    (one,) = result.episodes
    assert one["steps"] == 14 or one["ended"] != "time"
    assert one["seconds"] == pytest.approx(one["steps"] / 7)


def test_the_policy_is_in_a_thread_of_its_own_in_real_time_alone(toy, waving):
    threads = []

    class Noting(waving):
        def act(self, *asked):
            threads.append(threading.current_thread())
            return super().act(*asked)

    policy = Policy(waving().facts, lambda seed: Noting(seed))
    with toy(fps=100.0) as env:
        for realtime in (False, True):
            play(Plan("toy", "A Toy", 0.3, realtime=realtime), policy, env)
    here = [one is threading.current_thread() for one in threads]
    assert here[0]
    assert not here[-1]
