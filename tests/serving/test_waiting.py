"""When a batch begins and who is in it, by a clock that the test turns."""

from __future__ import annotations

import dataclasses
import types

from nitrogen_jax.serving.waiting import Request, Waiting


def request(number, arrived=0.0, deadline=float("inf"), known=None, session="a"):
    question = types.SimpleNamespace(known=known)
    return Request(b"peer", number, session, question, arrived, deadline)


def numbers(requests):
    return [one.number for one in requests]


def test_the_oldest_waits_for_others_but_not_for_long():
    waiting = Waiting(most_batch=3, most_wait=0.5, limit=9)
    assert waiting.due(0) is None
    waiting.add(request(0, arrived=10.0))
    waiting.add(request(1, arrived=10.4))
    assert waiting.due(10.25) == 0.25
    assert waiting.due(10.5) == waiting.due(99.0) == 0
    waiting.add(request(2, arrived=10.2))
    assert waiting.due(10.2) == 0  # a full batch waits for nobody


def test_batches_are_taken_in_order_of_arrival():
    waiting = Waiting(most_batch=3, most_wait=0, limit=99)
    for number in range(7):
        waiting.add(request(number))
    taken = [numbers(waiting.take(0)[0]) for _ in range(4)]
    assert taken == [[0, 1, 2], [3, 4, 5], [6], []]


def test_the_queue_is_bounded():
    waiting = Waiting(most_batch=3, most_wait=0, limit=2)
    waiting.add(request(0))
    assert not waiting.full
    waiting.add(request(1, session="b"))
    assert waiting.full
    assert (waiting.of("a"), waiting.of("b"), waiting.of("c")) == (1, 1, 0)


def test_a_deadline_that_has_passed_costs_no_work():
    waiting = Waiting(most_batch=3, most_wait=0, limit=9)
    for number in range(5):
        waiting.add(request(number, deadline=1.0 if number in (0, 3) else 2.0))
    batch, late = waiting.take(1.0)
    assert (numbers(batch), numbers(late)) == ([1, 2, 4], [0, 3])
    assert len(waiting) == 0


def test_a_batch_has_known_actions_throughout_or_nowhere():
    waiting = Waiting(most_batch=3, most_wait=0, limit=99)
    for number, known in enumerate([None, 1, None, 1, 1, None, None]):
        waiting.add(dataclasses.replace(request(number, known=known)))
    taken = [numbers(waiting.take(0)[0]) for _ in range(3)]
    assert taken == [[0, 2, 5], [1, 3, 4], [6]]
