"""What can be measured of a running game from outside."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import spaces
from nitrogen_jax.sim.pad_env import PadEnv


def cpu_ns(pid: int) -> int:
    """Processor time of a process and all its threads so far, user and system, in nanoseconds."""
    # NOTE: Linux makes the number of another process's CPU clock from its id: ~pid << 3 | 2.
    return time.clock_gettime_ns((~pid << 3) | 2)


def digest(frame: np.ndarray) -> str:
    """SHA-256 of a frame's bytes."""
    return hashlib.sha256(np.ascontiguousarray(frame).data).hexdigest()


@dataclass(frozen=True)
class Played:
    """Frames of an episode as digests, the first one that of the reset.

    Attributes:
        reason: why it ended before all pads were played, "" if it did not.
    """

    digests: tuple[str, ...]
    reason: str

    @property
    def distinct(self) -> int:
        """How many different frames there were."""
        return len(set(self.digests))

    def first_difference(self, other: Played) -> int | None:
        """The first frame that differs, None where all of them are equal."""
        for index, (a, b) in enumerate(zip(self.digests, other.digests, strict=False)):
            if a != b:
                return index
        lengths = len(self.digests), len(other.digests)
        return None if lengths[0] == lengths[1] else min(lengths)


def play(env: PadEnv, pads: Iterable[Pad], seed: int) -> Played:
    """Plays one episode; frames count in the game's own size."""
    env.reset(seed=seed)
    digests, reason = [digest(env.picture)], ""
    for pad in pads:
        *_, terminated, truncated, info = env.step(spaces.to_action(pad))
        digests.append(digest(env.picture))
        if terminated or truncated:
            reason = info["reason"] or "terminated"
            break
    return Played(tuple(digests), reason)


@dataclass(frozen=True)
class Held:
    """What this process holds: to see whether something is left behind.

    Attributes:
        files: open file descriptors.
        memory: names in /dev/shm.
        children: ids of processes.
    """

    files: int
    memory: frozenset[str]
    children: frozenset[int]


def held() -> Held:
    """What this process and its children hold now."""
    memory = frozenset(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else frozenset()
    return Held(len(os.listdir("/proc/self/fd")), memory, frozenset(_below(os.getpid())))


def forsaken(names: Iterable[str]) -> frozenset[str]:
    """Those of some names in /dev/shm that no process has mapped: whoever made them has gone.

    Others work on the same machine; what theirs still use is not left behind.
    """
    left = {name for name in names if os.path.exists(f"/dev/shm/{name}")}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/maps") as file:
                text = file.read()
        except OSError:
            continue
        left = {name for name in left if f"/dev/shm/{name}" not in text}
    return frozenset(left)


def _below(pid: int) -> list[int]:
    """Ids of all processes below one."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_below(child)]
    return found
