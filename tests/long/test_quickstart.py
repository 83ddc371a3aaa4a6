"""The quick start as a newcomer meets it, in full: one command, and a policy that beats chance.

    pytest -m long tests/long/test_quickstart.py

It takes a quarter of an hour on two cores. NITROGEN_QUICKSTART_ROOM keeps what it makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nitrogen_jax.evaluation.scores import Score, apart

pytestmark = [pytest.mark.long, pytest.mark.needs("vizdoom", "jax", "av", "pyarrow")]


@pytest.mark.timeout(5400)
def test_the_quick_start(tmp_path):
    room = Path(os.environ.get("NITROGEN_QUICKSTART_ROOM") or tmp_path / "room")
    command = [sys.executable, "-m", "nitrogen_jax.cli", "quickstart", "--out", str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((room / "results.json").read_text())
    numbers, stages = found["numbers"], found["about"]["stages"]
    wall, cpu = (sum(one[name] for one in stages.values()) for name in ("wall", "cpu"))
    sys.stderr.write(f"{done.stdout}\n{wall / 60:.1f} min, {cpu / 60:.1f} min of processors\n")
    labels = numbers["labels"]
    assert labels["coverage"] > 0.95
    assert labels["button_macro_f1"] > 0.95
    assert labels["stick_r2"] > 0.95
    players = {who: Score(**one) for who, one in numbers["players"].items()}
    assert all(one.judged >= 38 for one in players.values())
    policy, chance = players["policy"], players["random"]
    assert policy.low > chance.high
    assert numbers["better"] is apart(policy, chance) is True
    assert "beats random play" in numbers["verdict"]
    assert players["expert"].rate > 0.9
