"""A minute of SuperTux by a policy of random weights: everything of it is written, whole.

    pytest -m long -s tests/long/test_play_minute.py

Takes 2 minutes of processor time. The figures are printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.sim import actions, catalogue

pytestmark = pytest.mark.long

SECONDS, RATE, SEED = 60, 60, 1


def frames(path: Path) -> tuple[int, int]:
    """How many frames a video has, all decoded, and how many differ from the one before."""
    count, moves, before = 0, 0, None
    for frame in video.frames(path, threads=1):
        picture = frame.picture()[::4, ::4].astype(int)
        moves += before is not None and float(np.abs(picture - before).mean()) > 0.1
        count, before = count + 1, picture
    return count, moves


def test_a_minute_of_supertux(tmp_path, capsys):
    lacking = catalogue.get("supertux").missing()
    if lacking:
        pytest.skip(lacking)
    out, steps = tmp_path / "rec", SECONDS * RATE
    words = ["play", "--game", "supertux", "--policy", "random:tiny", "--seed", str(SEED)]
    words += ["--seconds", str(SECONDS), "--execute", "9", "--out", str(out), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "nitrogen_jax.cli", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (episode,) = told["episodes"]
    assert (episode["steps"], episode["ended"], episode["seconds"]) == (steps, "time", SECONDS)
    assert told["latency_ms"]["infer"]["count"] == steps / 9
    seen = {}
    for folder in ("videos", "debug"):
        seen[folder] = frames(out / folder / f"{episode['video']}.mp4")
        assert seen[folder][0] == steps + 1
    assert seen["videos"][1] > steps / 4  # it moves
    assert cli.main(["data", "validate", str(out / "labels")]) == 0
    lines = [json.loads(line) for line in (out / "actions").glob("*.jsonl").__next__().open()]
    assert [line["step"] for line in lines] == list(range(1, steps + 1))
    chunks = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(out / "labels").scan()]
    chunks.sort(key=lambda pair: pair[0].video.start_frame)
    rows = np.concatenate([table.actions for _, table in chunks])
    played = actions.read(out / "actions" / f"{episode['video']}.npz")
    # The row after the last whole chunk is too short for one of its own.
    assert len(rows) == steps
    np.testing.assert_allclose(rows[1:], known(played)[: steps - 1], atol=1e-6)
    with capsys.disabled():
        sys.stdout.write(f"\n{episode}\n{told['latency_ms']}\nframes, moving ones: {seen}\n")


def known(pads: gamepad.Pad) -> np.ndarray:
    """Pads (N,) as a label table holds them: four buttons have no column."""
    return gamepad.columns_to_vector(gamepad.vector_to_columns(gamepad.pack(pads)))
