"""Luanti's judges: its log is read right."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.evaluation.judges import luanti as judges

START = np.array((0.0, 14.5, 64.0))
TEXT = """\
2023-11-14 22:30:03: ACTION[Server]: nitrogen [127.0.0.1] joins game. List of players: nitrogen
2023-11-14 22:30:04: ACTION[Server]: nitrogen is at (0.00,14.50,64.00) turned 0.000 0.250
2023-11-14 22:30:13: ACTION[Server]: nitrogen digs default:dry_dirt at (0,14,64)
2023-11-14 22:30:13: ACTION[Server]: nitrogen places node default:dry_dirt at (-1,15,66)
2023-11-14 22:30:14: CHAT: <nitrogen> nitrogen digs default:stone at (0,1,64)
2023-11-14 22:30:15: ACTION[Server]: nitrogen digs default:stone at (0,12,64)
2023-11-14 22:30:15: ACTION[Server]: other digs default:stone at (0,2,64)
2023-11-14 22:30:16: ACTION[Server]: nitrogen is at (3.00,-12.50,68.00) turned 0.500 -0.100
"""


def test_a_log_tells_deeds_and_places():
    told = judges.read(TEXT)
    assert (judges.dug(told, START), judges.placed(told, START)) == (2, 1)
    assert told.placed[0][2] == (-1, 15, 66)
    # The ground is at 14: the first block of it, and the third.
    assert judges.depth(told, START) == 3
    assert judges.walked(told, START) == 5.0
    assert told.turned == (0.5, -0.1)


@given(st.integers(0, len(TEXT)))
def test_half_a_log_tells_no_more_than_the_whole(cut):
    whole, half = judges.read(TEXT), judges.read(TEXT[:cut])
    assert whole.dug[: len(half.dug)] == half.dug
    assert whole.placed[: len(half.placed)] == half.placed
