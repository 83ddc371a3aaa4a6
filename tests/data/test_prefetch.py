"""Working ahead changes nothing but the time."""

from __future__ import annotations

import threading
import time

import pytest

from nitrogen_jax.data.prefetch import prefetch


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_order_and_end():
    assert list(prefetch(iter(range(100)), depth=3)) == list(range(100))
    assert list(prefetch(iter([]))) == []
    assert list(prefetch([None, 1])) == [None, 1]


def test_an_error_comes_where_it_would_have_been():
    def items():
        yield 1
        yield 2
        raise KeyError("three")

    seen = []
    with pytest.raises(KeyError, match="three"):
        seen.extend(prefetch(items()))
    assert seen == [1, 2]


def test_it_is_ahead_but_not_far():
    made = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # one taken, two ready, one waiting to be put
    ahead.close()


def test_closing_ends_the_thread():
    before = len(workers())
    ahead = prefetch(iter(int, 1), depth=1)  # endless
    next(ahead)
    assert len(workers()) == before + 1
    ahead.close()
    assert len(workers()) == before
