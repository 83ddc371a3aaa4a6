"""The Python of the README runs; its links and extras lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import readme_shop as shop_of

from nitrogen_jax import cli
from nitrogen_jax.extras import EXTRAS
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import catalogue

ROOT = shop_of.ROOT
BLOCKS = [one for one in shop_of.blocks(ROOT / "README.md") if one.language == "python"]
TRAIN = ("grain", "pyarrow", "array_record")


def block(word: str) -> str:
    """The one block that holds a word."""
    (found,) = [one.text for one in BLOCKS if word in one.text]
    return found


def run(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return shop_of.Shop(tmp_path_factory.mktemp("shop"), run)


def test_each_block_has_a_test():
    words = ("load_policy", "LoaderConfig", "Playback", "PaperActions")
    assert sorted(block(word) for word in words) == sorted(one.text for one in BLOCKS)


def test_the_sampler(here, shop, capsys):
    pytest.importorskip("jax")
    shop.bring("ng_converted", here)
    names: dict = {}
    text = block("load_policy")
    assert "buckets=(1, 8)" in text
    exec(text.replace("buckets=(1, 8)", "buckets=(1,)"), names)  # each compiles for seconds
    assert names["pad"].shape == (1, names["cfg"].horizon)
    assert len(capsys.readouterr().out.splitlines()) >= names["cfg"].horizon


def test_the_loader(here, shop):
    for module in TRAIN:
        pytest.importorskip(module)
    shop.bring("records", here)
    text = block("LoaderConfig")
    small = text.replace("batch=256", "batch=4").replace("workers=8", "workers=0")
    assert small.count("batch=4") == small.count("workers=0") == 1
    names: dict = {}
    exec(small, names)
    told = re.search(r"frames \(256, (.*?)\) uint8, actions \(256, (.*?)\)", text)
    for name, shape in zip(("frames", "actions"), told.groups(), strict=True):
        assert names["batch"][name].shape == (4, *map(int, shape.split(", ")))
    assert set(names["saved"]) == {"position", "order"}


def test_the_client():
    pytest.importorskip("jax")
    from nitrogen_jax.serving.agent import make_engine
    from nitrogen_jax.weights.policies import load_policy

    sys.path.insert(0, str(Path(__file__).parent / "serving"))
    from served import serving

    text = block("Playback")
    engine = make_engine(load_policy("random:test"))
    engine.warm_up()  # a client waits for ten seconds at most
    with serving(engine) as server:
        names = {"frame": np.zeros((240, 320, 3), np.uint8)}
        exec(text.replace("tcp://127.0.0.1:5556", server.address), names)
    assert isinstance(names["pad"], Pad)
    assert names["pad"].shape == ()


def test_the_game():
    lacking = catalogue.get("supertux").missing()
    if lacking:
        pytest.skip(lacking)
    names: dict = {}
    try:
        exec(block("PaperActions"), names)
        assert names["frame"].shape == (256, 256, 3)
        assert names["env"].action_space.shape == (20,)
    finally:
        if "game" in names:
            names["game"].close()


def anchors(text: str) -> set[str]:
    """What GitHub makes of headings."""
    found = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("path", shop_of.PAGES, ids=lambda path: path.parent.name)
def test_links_lead_somewhere(path):
    text = path.read_text()
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            wrong.append(link)
    assert wrong == []


def test_extras_are_there():
    named = re.findall(
        r"pip install '\.\[([a-z0-9,]+)\]'|'\.\[([a-z0-9,]+)\]'", (ROOT / "README.md").read_text()
    )
    words = {word for pair in named for group in pair for word in group.split(",") if word}
    assert len(words) >= 8
    assert words <= {*EXTRAS, "dev"}
