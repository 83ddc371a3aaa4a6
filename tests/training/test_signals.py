"""Requests to stop: who notes them, how processes tell each other, and what comes back after."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nitrogen_jax.training import signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted(number):
    before = signal.getsignal(number)
    with signals.listening() as requests:
        assert requests.value(False) == 0
        os.kill(os.getpid(), number)
        assert requests.stop
        assert requests.interrupted is (number == signal.SIGINT)
        assert signals.read(requests.value(False)) == (True, False)
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_is_an_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with signals.listening():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)  # says the same once more
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="in the middle"), signals.listening():
        raise RuntimeError("in the middle")
    assert signal.getsignal(signal.SIGTERM) is before


def test_no_handlers_in_another_thread():
    found = []

    def work():
        with signals.listening() as requests:
            found.append((requests.stop, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGTERM))]


@pytest.mark.parametrize(
    ("stop", "save", "devices"), [(1, 0, 1), (0, 1, 1), (1, 1, 1), (3, 0, 8), (2, 1, 16), (0, 0, 4)]
)
def test_the_sum_over_devices(stop, save, devices):
    """Each device of a process holds its value: some processes want to stop, one to save."""
    total = 0
    for process in range(4):
        requests = signals.Requests()
        requests.stop = process < stop
        total += devices * requests.value(save=process < save)
    assert signals.read(total) == (stop > 0, save > 0)
    assert total < 2**31
