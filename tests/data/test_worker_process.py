"""What a worker does when it starts: it notices that its parent ends, whatever it imports."""

from __future__ import annotations

WATCHED = """
import builtins, multiprocessing, threading, time
from nitrogen_jax.data import worker_process


def work(pipe):
    real = builtins.__import__

    def lazy(*args, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            raise TypeError("a module that is imported lazily meanwhile")
        return real(*args, **kwargs)

    builtins.__import__ = lazy
    before = threading.active_count()
    worker_process.start()
    time.sleep(1.5)
    pipe.send(threading.active_count() - before)


here, there = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=work, args=(there,))
process.start()
print("watchers", here.recv())
process.join()
"""


def test_the_watch_survives_lazy_imports_of_the_main_thread(run_python):
    done = run_python("-c", WATCHED)
    assert done.stdout == "watchers 1\n", done.stderr
    assert "Traceback" not in done.stderr
