"""Episodes one after the other, with whatever is to be written of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.play import loop, smooth
from nitrogen_jax.play.latency import Latency
from nitrogen_jax.play.mind import Live, Lockstep, Mind
from nitrogen_jax.play.person import HAND_BACK_S, Person
from nitrogen_jax.play.policy import Policy
from nitrogen_jax.play.seen import Seen
from nitrogen_jax.sim import play as pads
from nitrogen_jax.sim.human import Joystick
from nitrogen_jax.sim.pad_env import PadEnv

LAST = frozenset({loop.CLOSED, loop.STOPPED, loop.NOT_WRITTEN, loop.POLICY_FAILED})


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        slug, title: of the game.
        seconds: of game time, of each episode at most.
        seed: of the first episode's game; further ones count on.
        policy_seed: of its policy's noise, likewise.
        execute: actions of each chunk; None: all, in real time half.
        realtime: the game does not wait for the policy.
        continuous: in real time, chunks continue each other.
        delay: seconds that every chunk takes at least.
        device: of a person's gamepad.
        paced: the game goes no faster than time; in real time always.
        out: an empty folder for recordings.
    """

    slug: str
    title: str
    seconds: float = 60.0
    seed: int = 0
    policy_seed: int = 0
    episodes: int = 1
    execute: int | None = None
    realtime: bool = False
    continuous: bool = True
    delay: float = 0.0
    device: Path | None = None
    paced: bool = False
    out: Path | None = None

    def steps(self, rate: float) -> int:
        """Of each episode at most, at so many a second."""
        return max(1, round(self.seconds * rate))


@dataclass
class Result:
    """What came of it, plain data but for `latency`.

    Attributes:
        episodes: see `_told`.
        failed: why, "" if nothing did.
        stopped: it was asked to.
    """

    episodes: list[dict[str, Any]] = field(default_factory=list)
    latency: Latency = field(default_factory=Latency)
    failed: str = ""
    stopped: bool = False

    def plain(self) -> dict[str, Any]:
        return {"episodes": self.episodes, "latency_ms": self.latency.summary()}


def play(
    plan: Plan,
    policy: Policy,
    env: PadEnv,
    *,
    view: Callable[[Seen], bool] = lambda seen: True,
    stop: Callable[[], bool] = lambda: False,
    about: Mapping[str, Any] | None = None,
) -> Result:
    """Plays all episodes, or until one says that no further one can be played.

    Args:
        env: with render_mode "rgb_array"; left open.
        view: is shown every step; False ends everything.
        stop: asked before each step; True ends everything.
        about: for play.json, beside what came of it.
    """
    check(plan)
    result, rate = Result(), env.fps / env.frame_skip
    with contextlib.ExitStack() as stack:
        joystick = None
        if plan.device is not None:
            joystick = stack.enter_context(Joystick(plan.device))
        for number in range(plan.episodes):
            person = None if joystick is None else Person(joystick, round(HAND_BACK_S * rate))
            with contextlib.closing(_mind(plan, policy, number)) as mind:
                found, told = _episode(
                    plan, env, mind, number, person, result.latency, view=view, stop=stop
                )
            result.episodes.append(told)
            if plan.out is not None:
                from nitrogen_jax.play import records

                records.write_about(plan.out, {**(about or {}), **result.plain()})
            if found.reason in loop.FAILURES:
                result.failed = found.why or f"{plan.title} {_ENDED[found.reason]}"
            result.stopped = found.reason == loop.STOPPED
            if found.reason in LAST:
                break
    return result


_ENDED = {"crashed": "died", "timeout": "showed no frame in time"}


def _episode(
    plan: Plan,
    env: PadEnv,
    mind: Mind,
    number: int,
    person: Person | None,
    latency: Latency,
    view: Callable[[Seen], bool],
    stop: Callable[[], bool],
) -> tuple[loop.Episode, dict[str, Any]]:
    seed, rate = plan.seed + number, env.fps / env.frame_skip
    recorder, video_id = None, None
    with contextlib.ExitStack() as stack:
        if plan.out is not None:
            from nitrogen_jax.play import records
            from nitrogen_jax.sim import record

            video_id = record.video_name(plan.slug, env.level, "policy", seed)
            shift = mind.facts.action_shift
            take = records.Take(video_id, plan.title, rate, shift, hurry=plan.realtime)
            recorder = stack.enter_context(records.Recorder(plan.out, take))

        def see(seen: Seen) -> bool:
            written = recorder is None or recorder.see(seen)
            return view(seen) and written

        found = loop.episode(
            env,
            mind,
            seed,
            plan.steps(rate),
            see=see,
            latency=latency,
            person=person,
            paced=plan.paced or plan.realtime,
            stop=stop,
        )
    return found, _told(found, mind, video_id, recorder.chunks if recorder else 0)


def _mind(plan: Plan, policy: Policy, number: int) -> Mind:
    seed = plan.policy_seed + number
    if not plan.realtime:
        return Lockstep(policy.make(seed), plan.execute, plan.delay)
    return Live(lambda: policy.make(seed), plan.execute, plan.continuous, plan.delay)


def _told(found: loop.Episode, mind: Mind, video_id: str | None, chunks: int) -> dict[str, Any]:
    told = {
        "seed": found.seed,
        "steps": found.steps,
        "seconds": round(found.seconds, 6),
        "wall": round(found.wall, 3),
        "ended": found.reason,
        "why": found.why,
        "reward": found.total,
        "by_person": found.by_person,
        "overruns": found.overruns,
        "video": video_id if found.steps else None,
        "chunks": chunks,
    }
    if mind.report is not None and found.wanted:
        wanted = pads.take(iter(found.wanted), len(found.wanted))
        told["realtime"] = smooth.figures(wanted, mind.report)
        told["realtime"]["said"] = mind.report.sentence()
    return told


def check(plan: Plan) -> None:
    """NitrogenError where it cannot be played."""
    if not 0.1 <= plan.seconds <= 36_000:
        raise NitrogenError(f"seconds is {plan.seconds}, where 0.1 to 36000 is possible")
    if plan.episodes < 1:
        raise NitrogenError(f"episodes is {plan.episodes}, where at least 1 is needed")
