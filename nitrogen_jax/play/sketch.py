"""The debug picture: the game above, below it the pad that is held and the steps of the chunk."""

from __future__ import annotations

import cv2
import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX, COLUMNS, LABELS, NO_MENUS, Pad, decode
from nitrogen_jax.play.seen import Seen
from nitrogen_jax.report import chunk as drawing

PANEL = 216  # pixels below the game's picture
LEAST_WIDTH = 640
_GAP, _TEXT = 8, 15
_ROLL, _NAMES = 184, 76  # where the roll begins, and how wide its names are
_ROW, _STICK_ROW = 11, 22
# Buttons that have a row: those of the label files but the menus, which are masked.
_ROWS = tuple(name for name in LABELS if name in {*COLUMNS.values()} - NO_MENUS)
_SHORT = {"left stick click": "L click", "right stick click": "R click"}


class Sketch:
    """Draws what is seen; a chunk's drawing is kept while it is played."""

    def __init__(self, size: tuple[int, int], shift: int):
        """
        Args:
            size: (width, height) of the game's pictures.
            shift: control steps from a chunk's frame to its first action.
        """
        self._picture, self._shift = size, shift
        self.size = (max(size[0], LEAST_WIDTH), size[1] + PANEL)
        self._chunk: np.ndarray | None = None
        self._roll = np.zeros((0, 0, 3), np.uint8)
        self._latest: dict[str, float] = {}

    def draw(self, seen: Seen) -> np.ndarray:
        """A picture (size[1], size[0], 3) uint8 RGB."""
        width, height = self._picture
        canvas = np.full((self.size[1], self.size[0], 3), drawing.BACKGROUND, np.uint8)
        left = (self.size[0] - width) // 2
        canvas[:height, left : left + width] = seen.picture
        pad = drawing.draw_pad(seen.pad, f"held by the {seen.by}" if seen.by else "")
        canvas[height + _GAP : height + _GAP + len(pad), _GAP : _GAP + pad.shape[1]] = pad
        self._latest.update(seen.parts)
        for number, line in enumerate(self._lines(seen)):
            at = (_GAP, height + 2 * _GAP + len(pad) + 10 + number * _TEXT)
            _write(canvas, line, at, 0.36)
        self._draw_chunk(canvas[height + _GAP :, _ROLL:], seen)
        return canvas

    def _lines(self, seen: Seen) -> list[str]:
        lines = [f"step {seen.step}, {seen.time:.2f} s"]
        if seen.decision.chunk is not None:
            lines.append(f"chunk of step {seen.decision.asked}")
        if "infer" in self._latest:
            lines.append(f"infer {self._latest['infer']:.1f} ms")
        return lines

    def _draw_chunk(self, area: np.ndarray, seen: Seen) -> None:
        chunk = seen.decision.chunk
        if chunk is None:
            return
        if chunk is not self._chunk:
            self._chunk, self._roll = chunk, roll(decode(chunk))
        high, wide = self._roll.shape[:2]
        area[:high, :wide] = self._roll
        column = _column(len(chunk))
        now = seen.step - seen.decision.asked - self._shift
        begin = _NAMES + int(np.clip(now, 0, len(chunk))) * column
        area[:high, _NAMES:begin] //= 2  # what has been played
        if 0 <= now < len(chunk):
            cv2.rectangle(area, (begin, 0), (begin + column - 1, high - 1), drawing.LIT, 1)


def roll(pad: Pad) -> np.ndarray:
    """A chunk (T,) with a column for each step: sticks as little hands, then a row per button."""
    steps, column = pad.shape[0], _column(pad.shape[0])
    high = 2 * _STICK_ROW + _ROW * len(_ROWS)
    canvas = np.full((high, _NAMES + steps * column, 3), drawing.BODY, np.uint8)
    for row, (name, sticks) in enumerate((("left stick", pad.left), ("right stick", pad.right))):
        middle = row * _STICK_ROW + _STICK_ROW // 2
        _write(canvas, name, (2, middle + 4), 0.34)
        for step in range(steps):
            centre = (_NAMES + step * column + column // 2, middle)
            reach = min(column, _STICK_ROW) / 2 - 1
            tip = np.rint(np.add(centre, reach * sticks[step])).astype(int).tolist()
            cv2.line(canvas, centre, tip, drawing.STICK, 2, cv2.LINE_AA)
            cv2.circle(canvas, tip, 2, drawing.STICK, cv2.FILLED)
    for row, name in enumerate(_ROWS):
        top = 2 * _STICK_ROW + row * _ROW
        label = LABELS[name]
        _write(canvas, _SHORT.get(label, label), (2, top + _ROW - 2), 0.3)
        for step in np.flatnonzero(pad.pressed[:, BUTTON_INDEX[name]]).tolist():
            begin = _NAMES + step * column
            canvas[top + 1 : top + _ROW - 1, begin + 1 : begin + column - 1] = drawing.LIT
    return canvas


def _column(steps: int) -> int:
    """How wide one step is drawn."""
    return max(4, min(20, (LEAST_WIDTH - _ROLL - _NAMES - _GAP) // steps))


def _write(canvas: np.ndarray, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, drawing.INK, 1, cv2.LINE_AA)
