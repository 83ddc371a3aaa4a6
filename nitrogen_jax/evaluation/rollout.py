"""One episode of one task: a player plays, the judge says what came of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.task import Task, Verdict
from nitrogen_jax.gamepad import Pad, apply_mask
from nitrogen_jax.sim import spaces
from nitrogen_jax.sim.errors import LaunchError, SessionError
from nitrogen_jax.sim.pad_env import CRASHED, TIMEOUT, PadEnv
from nitrogen_jax.sim.play import idle, stacked

# Outcomes. The last three are nobody's failure and nobody's success.
SUCCESS, FAILURE = "success", "failure"
CRASH = "crash"  # the game died
STUCK = "time-out"  # the game showed no frame in time
POLICY_ERROR = "policy error"  # a wrong shape, NaN, an exception
OUTCOMES = (SUCCESS, FAILURE, CRASH, STUCK, POLICY_ERROR)

RESTING = idle()


class PolicyError(NitrogenError):
    """A player gave what no pad can be made of."""


class ServerGone(NitrogenError):
    """The server that a player asks does not answer any more: nothing can be played."""


class Player(Protocol):
    """Whoever plays a task, one pad for each step."""

    def begin(self, env: PadEnv, info: Mapping[str, Any], seed: int) -> None:
        """After the reset."""

    def step(self, frame: np.ndarray, info: Mapping[str, Any]) -> Pad:
        """The pad () to hold in the next step, given the frame (H, W, 3) uint8 that is seen now.

        StopIteration where the player has nothing more to do: the episode goes on, idle.
        """


@dataclass(frozen=True)
class Episode:
    """What came of it.

    Attributes:
        outcome: one of OUTCOMES.
        verdict: of the judge; for crashes and the like the last one before.
        steps: that were played.
        seconds: of game time.
        wall: seconds of real time, the start of the game included.
        why: what went wrong, "" if nothing did.
        pad: what was held, (steps,).
        frames_hash: of all frames that were seen, equal where an episode repeats exactly.
    """

    outcome: str
    verdict: Verdict
    steps: int
    seconds: float
    wall: float
    why: str
    pad: Pad
    frames_hash: str


def play(
    task: Task,
    player: Player,
    seed: int,
    env: PadEnv,
    see: Callable[[np.ndarray, Pad | None, Verdict], None] = lambda frame, pad, verdict: None,
) -> Episode:
    """Plays an episode; what goes wrong is its outcome and no exception.

    But `ServerGone` and `LaunchError` are raised: with them no further episode can be played.

    Args:
        env: of `task.make`; it may have played before, and is left open.
        see: is shown the reset's frame (with None) and each step's, (H, W, 3) uint8 RGB in the
            game's own size, with the pad () that made it and what the judge said of it.
    """
    begun = time.monotonic()
    pads: list[Pad] = []
    verdict, info = Verdict(), {}
    seen = hashlib.sha256()

    def ended(outcome: str, why: str = "") -> Episode:
        seconds = info.get("time", 0.0)
        wall = time.monotonic() - begun
        digest = seen.hexdigest()
        pad = stacked(pads)
        return Episode(outcome, verdict, len(pads), seconds, wall, why, pad, digest)

    try:
        frame, info = env.reset(seed=seed)
        judge = task.judge()
        judge.begin(env, info)
        seen.update(frame.tobytes())
        see(env.picture, None, verdict)
    except LaunchError:
        raise
    except NitrogenError as error:
        return ended(CRASH, f"the game did not start: {error}")
    try:
        player.begin(env, info, seed)
        over, playing = False, True
        while not over and verdict.success is None:
            pad = _asked(player, frame, info) if playing else None
            playing = pad is not None
            pad = apply_mask(RESTING if pad is None else pad, env.forbidden)
            frame, _, terminated, truncated, info = env.step(spaces.to_action(pad))
            pads.append(pad)
            seen.update(frame.tobytes())
            if info["reason"] in (CRASHED, TIMEOUT):
                outcome = CRASH if info["reason"] == CRASHED else STUCK
                return ended(outcome, f"{task.game}: {info['reason']}")
            over = terminated or truncated
            verdict = judge.look(env, info)
            see(env.picture, pad, verdict)
    except ServerGone:
        raise
    except PolicyError as error:
        return ended(POLICY_ERROR, str(error))
    except NitrogenError as error:
        # The game ended, stood still or could not be read while its judge was asking it for more.
        return ended(CRASH, str(error))
    return ended(SUCCESS if verdict.success else FAILURE)


def _asked(player: Player, frame: np.ndarray, info: Mapping[str, Any]) -> Pad | None:
    """The player's pad, None where it has nothing more to do."""
    try:
        pad = player.step(frame, info)
    except StopIteration:
        return None
    except (ServerGone, SessionError, PolicyError):
        raise
    except Exception as error:
        raise PolicyError(f"{type(error).__name__}: {error}") from error
    if not isinstance(pad, Pad) or pad.shape != ():
        got = f"a pad of shape {pad.shape}" if isinstance(pad, Pad) else type(pad).__name__
        raise PolicyError(f"the player gave {got}, where a pad of shape () is needed")
    return pad
