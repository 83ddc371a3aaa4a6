"""What a checkpoint says about itself: out, in, and what is not believed."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("jax")

from nitrogen_jax import __version__, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import VisionConfig
from nitrogen_jax.models.presets import policy_preset, vision_preset
from nitrogen_jax.weights import meta as metadata
from nitrogen_jax.weights.meta import Meta, from_json, to_json

SMALL = dataclasses.replace(policy_preset("test"), games=3, context_length=5)
FULL = Meta(
    SMALL,
    games={"None": 0, "Celeste": 2},
    control_rate=60.0,
    step=7,
    epoch=2,
    original_config={"model_cfg": {"a": [1, None]}},
    provenance={"source": "ng.pt", "sha256": "ab"},
)
TOWER = Meta(vision_preset("test"), provenance={"source": "model.safetensors"})


def through_json(meta):
    return from_json(json.loads(json.dumps(to_json(meta))), "file")


@pytest.mark.parametrize("meta", [FULL, TOWER, Meta(SMALL)], ids=["full", "tower", "bare"])
def test_there_and_back(meta):
    found = through_json(meta)
    written_by = {"written_by": f"nitrogen_jax {__version__}"}
    assert found == dataclasses.replace(meta, provenance={**meta.provenance, **written_by})
    assert through_json(found) == found


def test_what_a_reader_of_the_file_sees():
    data = to_json(FULL)
    assert (data["format"], data["version"], data["kind"]) == ("nitrogen_jax", 1, "policy")
    assert data["action"] == {
        "layout": "buttons_first",
        "dimensions": list(gamepad.DIMENSIONS),
        "horizon": 18,
        "shift": 1,
        "rate": 60.0,
    }
    assert "t=0 noise" in data["time"]
    assert to_json(TOWER)["kind"] == "vision"
    assert not {"action", "time", "games"} & to_json(TOWER).keys()


def test_the_old_layout_has_the_sticks_first():
    old = Meta(dataclasses.replace(SMALL, layout="sticks_first"))
    assert to_json(old)["action"]["dimensions"][:5] == [*gamepad.STICK_AXES, "BACK"]
    assert through_json(old).config.layout == "sticks_first"


def test_actions_that_are_no_gamepads_have_no_names():
    other = Meta(dataclasses.replace(SMALL, action_dim=12))
    assert to_json(other)["action"]["dimensions"] is None
    assert through_json(other).config == other.config


def test_unknown_fields_of_the_config_are_named_and_ignored():
    data = to_json(FULL)
    data["config"]["new"] = data["config"]["dit"]["newer"] = 1
    found = from_json(data, "file")
    assert found.config == SMALL
    assert found.notices == (
        "file: dit: field newer is not known and was ignored",
        "file: field new is not known and was ignored",
    )


def with_(path, value):
    """FULL as JSON with the entry at "a.b" set."""
    data = copy.deepcopy(to_json(FULL))
    node = data
    *parents, last = path.split(".")
    for name in parents:
        node = node[name]
    node[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "other", "not that of a nitrogen_jax checkpoint"),
        ("version", 2, "format version 2 and this program reads up to 1: upgrade"),
        ("version", 0, "format version 0"),
        ("version", "1", "format version '1'"),
        ("version", None, "format version None"),
        ("kind", "dog", "kind is 'dog', where one of policy, vision, segformer is needed"),
        ("kind", ["policy"], "kind is"),
        ("config", None, "PolicyConfig is None, where a table is needed"),
        ("config.width", "32", "width is '32', where int is needed"),
        ("config.width", 30, "dit.heads \\* dit.head_dim is 32 and must equal width 30"),
        ("config.vision.depth", 10**9, "the tower has 1000000000 layers"),
        ("config.vision.heads", 0, "heads is 0, where 1 is the least"),
        ("time", "t=1 noise", "its time convention is 't=1 noise' and this program's is"),
        ("time", None, "its time convention is None"),
        ("action", None, "action.layout is None"),
        ("action", [1], "action is .*, where a table is needed"),
        ("action.layout", "sticks_first", "action.layout is 'sticks_first' and its config says"),
        ("action.dimensions", ["A"], "action.dimensions is"),
        ("action.horizon", 17, "action.horizon is 17 and its config says 18"),
        ("action.shift", 3, "action.shift is 3 and its config says 1"),
        ("games", {"a": 3}, "games names row 3, and there are 3 rows"),
        ("games", {"a": -1}, "a table of name -> row is needed"),
        ("games", {"a": True}, "a table of name -> row is needed"),
        ("games", ["a"], "a table of name -> row is needed"),
        ("config.games", None, "games names row 2, and there are no game embedding"),
        ("step", "seven", "step is 'seven', where a whole number is needed"),
        ("step", 1.5, "step is 1.5"),
        ("epoch", True, "epoch is True"),
        ("original_config", [1], "original_config is .*where a table is needed"),
        ("provenance", "me", "provenance is 'me'"),
    ],
)
def test_what_is_not_believed(path, value, message):
    with pytest.raises(NitrogenError, match=message) as caught:
        from_json(with_(path, value), "a/file")
    assert str(caught.value).startswith("a/file: ")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def places(node, path=""):
    """The dotted path of every entry of a nested dict."""
    for name, value in node.items():
        yield path + name
        if isinstance(value, dict):
            yield from places(value, f"{path}{name}.")


@given(st.sampled_from(list(places(to_json(FULL)))), values)
def test_any_value_anywhere_is_read_or_refused_in_one_sentence(path, value):
    try:
        found = from_json(with_(path, value), "file")
    except NitrogenError as error:
        assert str(error).startswith("file: ")  # noqa: PT017
    else:
        assert repr(through_json(found).config) == repr(found.config)


@pytest.mark.parametrize("data", [None, 3, [], "x", {}])
def test_no_metadata_at_all(data):
    with pytest.raises(NitrogenError, match="not that of a nitrogen_jax checkpoint"):
        from_json(data, "file")


def test_a_tower_whose_sizes_do_not_fit():
    data = to_json(Meta(VisionConfig(width=33, heads=2)))
    with pytest.raises(NitrogenError, match="width 33 is not a multiple of its 2 heads"):
        from_json(data, "file")


# --- a vision.json beside, or --vision ------------------------------------------------------------


@pytest.fixture
def beside(tmp_path):
    """A folder whose vision.json names other heads, and games."""
    sizes = {"image_size": 32, "patch_size": 16, "hidden_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "intermediate_size": 64}
    games = {"None": 0, "Doom": 1}
    (tmp_path / "vision.json").write_text(json.dumps({"vision": sizes, "games": games}))
    return tmp_path


def test_a_vision_json_beside_wins(beside):
    meta = metadata.with_vision(FULL, None, beside / "x.safetensors")
    assert meta.config.vision.heads == 4
    assert meta.games == {"None": 0, "Doom": 1}
    assert dataclasses.replace(meta.config, vision=SMALL.vision) == SMALL
    assert metadata.with_vision(TOWER, None, beside / "x").config.heads == 4


def test_the_users_option_wins_over_it(beside):
    meta = metadata.with_vision(FULL, "test", beside / "x.safetensors")
    assert meta == FULL


def test_nothing_said_nothing_changed(tmp_path):
    assert metadata.with_vision(FULL, None, tmp_path / "x") is FULL


def test_sizes_beside_that_do_not_fit_the_rest(beside):
    data = json.loads((beside / "vision.json").read_text())
    data["vision"]["hidden_size"] = 64
    (beside / "vision.json").write_text(json.dumps(data))
    with pytest.raises(NitrogenError, match=r"x: config: .*must equal vision.width 64"):
        metadata.with_vision(FULL, None, beside / "x")
    data["games"]["Quake"] = 3
    data["vision"]["hidden_size"] = 32
    (beside / "vision.json").write_text(json.dumps(data))
    with pytest.raises(NitrogenError, match=r"games names row 3, and there are 3 rows"):
        metadata.with_vision(FULL, None, beside / "x")
