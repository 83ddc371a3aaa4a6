"""Who plays: names, rates, and what comes of servers that say nonsense or nothing."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import policies, suite, tasks
from nitrogen_jax.evaluation.opened import opened
from nitrogen_jax.evaluation.policies import Remote, Source
from nitrogen_jax.evaluation.rollout import PolicyError, ServerGone
from nitrogen_jax.gamepad import BUTTON_INDEX, neutral

sys.path.insert(0, str(Path(__file__).parent))
from fake_server import FACTS, FakeServer

FRAME = np.zeros((64, 64, 3), np.uint8)


def test_words(tmp_path):
    assert policies.kind_of("idle") == "baseline"
    assert policies.kind_of("tcp://host:1") == "server"
    assert policies.kind_of("random:test") == "checkpoint"
    assert policies.kind_of(str(tmp_path)) == "checkpoint"
    with pytest.raises(NitrogenError, match="'exprt': perhaps expert"):
        policies.kind_of("exprt")
    with pytest.raises(NitrogenError, match="idle, random, hold, expert"):
        policies.kind_of(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("rate", "skip"), [(None, 7), (35, 1), (60, 1), (17, 2), (5, 7), (0.1, 350)]
)
def test_a_pad_is_held_as_long_as_the_policy_means(rate, skip):
    task = dataclasses.replace(tasks.get("vizdoom/defend-the-center"), frame_skip=7)
    assert Source(control_rate=rate).frame_skip(task) == skip
    # A baseline's rhythm is the task's, whatever a policy's would be.
    assert Source(baseline="idle", control_rate=rate).frame_skip(task) == 7


def test_a_task_without_an_expert():
    task = tasks.get("vizdoom/defend-the-center")
    lone = dataclasses.replace(task, expert=None)
    assert Source(baseline="expert").lacks(lone)
    assert Source(baseline="hold").lacks(lone) is None


def test_seeds_depend_on_task_and_episode_alone():
    # Were these to change, runs that were begun before could not be gone on with.
    assert suite.seed_of(0, "supertux/igloo", 0) == 1876242286
    assert suite.seed_of(7, "vizdoom/basic", 3) == 686617526
    found = {suite.seed_of(s, t, e) for s in range(5) for t in "abc" for e in range(20)}
    assert len(found) == 300
    assert all(0 <= seed < 2**31 for seed in found)


def test_suites():
    every = tasks.every()
    assert [task.name for task in suite.chosen()] == list(every)
    kinds = ("combat", "navigation", "game-specific")
    assert sum(len(suite.chosen(name)) for name in kinds) == len(every)
    for one, other in (("2d", "3d"), ("fixed", "procedural")):
        assert len(suite.chosen(one)) + len(suite.chosen(other)) == len(every)
    assert {task.game for task in suite.chosen("vizdoom")} == {"vizdoom"}
    names = ["vizdoom/defend-the-center"] * 2
    assert [task.name for task in suite.chosen("combat", names)] == names[:1]
    with pytest.raises(NitrogenError, match="perhaps combat"):
        suite.chosen("combt")


@pytest.fixture
def player():
    """Makes players of a server, which are closed at the end; `begun` with seed 3."""
    made = []

    def make(server, patience=5.0, begun=True, **more):
        made.append(Remote(Source(address=server.address, patience=patience, **more)))
        if begun:
            made[-1].begin(None, {}, seed=3)
        return made[-1]

    yield make
    for remote in made:
        remote.close()


def test_a_server_plays_chunk_by_chunk(player):
    def chunk(seed, step):
        actions = neutral(FACTS.horizon)
        actions[:, BUTTON_INDEX["SOUTH"]] = np.arange(FACTS.horizon) == 0
        actions[:, -1] = (seed + step) / 100
        return actions

    with FakeServer(chunk) as server:
        remote = player(server, execute=2)
        pads = [remote.step(FRAME, {}) for _ in range(6)]
        remote.begin(None, {}, seed=9)
        again = remote.step(FRAME, {})
        assert server.asked == 4
    assert [bool(pad.pressed[BUTTON_INDEX["SOUTH"]]) for pad in pads] == [True, False] * 3
    heights = [(float(pad.right[1]) + 1) * 50 for pad in pads]
    assert heights == pytest.approx([3, 3, 5, 5, 7, 7], abs=1e-4)
    assert (float(again.right[1]) + 1) * 50 == pytest.approx(9, abs=1e-4)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (np.full((6, 25), np.nan), "holds nan"),
        (np.full((6, 25), np.inf), "holds inf"),
        (np.zeros((6, 24)), "no chunk of actions"),
        (np.zeros((5, 25)), "no chunk of actions"),
        ("failed", "it is failed"),
        ("internal", "it is internal"),
    ],
)
def test_nonsense_is_an_error_of_the_policy(player, said, words):
    with FakeServer(lambda seed, step: said) as server:
        remote = player(server)
        with pytest.raises(PolicyError, match=words):
            remote.step(FRAME, {})
        # The next episode may go well.
        server.chunk = lambda seed, step: neutral(6)
        remote.begin(None, {}, seed=4)
        assert not remote.step(FRAME, {}).pressed.any()


def test_a_server_that_says_nothing_is_gone(player):
    server = FakeServer()
    remote = player(server, patience=0.5)
    server.close()
    with pytest.raises(ServerGone, match="no reply"):
        remote.step(FRAME, {})
    remote = player(server, patience=0.2, begun=False)
    with pytest.raises(ServerGone):
        remote.begin(None, {}, seed=3)


def test_a_server_that_comes_back_in_time_goes_on(player):
    server = FakeServer()
    remote = player(server, patience=20.0, execute=1)
    remote.step(FRAME, {})
    server.close()
    made = []

    def return_later():
        time.sleep(0.7)
        made.append(FakeServer(port=server.port))

    thread = threading.Thread(target=return_later)
    thread.start()
    remote.step(FRAME, {})
    thread.join()
    assert made[0].asked >= 1
    made[0].close()


def test_a_server_that_ends_is_asked_again(player):
    answers = iter(["ending", "ending", neutral(6)])
    with FakeServer(lambda seed, step: next(answers)) as server:
        remote = player(server)
        remote.step(FRAME, {})
        assert server.asked == 3
        server.chunk = lambda seed, step: "ending"
        remote._playback.player._patience = 0.3
        remote.begin(None, {}, seed=4)
        with pytest.raises(ServerGone, match="it is ending"):
            remote.step(FRAME, {})


def test_what_a_server_tells_is_known_before_anything_is_played():
    facts = dataclasses.replace(FACTS, control_rate=15.0, action_shift=0)
    with FakeServer(facts=facts) as server, opened(server.address, batch=1) as who:
        assert who.source.control_rate == 15.0
        assert who.source.size == (64, 64)
        assert who.play == {"execute": 5}
        assert who.policy["about"] == {"policy": "fake"}
        with (
            pytest.raises(NitrogenError, match="--execute is 6, where 1 to 5"),
            opened(server.address, batch=1, execute=6),
        ):
            pass
    # The same policy behind another address is the same.
    with FakeServer(facts=facts) as server, opened(server.address, batch=1) as other:
        assert other.policy["identity"] == who.policy["identity"]
    with (
        pytest.raises(NitrogenError, match="no reply"),
        opened(server.address, batch=1, patience=0.2),
    ):
        pass


def test_baselines_know_no_chunks():
    with opened("random", batch=4) as who:
        assert (who.source.baseline, who.play) == ("random", {})
    with pytest.raises(NitrogenError, match="--execute"), opened("idle", batch=1, execute=1):
        pass
