"""Real time on a clock that the test turns: no slot is missed, chunks continue each other."""

from __future__ import annotations

import logging
import threading
import time
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import flow, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import continuity
from nitrogen_jax.serving.agent import Agent
from nitrogen_jax.serving.facts import Facts
from nitrogen_jax.serving.realtime import RealTime, ThreadWorker
from nitrogen_jax.serving.sampler import draw_noise

HORIZON, STEPS, SPREAD, PLANS = 18, 16, 0.08, 4


def plans(step, shift):
    """What may be done from a control step on, (PLANS, T, 25): four ways of running in circles.

    Each is smooth in itself, presses its own buttons, and any of them is as good as the others.
    """
    at = (jnp.arange(HORIZON) + step + shift)[None, :, None]
    phase = jnp.arange(PLANS)[:, None, None] * 2 * jnp.pi / PLANS
    turn = 2 * jnp.pi * at / 60 + phase
    sticks = [0.5 + 0.4 * one for one in (jnp.cos(turn), jnp.sin(turn), jnp.sin(turn + 1))]
    buttons = jnp.sin(2 * jnp.pi * at / 24 + phase + jnp.arange(21) / 3) > 0
    return jnp.concatenate([buttons, *sticks, jnp.full_like(turn, 0.5)], axis=-1)


def velocity(modes, x, t):
    """The exact field of points spread normally around each plan."""
    variance = t**2 * SPREAD**2 + (1 - t) ** 2
    far = jnp.sum((x[:, None] - t * modes) ** 2, axis=(2, 3))
    share = jax.nn.softmax(-far / (2 * variance), axis=1)[..., None, None]
    gain = t * SPREAD**2 / variance
    end = jnp.sum(share * (modes + gain * (x[:, None] - t * modes)), axis=1)
    return (end - x) / jnp.maximum(1 - t, 1e-3)


@partial(jax.jit, static_argnums=2)
def sample(step, noise, shift, known):
    field = partial(velocity, plans(step, shift))
    return flow.inpaint(field, noise[None], jnp.arange(STEPS) / STEPS, known)[0]


class Undecided:
    """A player whose chunk follows one of the plans, drawn anew for every chunk."""

    def __init__(self, seed=0, shift=1):
        self.facts = Facts(HORIZON, shift, 1, 1, 32, inpaint=True)
        self.seed, self.row = seed, 0

    def reset(self, seed=None):
        self.row = 0

    def act(self, frames, step=None, known=None):
        noise = draw_noise(self.seed, [self.row], (HORIZON, 25))[0]
        self.row += 1
        chunk = np.zeros((1, HORIZON, 25), np.float32)
        both = (chunk, chunk) if known is None else (known.actions[None], known.weights[None])
        return np.asarray(sample(step, noise, self.facts.action_shift, flow.Known(*both)))


class Delayed:
    """Answers when the test's clock says that the time has passed."""

    def __init__(self, player, clock, delays):
        self.player, self.clock, self.delays = player, clock, delays
        self.asked = 0

    def ask(self, frames, step, known):
        delay = self.delays[self.asked % len(self.delays)]
        self.asked += 1
        try:
            self.found = self.player.act(frames, step, known)
        except NitrogenError as error:
            self.found = error
        self.ready = self.clock() + Fraction(delay, 1000)

    def poll(self):
        return self.found if self.clock() >= self.ready else None


def play(rate, delays, slots=600, player=None, **options):
    """A minute or less of game: the played pads (slots,), and what was reported."""
    now = [Fraction(0)]
    player = player or Undecided()
    clock = lambda: now[0]  # noqa: E731
    realtime = RealTime(player.facts, Delayed(player, clock, delays), clock=clock, **options)
    pads = []
    for slot in range(slots):
        now[0] = Fraction(slot, rate)
        pads.append(gamepad.pack(realtime.tick(np.zeros((4, 4, 3), np.uint8))))
    return gamepad.decode(np.stack(pads)), realtime.report


def at_borders(pads, report):
    """Of a mean border: the jerk, the flicker, and the jerk of slots that are far from any."""
    borders = [one for one in report.borders[1:] if 6 <= one < len(pads.left) - 6]
    # A state of the plans' buttons lasts 12 slots; one of less than 6 was cut short.
    jerk, flicker = continuity.stick_jerk(pads), continuity.button_flicker(pads, short=6)
    near = np.concatenate([np.arange(one - 3, one + 1) for one in borders])
    far = np.delete(jerk, near)[report.before_first + 3 :]
    return jerk[near].mean(), flicker.sum() / len(borders), far.mean()


@pytest.mark.parametrize("shift", [1, 3])
@pytest.mark.parametrize(
    ("rate", "delay"), [(60, 50), (60, 100), (60, 150), (30, 100), (30, 200), (30, 300)]
)
def test_no_slot_is_missed_and_borders_are_smoother_than_by_switching(rate, delay, shift):
    found, slots = {}, rate * delay // 1000
    for continuous in (True, False):
        player = Undecided(shift=shift)
        pads, report = play(rate, [delay], player=player, continuous=continuous)
        assert report.starved == report.failed == report.late == 0
        assert set(report.delays) == {slots}
        assert set(report.seconds) == {delay / 1000}
        assert report.before_first == slots
        assert report.chunks >= 600 // 9 - 2
        found[continuous] = at_borders(pads, report)
    (jerk, flicker, usual), (naive_jerk, naive_flicker, _) = found[True], found[False]
    assert jerk < naive_jerk / 1.5
    assert jerk < 1.2 * usual
    assert flicker < naive_flicker / 4


def test_delays_that_vary_are_measured_and_bridged():
    pads, report = play(60, [50, 120, 80, 150, 60])
    assert set(report.delays) == {3, 8, 5, 9, 4}  # 120 ms are 7.2 slots
    assert report.starved == 0
    assert report.late == 2  # each longer than all before it
    naive = at_borders(*play(60, [50, 120, 80, 150, 60], continuous=False))
    assert at_borders(pads, report)[0] < naive[0] / 1.5


@pytest.mark.parametrize("shift", [1, 3])
def test_beyond_half_a_chunk_the_sticks_stay_and_the_buttons_are_released(shift, caplog):
    player = Undecided(shift=shift)
    with caplog.at_level(logging.WARNING):
        pads, report = play(60, [200], player=player)  # 12 slots of 18
    # In every 12 slots a chunk reaches up to slot 18 + shift - 1, and the next one comes at 24.
    per_chunk = 12 - (HORIZON + shift - 1 - 12)
    assert report.starved == pytest.approx(per_chunk * (600 - 12) / 12, abs=12)
    assert report.starved > 100
    assert f"at most {9 if shift == 1 else 10} can be bridged" in caplog.text
    assert len(caplog.records) == 1
    assert f"{report.starved} slots" in report.sentence()
    assert "too slow" in report.sentence()
    still = 0
    for border in report.borders[2:-1]:
        hold = slice(border - per_chunk, border)
        assert not pads.pressed[hold].any()
        assert pads.pressed[hold.start - 1].any()
        before = pads.left[hold.start - 1]
        np.testing.assert_array_equal(pads.left[hold], np.tile(before, (per_chunk, 1)))
        still += per_chunk
    assert still > 100


def test_a_chunk_that_fails_is_asked_for_again_but_not_for_ever():
    class Failing(Undecided):
        asked = 0

        def act(self, frames, step=None, known=None):
            self.asked += 1
            if self.asked in (3, 4) or self.asked > 10:
                raise NitrogenError("the server is silent")
            return super().act(frames, step, known)

    _, report = play(60, [50], slots=60, player=Failing())
    assert report.failed == 2
    assert report.starved == 0
    with pytest.raises(NitrogenError, match="the server is silent"):
        play(60, [50], player=Failing())


def test_frames_since_the_last_question_are_handed_over_where_they_matter():
    class Looking(Undecided):
        seen: tuple = ()

        def act(self, frames, step=None, known=None):
            self.seen = (*self.seen, (step, len(frames)))
            return super().act(frames, step, known)

    player = Looking()
    player.facts = Facts(HORIZON, 1, 3, 2, 32, inpaint=True)
    play(60, [50], slots=40, player=player)
    assert player.seen[0] == (0, 1)
    assert {count for step, count in player.seen if step >= 6} == {6}


def test_a_thread_thinks_while_the_game_goes_on(engine, make_picture):
    gate, threads = threading.Event(), []

    class Slow(Agent):
        def act(self, *asked):
            threads.append(threading.current_thread())
            gate.wait(60)
            return super().act(*asked)

    worker = ThreadWorker(lambda: Slow(engine))
    assert worker.facts == engine.facts
    realtime = RealTime(worker.facts, worker)
    try:
        for number in range(5):
            pad = realtime.tick(make_picture(number))  # does not wait
        assert realtime.report.before_first == 5
        assert not pad.pressed.any()
        gate.set()
        while not realtime.report.chunks:
            time.sleep(0.01)
            pad = realtime.tick(make_picture(9))
        assert threads[0] is not threading.current_thread()
    finally:
        gate.set()
        worker.close()
    with pytest.raises(NitrogenError, match="no such player"):
        ThreadWorker(lambda: (_ for _ in ()).throw(NitrogenError("no such player")))


def test_what_real_time_needs():
    facts = Facts(HORIZON, 1, 1, 1, 32)
    with pytest.raises(NitrogenError, match="--realtime"):
        RealTime(facts, None)
    with pytest.raises(NitrogenError, match="execute is 19"):
        RealTime(facts, None, execute=19, continuous=False)


# Parts ------------------------------------------------------------------------------------------


@given(st.integers(0, 18), st.integers(0, 18))
def test_the_mask_is_whole_then_falls_then_ends(frozen, overlap):
    mask = continuity.soft_mask(frozen, overlap, HORIZON)
    assert (mask[: min(frozen, overlap)] == 1).all()
    assert (mask[overlap:] == 0).all()
    assert (np.diff(mask) <= 0).all()
    soft = mask[frozen:overlap]
    assert ((soft > 0) & (soft < 1)).all()


def test_sticks_are_drawn_and_buttons_are_free_beyond_what_is_frozen():
    old = np.random.default_rng(0).random((12, 25)).astype(np.float32)
    found = continuity.wanted(old, 5, HORIZON)
    assert set(np.unique(found.actions[:, :21])) == {0, 1}
    np.testing.assert_array_equal(found.actions[:12, 21:], old[:, 21:])
    np.testing.assert_array_equal(found.weights[:5], np.ones((5, 25)))
    assert not found.weights[5:, :21].any()
    assert (found.weights[5:12, 21:] > 0).all()
    assert not found.weights[12:].any()
    assert continuity.wanted(old[:0], 5, HORIZON) is None
    assert continuity.wanted(np.tile(old, (2, 1)), 40, HORIZON).weights.min() == 1


VALUES = st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=60)


@given(VALUES, st.floats(0, 0.4), st.integers(1, 6))
def test_a_button_changes_clearly_and_seldom(values, margin, hold):
    rule = continuity.ButtonRule(margin, hold)
    found = np.array([rule(np.full(21, value)) for value in values])
    assert (found == found[:, :1]).all()
    states = found[:, 0]
    changes = np.flatnonzero(np.diff(np.concatenate([[False], states])))
    assert (np.diff(changes) >= hold).all()
    for at in changes:
        beyond = values[at] - 0.5 if states[at] else 0.5 - values[at]
        assert beyond > margin


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_without_margin_and_hold_the_rule_is_the_threshold(states):
    rule = continuity.ButtonRule(0, 1)
    assert [bool(rule(np.full(21, float(state)))[0]) for state in states] == states


def test_flicker_and_jerk_are_what_they_are_called():
    pressed = np.zeros((12, 21), bool)
    pressed[3:5, 0] = True  # two slots: flicker
    pressed[3:9, 1] = True  # six slots: a press
    pressed[10:, 2] = True  # nobody knows how long
    line = np.linspace(-0.5, 0.5, 12)[:, None] * [1, 0]
    pads = gamepad.Pad(pressed, line, np.zeros((12, 2)))
    assert continuity.button_flicker(pads).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(continuity.stick_jerk(pads), np.zeros(9), atol=1e-6)
    line[6:] *= -1
    assert continuity.stick_jerk(gamepad.Pad(pressed, line, 0 * line)).max() > 0.05
