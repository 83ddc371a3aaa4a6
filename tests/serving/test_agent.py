"""The agent: what offline prediction predicts, whatever was asked before or beside."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data.example import Example, Source
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import offline
from nitrogen_jax.serving.agent import Agent, make_engine, served_config
from nitrogen_jax.serving.facts import Wanted
from nitrogen_jax.weights.policies import random_policy


def offline_chunks(engine, pictures, asked, seed):
    """What offline prediction says about a recorded game at some of its control steps."""
    from nitrogen_jax.data.images import to_frame
    from nitrogen_jax.data.sources import Context

    context = Context.of(engine.cfg)
    frames = [to_frame(one, context.size) for one in pictures]

    def read(item, first):
        for step in asked[first:]:
            wanted = (step - back for back in context.back)
            found = context.gather(frames[at] if at >= 0 else None for at in wanted)
            yield Example("game", step, 0.0, *found)

    source = Source(("game",), read, {})
    settings = offline.Settings(seed=seed, batch=4)
    return np.concatenate(
        [one.actions for one in offline.predict(engine.sampler, source, settings)]
    )


def test_it_predicts_what_offline_prediction_predicts(engine, make_picture):
    pictures, asked = [make_picture(i) for i in range(10)], [0, 4, 9]
    wanted = offline_chunks(engine, pictures, asked, seed=7)
    agent = Agent(engine, seed=7)
    for _ in range(2):  # a reset game is the same game
        agent.reset()
        found, begin = [], 0
        for step in asked:
            found.append(agent.act(pictures[begin : step + 1]))
            begin = step + 1
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    agent.reset(seed=8)
    assert np.abs(agent.act(pictures[:1]) - wanted[0]).max() > 0.01


def test_the_older_frame_matters_and_the_nearest_stands_for_it(engine, make_picture):
    def second(*before):
        agent = Agent(engine)
        for step, number in before:
            agent.act(make_picture(number), step)
        agent._session.row = 1  # the same noise, however many chunks came before
        return agent.act(make_picture(9), 5)

    exact = second((2, 1))
    np.testing.assert_array_equal(exact, second((3, 1)))
    assert np.abs(exact - second((2, 4))).max() > 1e-3
    missing = second()
    assert np.abs(exact - missing).max() > 1e-3
    np.testing.assert_array_equal(missing, second((0, 1)))


def test_steps_do_not_go_back(engine, make_picture):
    agent = Agent(engine)
    first = agent.act(make_picture(0), 5)
    with pytest.raises(NitrogenError, match="step 4 comes after that of step 5"):
        agent.act(make_picture(0), 4)
    agent.reset()
    np.testing.assert_array_equal(agent.act(make_picture(0), 4), first)


def test_forbidden_buttons_are_released(engine, make_picture):
    every = Agent(engine).act(make_picture(3))
    fewer = Agent(engine, forbidden=gamepad.NO_MENUS).act(make_picture(3))
    at = [gamepad.BUTTON_INDEX[name] for name in gamepad.NO_MENUS]
    assert (every[:, at] > 0.5).any()
    assert not fewer[:, at].any()
    rest = np.setdiff1d(np.arange(25), at)
    np.testing.assert_array_equal(every[:, rest], fewer[:, rest])


def test_known_actions_are_kept(engine, make_picture):
    random = np.random.default_rng(0)
    actions = random.random((18, 25)).astype(np.float32)
    weights = np.zeros((18, 25), np.float32)
    weights[:5] = 1
    free = Agent(engine).act(make_picture(0))
    kept = Agent(engine).act(make_picture(0), known=Wanted(actions, weights))
    np.testing.assert_array_equal(kept[:5], actions[:5])
    assert np.abs(kept[5:] - free[5:]).max() > 1e-4
    untouched = Agent(engine).act(make_picture(0), known=Wanted(actions, 0 * weights))
    np.testing.assert_allclose(untouched, free, atol=1e-5)


def test_an_old_layout_is_converted_both_ways(tiny, engine, make_picture):
    old = make_engine(tiny, old_layout=True, inpaint=True)
    found = Agent(old).act(make_picture(0))
    usual = Agent(engine).act(make_picture(0))
    wanted = gamepad.convert_layout(usual, "sticks_first", "buttons_first")
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    known = Wanted(found + 1, np.ones_like(found))
    np.testing.assert_array_equal(Agent(old).act(make_picture(0), known=known), known.actions)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "frame is of type float32"),
        (np.zeros((4, 4, 2), np.uint8), r"frame has shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), "is empty"),
        ([], "no frame is given"),
        (["x"], "frame is a str"),
    ],
)
def test_a_wrong_frame_is_one_sentence(engine, frame, words):
    with pytest.raises(NitrogenError, match=words):
        Agent(engine).act(frame)


def test_impossible_wishes_are_one_sentence(tiny, engine, make_picture):
    with pytest.raises(NitrogenError, match="seed is -1"):
        Agent(engine, seed=-1)
    with pytest.raises(NitrogenError, match="3 frame"):
        served_config(tiny.meta.config, frames=3, old_layout=False)
    with pytest.raises(NitrogenError, match="frames is 0"):
        served_config(tiny.meta.config, frames=0, old_layout=False)
    other = random_policy(dataclasses.replace(tiny.meta.config, action_dim=21))
    with pytest.raises(NitrogenError, match="21 action dimensions"):
        make_engine(other)
    with pytest.raises(NitrogenError, match="largest batch is 0"):
        make_engine(tiny, batch=0)
    plain = make_engine(tiny)
    chunk = np.zeros((18, 25), np.float32)
    with pytest.raises(NitrogenError, match="inpaint=True"):
        Agent(plain).act(make_picture(0), known=Wanted(chunk, chunk))
