"""Messages over pipes: four bytes of length, little-endian, and a msgpack map.

Requests: {"do": "reset", "seed": int, "level": str} and {"do": "step", "action": ..., "frames":
int}. Answers: {"frame": bytes, "shape": [h, w], "reward": float, "done": bool, "cut": bool,
"variables": {name: number}} and more of a game's own, or {"error": one sentence}. A worker ends
when its input does.

NOTE: also loaded by Pythons that have neither this package nor a recent NumPy.
"""

from __future__ import annotations

import os
import shutil
import sys

import msgpack

MOST_BYTES = 1 << 27
SCRATCH = "NITROGEN_WORKER_SCRATCH"  # the worker's working folder, which goes when it ends


def send(stream, message: dict) -> None:
    data = msgpack.packb(message)
    stream.write(len(data).to_bytes(4, "little") + data)
    stream.flush()


def receive(stream) -> dict:
    """The next message; EOFError where there is none, ValueError where it is none of ours."""
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    size = int.from_bytes(head, "little")
    if size > MOST_BYTES:
        raise ValueError(f"message of {size} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    message = msgpack.unpackb(data)
    if not isinstance(message, dict):
        raise ValueError("not a map")
    return message


def answer(frame, reward=0.0, done=False, variables=None, cut=False) -> dict:
    """What came of a request.

    Args:
        frame: (h, w, 3) uint8 RGB, in one piece.
        done: the episode is over by the game's rules.
        cut: its time is over.
    """
    return {
        "frame": frame.tobytes(),
        "shape": list(frame.shape[:2]),
        "reward": float(reward),
        "done": bool(done),
        "cut": bool(cut),
        "variables": {name: float(value) for name, value in (variables or {}).items()},
    }


def serve(game) -> None:
    """Answers until the input ends.

    Args:
        game: has reset(seed, level) and step(action, frames), which return an `answer`, and
            close().
    """
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    try:
        while True:
            request = receive(requests)
            try:
                if request["do"] == "reset":
                    result = game.reset(request["seed"], request["level"])
                else:
                    result = game.step(request["action"], request["frames"])
            except Exception as error:  # whatever it is, the other side can tell the user
                result = {"error": f"{type(error).__name__}: {error}"}
            send(answers, result)
    except (EOFError, BrokenPipeError):
        pass
    finally:
        game.close()
        if os.environ.get(SCRATCH):
            shutil.rmtree(os.environ[SCRATCH], ignore_errors=True)
