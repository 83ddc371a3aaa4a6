"""A scripted player of Frozen-Bubble: tries all angles in its head and takes the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nitrogen_jax.evaluation.judges.frozen_bubble import Board, read
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

# The game's own numbers: pixels, and radians and pixels a frame.
LEFT, RIGHT, TOP, LAUNCHER = 190, 446, 44, 390
SIZE, ROW, TOUCH = 32, 28, 32 * 0.82
TURN, SPEED = 0.03, 10
STEEPEST = 0.1
ROWS, COLUMNS = 12, 8
WAIT = 60  # frames in which a shot is told of, or it was none

Cell = tuple[int, int]


def neighbours(cell: Cell) -> list[Cell]:
    """The cells around one, those outside the board included."""
    x, y = cell
    left = x - 1 + y % 2
    around = [(x - 1, y), (x + 1, y)]
    return around + [(left + side, row) for side in (0, 1) for row in (y - 1, y + 1)]


def lands(board: Board, angle: float) -> Cell:
    """Where a bubble that is fired at an angle comes to hang."""
    hanging = [(LEFT + x * SIZE + y % 2 * SIZE / 2, TOP + y * ROW) for x, y, _ in board.bubbles]
    x, y = (LEFT + RIGHT) / 2 - SIZE / 2, float(LAUNCHER)
    while True:
        x_old, y_old = x, y
        x, y = x + SPEED * math.cos(angle), y - SPEED * math.sin(angle)
        if x < LEFT:
            x, angle = 2 * LEFT - x, math.pi - angle
        if x > RIGHT - SIZE:
            x, angle = 2 * (RIGHT - SIZE) - x, math.pi - angle
        if y <= TOP + board.roof * ROW:
            return _cell(x, y)
        if any(math.dist((x, y), one) < TOUCH for one in hanging):
            return _cell((x + x_old) / 2, (y + y_old) / 2)


def _cell(x: float, y: float) -> Cell:
    row = int((y - TOP + ROW / 2) / ROW)
    return int((x - LEFT + SIZE / 2 - row % 2 * SIZE / 2) / SIZE), row


def _connected(start: Sequence[Cell], cells: set[Cell]) -> set[Cell]:
    found, new = set(), [cell for cell in start if cell in cells]
    while new:
        found.update(new)
        new = [one for cell in new for one in neighbours(cell) if one in cells - found]
    return found


def worth(board: Board, cell: Cell) -> float:
    """How good it is to have the next bubble there: bubbles that fall, or neighbours alike."""
    colours = {(x, y): colour for x, y, colour in board.bubbles}
    if cell in colours or cell[1] >= ROWS:
        return -100.0
    alike = {one for one, colour in colours.items() if colour == board.colour} | {cell}
    group = _connected([cell], alike)
    if len(group) < 3:
        return len(group) - 2 - 0.1 * cell[1]
    left = set(colours) - group
    held = _connected([one for one in left if one[1] == board.roof], left)
    return float(len(colours) - len(held))


def plays(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Shoots the best of all shots that the launcher can be turned to, again and again."""
    while (board := read(session_of(env).log_text())).state == "game":
        if board.flying:
            yield Press(1.0).pad
            continue
        turns = range(-math.floor(math.pi / TURN), math.floor(math.pi / TURN) + 1)
        angles = {turn: board.angle + turn * TURN for turn in turns}
        possible = {
            turn: angle for turn, angle in angles.items() if STEEPEST < angle < math.pi - STEEPEST
        }
        # Of those that are as good, the one that takes the fewest frames.
        best = max(
            possible, key=lambda turn: (worth(board, lands(board, possible[turn])), -abs(turn))
        )
        for _ in range(abs(best)):
            yield Press(1.0, left=(-math.copysign(1, best), 0)).pad
        for frame in range(WAIT):
            if read(session_of(env).log_text()).shots > board.shots:
                break
            yield Press(1.0, ("SOUTH",) if frame < 2 else ()).pad
