"""What is seen of play, in words: lines for a terminal of 80 columns."""

from __future__ import annotations

from nitrogen_jax import gamepad
from nitrogen_jax.gamepad import decode
from nitrogen_jax.play.seen import Seen
from nitrogen_jax.report.chunk import text_grid

WIDTH = 76  # characters, within a frame
_MOST_BUTTONS = 8  # rows of the chunk
_COLUMN = 3  # characters of one step in a grid


def lines(seen: Seen, steps: int, shift: int) -> list[str]:
    """A panel of a constant height.

    Args:
        steps: that are to be played.
        shift: control steps from a chunk's frame to its first action.
    """
    rate = seen.step / seen.wall if seen.wall > 0 else 0.0
    pace = seen.time / seen.wall if seen.wall > 0 else 0.0
    found = [
        f"step {seen.step:,} of {steps:,}   {seen.time:.1f} s of game time   "
        f"{rate:.1f} steps/s   {pace:.2f} x real time",
        f"pad ({seen.by or 'nobody'}): {gamepad.describe(seen.pad)}",
        "",
        *_chunk(seen, shift),
    ]
    return [line[:WIDTH] for line in found]


def _chunk(seen: Seen, shift: int) -> list[str]:
    chunk = seen.decision.chunk
    height = 5 + _MOST_BUTTONS
    if chunk is None:
        return ["no chunk yet", *[""] * (height - 1)]
    head, *buttons, left, right = text_grid(decode(chunk))
    label = len(head) - _COLUMN * len(chunk)
    now = seen.step - seen.decision.asked - shift
    mark = " " * (label + _COLUMN * now + 2) + "▲" if 0 <= now < len(chunk) else ""
    rows = buttons[:_MOST_BUTTONS]
    if len(buttons) > _MOST_BUTTONS:
        rows[-1] = f"... and {len(buttons) - _MOST_BUTTONS + 1} more buttons"
    found = [f"chunk seen at step {seen.decision.asked}", head, left, right, *rows, mark]
    return found + [""] * (height - len(found))
