"""The engine: many questions at once, actions that are no numbers, too little memory."""

from __future__ import annotations

import logging

import jax
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving.agent import make_engine
from nitrogen_jax.serving.facts import Wanted
from nitrogen_jax.serving.session import Session


def questions(engine, make_picture, count):
    """Half of them with known actions."""
    random = np.random.default_rng(0)
    for number in range(count):
        known = Wanted(*random.random((2, 18, 25)).astype(np.float32)) if number % 2 else None
        yield Session(engine.cfg, number).prepare([make_picture(number)], known=known)


def test_every_question_is_answered_as_if_alone(engine, make_picture):
    asked = list(questions(engine, make_picture, 11))
    together = engine.run(asked)
    for one, answer in zip(asked, together, strict=True):
        np.testing.assert_allclose(answer, engine.run([one])[0], atol=1e-5)


def test_actions_that_are_not_finite_spoil_one_answer(engine, make_picture):
    asked = [Session(engine.cfg, i).prepare([make_picture(i)]) for i in range(3)]
    asked[1].noise[2, 3] = np.nan
    found = engine.run(asked)
    assert isinstance(found[1], NitrogenError)
    assert "not finite" in str(found[1])
    assert np.isfinite([found[0], found[2]]).all()


class Small:
    """A device that has memory for batches of `most`."""

    def __init__(self, engine, most, monkeypatch):
        run = engine.sampler._run
        self.tried = []

        def limited(frames, *rest):
            bucket = engine.sampler.bucket(len(frames))
            self.tried.append(bucket)
            if bucket > most:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while ...")
            return run(frames, *rest)

        monkeypatch.setattr(engine.sampler, "_run", limited)


def test_batches_that_memory_is_too_small_for_are_left_out(
    tiny, engine, make_picture, monkeypatch, caplog
):
    asked = [Session(engine.cfg, i).prepare([make_picture(i)]) for i in range(7)]
    wanted = engine.run(asked)
    small = make_engine(tiny, batch=4)
    device = Small(small, 2, monkeypatch)
    with caplog.at_level(logging.WARNING):
        small.warm_up()
    assert small.largest == 2
    assert "too little memory for a batch of 4: batches of 2 at most" in caplog.text
    np.testing.assert_allclose(small.run(asked), wanted, atol=1e-5)
    assert device.tried == [1, 2, 4, 2, 2, 2, 1]


def test_memory_that_runs_out_later_costs_nobody_an_answer(tiny, engine, make_picture, monkeypatch):
    asked = [Session(engine.cfg, i).prepare([make_picture(i)]) for i in range(5)]
    small = make_engine(tiny, batch=4)
    small.warm_up()
    device = Small(small, 1, monkeypatch)
    np.testing.assert_allclose(small.run(asked), engine.run(asked), atol=1e-5)
    assert device.tried == [4, 2, 1, 1, 1, 1, 1]
    assert small.largest == 1


def test_no_memory_at_all_is_one_sentence(tiny, monkeypatch):
    small = make_engine(tiny, batch=2)
    Small(small, 0, monkeypatch)
    with pytest.raises(NitrogenError, match="too little memory for this policy"):
        small.warm_up()


def test_other_errors_are_not_taken_for_it(tiny, make_picture, monkeypatch):
    broken = make_engine(tiny, batch=2)

    def fail(*inputs):
        raise ZeroDivisionError

    monkeypatch.setattr(broken.sampler, "_run", fail)
    with pytest.raises(ZeroDivisionError):
        broken.warm_up()
    assert broken.largest == 2
