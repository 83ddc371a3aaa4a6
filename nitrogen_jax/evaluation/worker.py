"""A process that plays one episode after the other: game, judge and player; without JAX."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from nitrogen_jax.data import worker_process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import clips, results, rollout, tasks
from nitrogen_jax.evaluation.policies import Source
from nitrogen_jax.evaluation.results import ACTIONS, CLIPS, Played
from nitrogen_jax.evaluation.rollout import CRASH, STUCK, Episode, Player, ServerGone
from nitrogen_jax.evaluation.task import Task, Verdict
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import actions
from nitrogen_jax.sim.errors import LaunchError
from nitrogen_jax.sim.pad_env import PadEnv

TELL_S = 0.5  # between two messages about how far an episode is
# What a worker says: (READY, None), (TIME, seconds of game time), (PLAYED, Played), and sentences.
READY, TIME, PLAYED, GONE, UNFIT = "ready", "time", "played", "gone", "unfit"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One episode.

    Attributes:
        task: its name.
        clips: outcomes of which a clip is wanted.
    """

    task: str
    episode: int
    seed: int
    clips: frozenset[str] = frozenset()


class Unfit(NitrogenError):
    """The task cannot be played on this machine."""


class Stage:
    """The game that is on, kept from one episode to the next of the same task."""

    def __init__(self, source: Source, folder: Path):
        """
        Args:
            folder: of the results.
        """
        self._source, self._folder = source, folder
        self._task: Task | None = None
        self._env: PadEnv | None = None
        self._player: Player | None = None

    def play(self, job: Job, tell: Callable[[float], None]) -> Played:
        """Plays an episode and writes its files; ServerGone, or Unfit.

        Args:
            tell: is told the seconds of game time as they pass.
        """
        try:
            task, env, player = self._set(job.task)
            clip = self._clip(job, env)
            skip, rate = env.frame_skip, env.fps / env.frame_skip
            watch = _watching(rate, tell, clip)
            try:
                episode = rollout.play(task, player, job.seed, env, watch)
            except (ServerGone, LaunchError):
                raise
            except Exception as error:  # a judge's or an expert's; the next episode may go well
                log.exception("%s, episode %d", job.task, job.episode)
                self.close()
                kind = "" if isinstance(error, NitrogenError) else f"{type(error).__name__}: "
                return lost(job, CRASH, f"the judge failed: {kind}{error}")
        except LaunchError as error:
            self.close()
            raise Unfit(str(error)) from None
        if episode.outcome in (CRASH, STUCK):
            self.close()
        return self._written(job, skip, episode, clip)

    def close(self) -> None:
        """Ends the game and leaves the server."""
        env, self._env, self._task = self._env, None, None
        player, self._player = self._player, None
        if hasattr(player, "close"):
            player.close()
        if env is not None:
            env.close()

    def _set(self, name: str) -> tuple[Task, PadEnv, Player]:
        if self._task is None or self._task.name != name:
            if self._env is not None:
                self._env.close()
                self._env = None
            self._task = tasks.get(name)
            if self._player is None or self._source.baseline is not None:
                self._player = self._source.player(self._task)
            try:
                self._env = self._task.make(self._source.frame_skip(self._task), self._source.size)
            except Exception as error:  # also of a library that is broken
                self.close()
                kind = "" if isinstance(error, NitrogenError) else f"{type(error).__name__}: "
                raise Unfit(f"{kind}{error}") from error
        assert self._env is not None
        assert self._player is not None
        return self._task, self._env, self._player

    def _clip(self, job: Job, env: PadEnv) -> clips.Clip | None:
        if not job.clips or clips.missing():
            return None
        return clips.Clip(self._folder / _file(CLIPS, job, "mp4"), env.fps / env.frame_skip)

    def _written(self, job: Job, skip: int, episode: Episode, clip: clips.Clip | None) -> Played:
        held = shown = None
        if episode.steps:
            held = _file(ACTIONS, job, "npz")
            actions.write(self._folder / held, episode.pad)
        if clip is not None and episode.outcome in job.clips and clip.close() is not None:
            shown = _file(CLIPS, job, "mp4")
        return Played(
            task=job.task,
            episode=job.episode,
            seed=job.seed,
            outcome=episode.outcome,
            progress=float(episode.verdict.progress),
            facts={name: results.plain(value) for name, value in episode.verdict.facts.items()},
            steps=episode.steps,
            frame_skip=skip,
            seconds=float(episode.seconds),
            wall=round(episode.wall, 3),
            why=episode.why,
            frames_hash=episode.frames_hash,
            actions=held,
            clip=shown,
        )


def serve(pipe: Connection, source: Source, folder: Path) -> None:
    """Plays the jobs that come through the pipe, until it is closed."""
    worker_process.start()
    with contextlib.closing(Stage(source, folder)) as stage:
        pipe.send((READY, None))
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            pipe.send(_answer(stage, job, lambda seconds: pipe.send((TIME, seconds))))


def lost(job: Job, outcome: str, why: str, wall: float = 0.0) -> Played:
    """An episode of which nothing is known but how it ended."""
    return Played(
        task=job.task,
        episode=job.episode,
        seed=job.seed,
        outcome=outcome,
        why=why,
        wall=round(wall, 3),
    )


def _answer(stage: Stage, job: Job, tell: Callable[[float], None]) -> tuple[str, Played | str]:
    try:
        return PLAYED, stage.play(job, tell)
    except ServerGone as error:
        return GONE, str(error)
    except Unfit as error:
        return UNFIT, str(error)


def _watching(
    rate: float, tell: Callable[[float], None], clip: clips.Clip | None
) -> Callable[[np.ndarray, Pad | None, Verdict], None]:
    """What `rollout.play` shows everything: tells the time now and then, and fills the clip."""
    steps, told = 0, time.monotonic()

    def see(frame: np.ndarray, pad: Pad | None, verdict: Verdict) -> None:
        nonlocal steps, told
        steps += pad is not None
        if (now := time.monotonic()) - told > TELL_S:
            tell(steps / rate)
            told = now
        if clip is not None:
            clip.see(frame, pad, verdict)

    return see


def _file(folder: str, job: Job, suffix: str) -> str:
    stem = Played(task=job.task, episode=job.episode, seed=0, outcome="").stem
    return f"{folder}/{stem}.{suffix}"
