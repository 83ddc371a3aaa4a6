"""The picture of the README: the committed file is what the code draws, and it tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from nitrogen_jax import cli
from nitrogen_jax.commands import data, label, sim
from nitrogen_jax.evaluation import suite
from nitrogen_jax.report import chain_picture

ROOT = Path(__file__).parents[2]
PARTS = {"data": data.PARTS, "label": label.PARTS, "sim": sim.PARTS}


def test_the_committed_file_is_what_is_drawn(tmp_path):
    path = tmp_path / "chain.svg"
    words = [sys.executable, "-m", "nitrogen_jax.report.chain_picture", str(path)]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0
    assert path.read_text() == (ROOT / "nitrogen_jax" / "report" / "chain.svg").read_text()


def test_the_readme_shows_it():
    assert "nitrogen_jax/report/chain.svg" in re.findall(
        r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text()
    )


def test_it_is_an_svg_that_needs_nothing_else():
    root = ElementTree.fromstring(chain_picture.draw())
    assert root.tag.endswith("}svg")
    # The one address is the name of the format.
    assert re.findall(r"https?://[^\"]+", chain_picture.draw()) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"\b(href|src)=|@import|<script", chain_picture.draw())


def test_everything_is_within_the_picture():
    root = ElementTree.fromstring(chain_picture.draw())
    texts = [one for one in root.iter() if one.tag.endswith("}text")]
    assert len(texts) > 30
    for text in texts:
        width = 7 * len(text.text or "")  # about, of its letters
        x = float(text.get("x", "nan")) - (width / 2 if "middle" in text.get("class", "") else 0)
        assert 0 <= x <= x + width <= chain_picture.WIDTH, text.text
        assert 0 <= float(text.get("y", "nan")) <= chain_picture.HEIGHT, text.text


def test_what_it_names_is_there():
    for card in chain_picture.CARDS:
        for command in card.commands:
            name, verb, *part = command.split()
            assert name == "nitrogen"
            assert verb in cli.VERBS
            assert not part or part[0] in PARTS[verb]
    tasks = suite.chosen("default")
    games = {task.name.partition("/")[0] for task in tasks}
    words = [" ".join(feed.lines) for feed in chain_picture.FEEDS]
    assert f"{len(tasks)} tasks in {len(games)} games" in words
