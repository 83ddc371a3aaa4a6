"""One episode of play: frame, pad, frame, until time is over or something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.play.latency import Latency
from nitrogen_jax.play.mind import Mind
from nitrogen_jax.play.pace import Pace
from nitrogen_jax.play.person import Person
from nitrogen_jax.play.seen import PERSON, POLICY, Decision, Seen
from nitrogen_jax.sim import play, spaces
from nitrogen_jax.sim.pad_env import CRASHED, TIMEOUT, PadEnv

# Why an episode ended, beside the reasons of `pad_env`.
TIME = "time"  # it was played to its end
TERMINATED = "terminated"  # the game is over by its own rules
CLOSED = "closed"  # the window that showed it was closed
STOPPED = "stopped"  # Ctrl-C, or asked otherwise
POLICY_FAILED = "policy"  # no chunk: the server is gone, numbers are not finite, ...
GAME_FAILED = "game"  # it cannot be stepped or seen any more
NOT_WRITTEN = "disk"  # what is seen cannot be written any more
FAILURES = frozenset({POLICY_FAILED, GAME_FAILED, NOT_WRITTEN, CRASHED, TIMEOUT})


@dataclass
class Episode:
    """What came of it.

    Attributes:
        seconds: of game time.
        wall: seconds of real time, without the game's start.
        reason: why it ended.
        why: what went wrong as a sentence, "" if nothing did.
        total: sum of the game's rewards.
        by_person: steps that a person held.
        overruns: steps that took longer than their time, where time mattered.
        held: pads (), one for each step.
        wanted: what the policy wanted.
    """

    seed: int
    steps: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    reason: str = ""
    why: str = ""
    total: float = 0.0
    by_person: int = 0
    overruns: int = 0
    held: list[Pad] = field(default_factory=list, repr=False)
    wanted: list[Pad] = field(default_factory=list, repr=False)


def episode(
    env: PadEnv,
    mind: Mind,
    seed: int,
    steps: int,
    *,
    see: Callable[[Seen], bool] = lambda seen: True,
    latency: Latency | None = None,
    person: Person | None = None,
    paced: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Episode:
    """Plays one episode; what ends it early is its reason and no exception.

    But whatever goes wrong while the game starts is raised, and so is what nobody expects.

    Args:
        env: with render_mode "rgb_array"; left open.
        see: is shown the reset's frame and that of each step; False ends the episode.
        latency: takes the parts of all steps.
        person: may take over.
        paced: the game goes no faster than time.
        stop: asked before each step.
    """
    latency = Latency() if latency is None else latency
    found = Episode(seed)
    env.reset(seed=seed)
    pace = Pace(env.fps / env.frame_skip) if paced else None
    begun = time.perf_counter()
    picture, _ = _grab(env)
    at_rest = play.idle()
    if not see(Seen(0, 0.0, 0.0, picture, at_rest, "", Decision(at_rest), 0.0, {})):
        found.reason = CLOSED
    while not found.reason:
        if found.steps >= steps:
            found.reason = TIME
        elif stop():
            found.reason = STOPPED
        else:
            if pace is not None:
                pace.wait()
            picture = _step(env, mind, person, picture, found, see, latency, begun)
    found.overruns = 0 if pace is None else pace.overruns
    found.wall = time.perf_counter() - begun
    return found


def _step(
    env: PadEnv,
    mind: Mind,
    person: Person | None,
    picture: np.ndarray,
    found: Episode,
    see: Callable[[Seen], bool],
    latency: Latency,
    begun: float,
) -> np.ndarray:
    """One step, or the reason why there is none; the next picture."""
    try:
        decision = mind.decide(picture)
    except NitrogenError as error:
        found.reason, found.why = POLICY_FAILED, str(error)
        return picture
    pad, by = (decision.pad, POLICY) if person is None else person.choose(decision.pad)
    pad = gamepad.apply_mask(pad, env.forbidden)
    try:
        _, reward, terminated, truncated, info = env.step(spaces.to_action(pad))
        picture, grabbed = _grab(env)
    except NitrogenError as error:
        found.reason, found.why = GAME_FAILED, str(error)
        return picture
    spent = {part: seconds * 1e3 for part, seconds in env.spent.items()}
    spent["grab"] = spent.get("grab", 0.0) + grabbed
    parts = {**decision.parts, **spent}
    latency.add(parts)
    found.steps += 1
    found.seconds = info["time"]
    found.total += reward
    found.by_person += by == PERSON
    found.held.append(pad)
    found.wanted.append(decision.pad)
    if terminated or truncated:
        found.reason = info["reason"] or TERMINATED
    wall = time.perf_counter() - begun
    seen = Seen(found.steps, found.seconds, wall, picture, pad, by, decision, float(reward), parts)
    try:
        if not see(seen) and not found.reason:
            found.reason = CLOSED
    except NitrogenError as error:
        found.reason, found.why = NOT_WRITTEN, str(error)
    return picture


def _grab(env: PadEnv) -> tuple[np.ndarray, float]:
    """The picture in the game's own size, a new array, and the milliseconds that it took."""
    begun = time.perf_counter()
    picture = env.render()
    assert picture is not None
    return picture, (time.perf_counter() - begun) * 1e3
