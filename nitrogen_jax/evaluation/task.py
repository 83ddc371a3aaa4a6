"""One task: a game, how it starts, what is to be reached in which time, and who judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import catalogue
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

CATEGORIES = ("combat", "navigation", "game-specific")


@dataclass(frozen=True)
class Verdict:
    """What a judge says.

    Attributes:
        success: True or False once it is decided, which ends the episode; None until then.
        progress: 0 for nothing done, 1 for the goal; what ranks players that fail.
        facts: what it was read from, such as {"kills": 2}; the same for the same seed and actions.
    """

    success: bool | None = None
    progress: float = 0.0
    facts: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self):
        if not 0.0 <= self.progress <= 1.0:
            raise NitrogenError(f"progress is {self.progress}, where 0 to 1 is needed")


class Judge(Protocol):
    """Judges one episode from what the game itself tells; made anew for each."""

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        """After the reset.

        Args:
            env: the running game: `env.session` of a `GamepadEnv` (memory, log, home folder).
            info: of the reset.
        """

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        """After every step; the game must not be changed here.

        After the last one a `success` of None is a failure: the time was over.
        """


class Expert(Protocol):
    """A scripted player of one task, which may look at more than the picture."""

    def __call__(self, env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        """A pad () for every step, asked for after the step before it, so the game can be read.

        Args:
            info: of the reset; the same mapping is updated with that of each step.
            seed: of the episode.
        """


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task; nothing in it depends on the policy.

    Attributes:
        name: "game/what", in small letters, such as "supertux/igloo".
        goal: one sentence for people: what is to be reached.
        category: one of CATEGORIES.
        dimensions: 2 or 3, of the game.
        procedural: whether the seed makes the place that is played.
        judge: makes the judge of an episode.
        seconds: of game time until the episode ends.
        level: of the game; None: its first.
        options: more for the environment, such as its window or its start macro.
        frame_skip: frames of the game for which a pad of the baselines is held.
        hold: what seems useful to hold all the time, played over and over: a baseline.
        expert: plays it; None where none could be written.
        scripted: whether the proof is the expert's play, for games that do not repeat exactly;
            else it is a file of recorded actions.
        proof_seed: of the proof, and of the idle play beside it.
    """

    name: str
    goal: str
    category: str
    dimensions: int
    procedural: bool
    judge: Callable[[], Judge]
    seconds: float
    level: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    frame_skip: int = 2
    hold: tuple[Press, ...] = (Press(1.0, left=(1, 0)),)
    expert: Expert | None = None
    scripted: bool = False
    proof_seed: int = 0

    def __post_init__(self):
        if self.category not in CATEGORIES:
            raise NitrogenError(
                f"task {self.name}: category {self.category!r} is none of {', '.join(CATEGORIES)}"
            )
        if self.dimensions not in (2, 3):
            raise NitrogenError(f"task {self.name}: dimensions is {self.dimensions}, where 2 or 3")
        if self.game not in catalogue.slugs():
            raise NitrogenError(f"task {self.name}: there is no game {self.game!r}")

    @property
    def game(self) -> str:
        """The slug of its game."""
        return self.name.partition("/")[0]

    @property
    def repeats(self) -> bool:
        """Whether the same seed and actions give the same episode."""
        return catalogue.get(self.game).repeats

    def missing(self) -> str | None:
        """What is not installed, as a sentence; None where it can be played."""
        return catalogue.get(self.game).missing()

    def make(self, frame_skip: int | None = None, size: tuple[int, int] = (256, 256)) -> PadEnv:
        """Its environment; NitrogenError where the game is not installed.

        Args:
            frame_skip: frames a step; None: those of the baselines.
            size: (width, height) of observations.
        """
        env = catalogue.make(
            self.game,
            level=self.level,
            seconds=self.seconds,
            size=size,
            frame_skip=self.frame_skip if frame_skip is None else frame_skip,
            **self.options,
        )
        assert isinstance(env, PadEnv)
        return env
