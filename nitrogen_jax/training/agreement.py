"""Several processes, one opinion. All of them must call these at the same point of the program."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

_STEP = 1024  # bytes; every new length of a message is compiled anew


def from_first(value: Any) -> Any:
    """The `value` of process 0 (JSON), in every process."""
    if jax.process_count() == 1:
        return value
    text = json.dumps(value).encode() if jax.process_index() == 0 else b""
    length = -(-len(text) // _STEP) * _STEP
    length = int(multihost_utils.broadcast_one_to_all(np.int32(length)))
    padded = np.frombuffer(text.ljust(length) if text else bytes(length), np.uint8)
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded))))


def everywhere(fine: bool) -> bool:
    """Whether `fine` is true in every process."""
    if jax.process_count() == 1:
        return fine
    return bool(np.all(multihost_utils.process_allgather(np.bool_(fine))))
