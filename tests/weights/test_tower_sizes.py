"""Sizes of a vision tower from files and presets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import VisionConfig
from nitrogen_jax.models.presets import vision_preset
from nitrogen_jax.weights import tower_sizes

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 30,
    "patch_size": 14,
}
TOWER = VisionConfig("custom", 30, 14, 48, 3, 4, 80)


@pytest.fixture
def write(tmp_path):
    """Writes JSON (or text) to a file and returns its path."""

    def to(content, name="vision.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return to


@pytest.mark.parametrize(
    "content",
    [SIZES, {"vision": SIZES}, {"vision": SIZES, "games": None}, {"vision_config": SIZES}],
    ids=["flat", "ours", "ours_games", "published"],
)
def test_where_the_sizes_may_stand(write, content):
    assert tower_sizes.read(write(content)) == (TOWER, None)


def test_games_come_along(write):
    games = {"None": 0, "Celeste": 1}
    assert tower_sizes.read(write({"vision": SIZES, "games": games})) == (TOWER, games)


def test_a_name_and_an_epsilon(write):
    tower, _ = tower_sizes.read(write({**SIZES, "name": "mine", "layer_norm_eps": 1e-5}))
    assert (tower.name, tower.eps) == ("mine", 1e-5)
    assert tower_sizes.read(write(SIZES), "other")[0].name == "other"


def test_out_and_in(write):
    cfg = vision_preset("google/siglip2-so400m-patch14-384")
    assert tower_sizes.read(write(tower_sizes.to_json(cfg)), cfg.name) == (cfg, None)


def test_a_published_config_leaves_out_its_defaults(write):
    """As google/siglip-base-patch16-224 and others do."""
    base = VisionConfig("custom", 224, 16, 768, 12, 12, 3072)
    minimal = {"model_type": "siglip", "vision_config": {"model_type": "siglip_vision_model"}}
    assert tower_sizes.read(write(minimal)) == (base, None)
    some = {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_attention_heads": 16}
    assert tower_sizes.read(write(some))[0].width == 1152
    with pytest.raises(NitrogenError, match="image_size is None"):  # of no fixed resolution
        tower_sizes.read(write({**SIZES, "model_type": "siglip2_vision_model", "image_size": None}))


@pytest.mark.needs("transformers")
def test_published_defaults_are_those_of_transformers(write, tmp_path):
    from transformers import SiglipConfig, SiglipVisionConfig

    alone = SiglipVisionConfig()
    alone.save_pretrained(tmp_path / "alone")
    SiglipConfig().save_pretrained(tmp_path / "whole")
    minimal = tower_sizes.read(write({"model_type": "siglip_vision_model"}))
    for name in ("alone", "whole"):
        assert tower_sizes.read(tmp_path / name / "config.json") == minimal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "hidden_size is None, where a whole number"),
        ({"hidden_size": "48"}, "hidden_size is '48'"),
        ({"hidden_size": 48.0}, "hidden_size is 48.0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": [48]}, "hidden_size is"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"patch_size": -1}, "patch_size is -1"),
        ({"hidden_size": 50}, "width 50 is not a multiple of its 4 heads"),
        ({"patch_size": 31}, "patches of 31 pixels are larger than its image of 30"),
        ({"num_hidden_layers": 10**9}, "1000000000 layers"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps is 'x'"),
        ({"layer_norm_eps": None}, "layer_norm_eps is None"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', which is not supported"),
        ({"num_channels": 4}, "num_channels is 4, which is not supported"),
    ],
)
def test_sizes_that_cannot_be(write, change, message):
    path = write({**SIZES, **change})
    with pytest.raises(NitrogenError, match=message) as caught:
        tower_sizes.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@given(
    st.sampled_from([*SIZES, "layer_norm_eps", "hidden_act", "num_channels", "model_type"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()),
)
def test_any_value_is_read_or_refused_in_one_sentence(tmp_path_factory, name, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({**SIZES, name: value}))
    try:
        cfg, _ = tower_sizes.read(path)
    except NitrogenError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017
    else:
        assert cfg.width % cfg.heads == 0
        assert cfg.tokens >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable JSON file"),
        ("{", "not a readable JSON file"),
        ("[" * 100_000, "not a readable JSON file"),
        ("[1]", "a table with image_size, patch_size"),
        ("3", "a table with"),
        ('{"vision": 3}', "image_size is None"),
    ],
)
def test_files_that_hold_no_sizes(write, text, message):
    with pytest.raises(NitrogenError, match=message):
        tower_sizes.read(write(text))


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "vision.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NitrogenError, match="not a readable JSON file"):
        tower_sizes.read(tmp_path / "vision.json")


# --- which of the sources wins -------------------------------------------------------------------


def test_option_then_beside_then_nothing(write, tmp_path):
    assert tower_sizes.resolve(None, tmp_path) == (None, None)
    write({"vision": SIZES, "games": {"a": 0}})
    assert tower_sizes.resolve(None, tmp_path) == (TOWER, {"a": 0})
    assert tower_sizes.resolve("test", tmp_path) == (vision_preset("test"), None)
    assert tower_sizes.resolve(TOWER, tmp_path / "nowhere") == (TOWER, None)


def test_an_option_is_a_file_or_a_preset(write, tmp_path):
    path = write(SIZES, "mine.json")
    mine = VisionConfig("mine", 30, 14, 48, 3, 4, 80)
    assert tower_sizes.resolve(path, tmp_path) == (mine, None)
    assert tower_sizes.resolve(str(path), tmp_path) == (mine, None)
    assert tower_sizes.resolve(write(SIZES, "mine"), tmp_path) == (mine, None)
    name = "google/siglip2-large-patch16-256"
    assert tower_sizes.resolve(name, tmp_path)[0] == VisionConfig()
    with pytest.raises(NitrogenError, match="'unheard-of' is not known: use a name such as"):
        tower_sizes.resolve("unheard-of", tmp_path)
    with pytest.raises(NitrogenError, match=r"gone.json is not a readable JSON file"):
        tower_sizes.resolve(tmp_path / "gone.json", tmp_path)
