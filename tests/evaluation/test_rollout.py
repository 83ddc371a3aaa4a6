"""Episodes of a made-up game: what ends them, and whose failure that is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, rollout
from nitrogen_jax.evaluation.task import Task, Verdict
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim.errors import LaunchError, SessionError
from nitrogen_jax.sim.pad_env import CRASHED, EXITED, TIMEOUT, Outcome, PadEnv


class Counter(PadEnv):
    """A game that counts presses of SOUTH; START would win it at once."""

    def __init__(self, ends=None, **options):
        super().__init__(size=(32, 32), fps=30.0, **options)
        self.ends, self.count, self.steps = ends or {}, 0, 0

    def _begin(self, seed):
        if "begin" in self.ends:
            raise self.ends["begin"]
        self.count, self.steps = 0, 0
        return {"variables": {"count": 0}}

    def _play(self, pad, frames):
        self.steps += 1
        self.count += int(pad.pressed[BUTTON_INDEX["SOUTH"]])
        self.count += 100 * int(pad.pressed[BUTTON_INDEX["START"]])
        reason = self.ends.get(self.steps, "")
        return Outcome(reason=reason, facts={"variables": {"count": self.count}})

    def _see(self):
        return np.full((32, 32, 3), self.count % 256, np.uint8)

    def _end(self):
        pass


@dataclass
class Judge:
    """Ten presses are the goal; `breaks` is what its look at that step raises."""

    breaks: Exception | None = None

    def begin(self, env, info):
        self.ended = None

    def look(self, env, info):
        if self.breaks is not None and info["frames"] == 3:
            raise self.breaks
        count = info["variables"]["count"]
        self.ended = info["reason"]
        return Verdict(True if count >= 10 else None, min(1.0, count / 10), {"count": count})


class Says:
    """A player that gives what it was told to."""

    def __init__(self, *pads):
        self._pads = pads

    def begin(self, env, info, seed):
        self._left = iter(self._pads)

    def step(self, frame, info):
        pad = next(self._left)
        if isinstance(pad, Exception):
            raise pad
        return pad


def pressed(*names):
    buttons = np.zeros(NUM_BUTTONS, bool)
    buttons[[BUTTON_INDEX[name] for name in names]] = True
    return Pad(buttons, (0, 0), (0, 0))


def task(judge=Judge):
    return Task(
        name="freedoom/made-up",  # its game is not played here
        goal="Press ten times.",
        category="game-specific",
        dimensions=2,
        procedural=False,
        judge=judge,
        seconds=1.0,
    )


def play(player, ends=None, judge=Judge, **options):
    with Counter(ends, seconds=1.0, **options) as env:
        return rollout.play(task(judge), player, 0, env)


def test_a_goal_that_is_reached_ends_the_episode():
    shown = []
    with Counter(seconds=1.0) as env:
        found = rollout.play(
            task(), Says(*[pressed("SOUTH")] * 20), 0, env, lambda *seen: shown.append(seen)
        )
    assert (found.outcome, found.steps, found.verdict.progress) == (rollout.SUCCESS, 10, 1.0)
    assert found.pad.shape == (10,)
    assert len(shown) == 11
    assert shown[0][1] is None
    assert [verdict.progress for _, _, verdict in shown[1:]] == [n / 10 for n in range(1, 11)]


def test_who_has_nothing_more_to_do_rests_until_the_time_is_over():
    found = play(Says(*[pressed("SOUTH")] * 4))
    assert (found.outcome, found.steps, found.seconds) == (rollout.FAILURE, 30, 1.0)
    assert found.verdict == Verdict(None, 0.4, {"count": 4})
    assert found.pad.pressed.sum() == 4


def test_menus_are_no_way_to_win():
    found = play(Says(*[pressed("START", "BACK", "GUIDE")] * 30))
    assert (found.outcome, found.verdict.progress) == (rollout.FAILURE, 0.0)
    assert not found.pad.pressed.any(), "what was masked is not in the record"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "the player gave NoneType"),
        (np.zeros(25), "the player gave ndarray"),
        (Pad(np.zeros((2, NUM_BUTTONS)), np.zeros((2, 2)), np.zeros((2, 2))), r"of shape \(2,\)"),
        (ValueError("no idea"), "ValueError: no idea"),
        (NitrogenError("pad: left stick holds nan"), "holds nan"),
        (rollout.PolicyError("the chunk is wrong"), "the chunk is wrong"),
    ],
)
def test_what_is_no_pad_is_the_players_fault(given, words):
    found = play(Says(pressed("SOUTH"), given))
    assert (found.outcome, found.steps) == (rollout.POLICY_ERROR, 1)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.why)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [(CRASHED, rollout.CRASH), (TIMEOUT, rollout.STUCK), (EXITED, rollout.FAILURE)],
)
def test_a_game_that_ends_by_itself(reason, outcome):
    found = play(Says(*[pressed("SOUTH")] * 30), {5: reason})
    assert (found.outcome, found.steps) == (outcome, 5)
    assert bool(found.why) == (outcome != rollout.FAILURE)


@pytest.mark.parametrize("error", [SessionError("it is gone"), NitrogenError("no such memory")])
def test_a_game_that_cannot_be_judged_is_nobodys_failure(error):
    found = play(Says(*[pressed("SOUTH")] * 30), judge=lambda: Judge(error))
    assert (found.outcome, found.why, found.steps) == (rollout.CRASH, str(error), 3)
    assert found.verdict.progress == 0.2, "the last verdict before"


def test_a_game_that_does_not_start():
    found = play(Says(), {"begin": SessionError("no first frame")})
    assert (found.outcome, found.steps) == (rollout.CRASH, 0)
    assert "no first frame" in found.why
    with pytest.raises(LaunchError):
        play(Says(), {"begin": LaunchError("it is not installed")})


def test_a_server_that_is_gone_is_told_to_who_plays():
    with pytest.raises(rollout.ServerGone):
        play(Says(rollout.ServerGone("nobody answers")))


def test_equal_pads_give_equal_hashes_and_others_do_not():
    rng = np.random.default_rng(0)
    moves = [pressed("SOUTH") if rng.random() < 0.2 else pressed() for _ in range(30)]
    first, again = play(Says(*moves)), play(Says(*moves))
    assert first.frames_hash == again.frames_hash
    assert play(players.Recorded(first.pad)).frames_hash == first.frames_hash
    other = itertools.chain([pressed("SOUTH")] * 5, moves[5:])
    assert play(Says(*other)).frames_hash != first.frames_hash
