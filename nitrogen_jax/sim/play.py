"""Where pads come from: a game's script, chance, a file, a person; one pad for each step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim import actions, human
from nitrogen_jax.sim.catalogue import Playable
from nitrogen_jax.sim.game import Game, Press

# For games that come without a script of their own.
SCRIPT = (
    Press(0.6, left=(1, 0)),
    Press(0.4, ("SOUTH",), left=(1, 0)),
    Press(0.5, ("RIGHT_TRIGGER",), left=(0, -1), right=(0.8, 0)),
    Press(0.5, ("WEST",), left=(-1, 0)),
    Press(0.3, right=(-0.8, 0)),
)
# What chance presses: what plays in most games, and neither menus nor clicks of sticks.
CHANCE = (
    *("SOUTH", "EAST", "WEST", "NORTH", "LEFT_SHOULDER", "RIGHT_SHOULDER"),
    *("LEFT_TRIGGER", "RIGHT_TRIGGER", "DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"),
)
HOLD_S = (0.08, 0.7)  # how long chance holds what it has chosen


@dataclass(frozen=True)
class Source:
    """Where pads come from.

    Attributes:
        kind: "scripted", "random", "file" or "human".
        path: of an actions file, or of a gamepad's device.
    """

    kind: str
    path: Path | None = None

    @property
    def name(self) -> str:
        """For file names."""
        return self.path.stem if self.kind == "file" and self.path else self.kind


def sources(words: Sequence[str]) -> list[Source]:
    """What a command line names: "scripted", "random", "human", actions files, or devices."""
    found = []
    for word in words:
        if word in ("scripted", "random"):
            found.append(Source(word))
        elif word == "human":
            found.append(Source("human", human.find()))
        elif Path(word).is_char_device() or Path(word).is_fifo():
            found.append(Source("human", Path(word)))
        elif Path(word).is_file():
            found.append(Source("file", Path(word)))
        else:
            raise NitrogenError(
                f"pad {word!r} is neither scripted nor random nor human nor an actions file"
            )
    return found


def pads(source: Source, about: Playable, rate: float, seed: int) -> Iterator[Pad]:
    """Pads of shape (), one for each step; endless but for a file, in real time for a person.

    Args:
        about: the game that is played.
        rate: steps a second of game time.
        seed: of chance.
    """
    if source.kind == "random":
        return chance(rate, seed)
    if source.kind == "scripted":
        return script(about, rate)
    assert source.path is not None
    if source.kind == "human":
        return human.pads(source.path, rate)
    return each(actions.read(source.path))


def each(pads: Pad) -> Iterator[Pad]:
    """The pads () of a pad (N,), one after the other."""
    return (pads[step] for step in range(pads.shape[0]))


def stacked(pads: Sequence[Pad]) -> Pad:
    """Pads of shape () as one of shape (N,), also of none."""
    return Pad(
        np.array([pad.pressed for pad in pads], bool).reshape(-1, NUM_BUTTONS),
        np.array([pad.left for pad in pads], np.float32).reshape(-1, 2),
        np.array([pad.right for pad in pads], np.float32).reshape(-1, 2),
    )


def take(stream: Iterator[Pad], steps: int) -> Pad:
    """The first pads of a stream as one of shape (steps,), or fewer where it ends before."""
    found = list(itertools.islice(stream, steps))
    if not found:
        raise NitrogenError("there are no pads to play: a file of at least one row is needed")
    return stacked(found)


def script(about: Playable, rate: float) -> Iterator[Pad]:
    """The presses of a game's script, over and over."""
    own = about.script if isinstance(about, Game) else ()
    return over_and_over(own or SCRIPT, rate)


def over_and_over(presses: Sequence[Press], rate: float) -> Iterator[Pad]:
    """Presses one after the other, again and again."""
    for press in itertools.cycle(presses):
        yield from itertools.repeat(press.pad, press.frames(rate))


def chance(rate: float, seed: int) -> Iterator[Pad]:
    """Buttons and sticks that are held for a while, decided by the seed."""
    rng = np.random.default_rng(seed)
    while True:
        buttons = np.zeros(NUM_BUTTONS, bool)
        for name in rng.choice(CHANCE, rng.choice(4, p=(0.35, 0.35, 0.2, 0.1)), replace=False):
            buttons[BUTTON_INDEX[str(name)]] = True
        pad = Pad(buttons, _stick(rng, 0.65), _stick(rng, 0.4))
        frames = max(1, round(float(rng.uniform(*HOLD_S)) * rate))
        yield from itertools.repeat(pad, frames)


def _stick(rng: np.random.Generator, share: float) -> np.ndarray:
    """A stick that is in use in a share of the cases."""
    turn, far = rng.uniform(0, 2 * np.pi), min(1.0, float(rng.uniform(0.4, 1.4)))
    if rng.random() >= share:
        return np.zeros(2, np.float32)
    return (far * np.array([np.cos(turn), np.sin(turn)])).astype(np.float32)


def idle() -> Pad:
    """A pad () that nobody touches."""
    return gamepad.decode(gamepad.neutral())
