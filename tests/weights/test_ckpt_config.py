"""The original's `ckpt_config` to our sizes and back."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("jax")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import (
    DiTConfig,
    MixerConfig,
    PolicyConfig,
    VisionConfig,
)
from nitrogen_jax.models.presets import policy_preset, vision_preset
from nitrogen_jax.weights.ckpt_config import (
    from_policy_config,
    plain,
    to_policy_config,
)

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CONFIG = json.loads((GOLDEN / "frames_games" / "ckpt_config.json").read_text())
TOWER = VisionConfig("custom", 64, 16, 32, 12, 2, 64)


def changed(**changes):
    """CONFIG with `part__field=value` set; `part` is one of the four sections."""
    sections = {
        "model": ("model_cfg",),
        "dit": ("model_cfg", "diffusion_model_cfg"),
        "mixer": ("model_cfg", "vl_self_attention_cfg"),
        "tokenizer": ("tokenizer_cfg",),
        "modality": ("modality_cfg",),
        "top": (),
    }
    config = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        part, _, name = key.partition("__")
        node = config
        for section in sections[part]:
            node = node[section]
        node[name] = value
    return config


def read(config, **options):
    return to_policy_config(config, **{"vision": TOWER, "games": 3, **options})


def test_a_released_kind_of_config():
    cfg, notices = read(CONFIG)
    assert notices == []
    assert cfg == PolicyConfig(
        vision=TOWER,
        mixer=MixerConfig(depth=2, heads=2, head_dim=16),
        dit=DiTConfig(depth=4, heads=2, head_dim=16, output_dim=32),
        width=32,
        max_positions=64,
        games=3,
        context_length=33,
        frames=2,
    )


def test_the_released_sizes():
    """What `reference` facts say of the released checkpoint is our preset."""
    config = copy.deepcopy(CONFIG)
    heads = {"num_attention_heads": 16, "attention_head_dim": 64}
    config["model_cfg"].update(hidden_size=1024, max_seq_len=1024, vision_hidden_size=1024)
    config["model_cfg"]["diffusion_model_cfg"].update(heads, num_layers=8, output_dim=1024)
    config["model_cfg"]["vl_self_attention_cfg"].update(heads, num_layers=4)
    config["tokenizer_cfg"].update(num_visual_tokens_per_frame=256, max_sequence_length=256)
    config["modality_cfg"].update(frame_per_sample=1)
    assert to_policy_config(config) == (policy_preset("nitrogen"), [])


# --- there and back ------------------------------------------------------------------------------

small = st.integers(1, 4)
rates = st.floats(0, 0.9)


@st.composite
def policies(draw):
    """Policies whose sizes fit, every field free."""
    heads, head_dim = draw(small), draw(st.integers(1, 4)) * 2
    width = heads * head_dim
    patch = draw(st.integers(1, 8))
    side = draw(st.integers(patch, 4 * patch))
    tower = VisionConfig(
        "custom", side, patch, draw(small) * width, draw(small), 1, draw(small), VisionConfig.eps
    )
    shared = {
        "dropout": rates,
        "final_dropout": st.booleans(),
        "attention_bias": st.booleans(),
        "affine_norm": st.booleans(),
        "activation": st.sampled_from(["gelu", "gelu-approximate"]),
        "eps": st.floats(1e-8, 1e-3),
    }
    mixer = draw(
        st.builds(
            MixerConfig, depth=small, heads=st.just(1), head_dim=st.just(tower.width), **shared
        )
    )
    cross = st.just(tower.width)
    if tower.width == width:
        cross |= st.none()
    dit = draw(
        st.builds(
            DiTConfig,
            depth=small,
            heads=st.just(heads),
            head_dim=st.just(head_dim),
            output_dim=st.just(width),
            interleave=st.booleans(),
            cross_width=cross,
            **shared,
        )
    )
    horizon = draw(small)
    cfg = PolicyConfig(
        vision=tower,
        mixer=mixer,
        dit=dit,
        width=width,
        action_dim=draw(st.integers(1, 30)),
        horizon=horizon,
        max_positions=draw(st.integers(horizon, 99)),
        position_embedding=draw(st.booleans()),
        embodiments=draw(small),
        games=draw(st.none() | small),
        context_length=draw(st.integers(tower.tokens, 999)),
        frames=draw(small),
        frame_spacing=draw(st.integers(0, 99)),
        action_shift=draw(st.integers(0, 99)),
        layout=draw(st.sampled_from(["buttons_first", "sticks_first"])),
        timestep_buckets=draw(st.integers(1, 2000)),
        euler_steps=draw(st.integers(1, 99)),
        time_alpha=draw(st.floats(0.1, 9)),
        time_beta=draw(st.floats(0.1, 9)),
        time_scale=draw(st.floats(0.1, 1)),
    )
    return cfg.check()


@given(policies())
def test_our_sizes_survive_the_originals_config(cfg):
    config = json.loads(json.dumps(from_policy_config(cfg)))
    assert to_policy_config(config, vision=cfg.vision, games=cfg.games) == (cfg, [])


@given(policies())
def test_ours_win_over_the_config_they_came_with_and_nothing_else_changes(cfg):
    config = from_policy_config(cfg, CONFIG)
    assert to_policy_config(config, vision=cfg.vision, games=cfg.games) == (cfg, [])
    assert config["experiment_name"] == "golden_12"
    assert config["modality_cfg"]["token_set"] == "new"
    assert config["model_cfg"]["vl_self_attention_cfg"]["output_dim"] == 26


def test_a_config_goes_out_as_it_came_in():
    original = changed(top__note=[1, {"a": None}], model__new=0.5, dit__x="y", modality__z=True)
    before = copy.deepcopy(original)
    cfg, _ = read(original)
    written = from_policy_config(cfg, original)
    assert original == before
    for section in ("tokenizer_cfg", "modality_cfg"):
        assert written[section] == original[section]
    # Switches that the original's code has without naming them in this section are added.
    for section in ("diffusion_model_cfg", "vl_self_attention_cfg"):
        ours, theirs = written["model_cfg"].pop(section), original["model_cfg"].pop(section)
        assert {name: ours[name] for name in theirs} == theirs
    assert written["model_cfg"] == original["model_cfg"]
    assert {name: written[name] for name in ("note", "experiment_name")} == {
        "note": [1, {"a": None}],
        "experiment_name": "golden_12",
    }


@pytest.mark.parametrize(
    ("tower", "original", "wanted"),
    [
        ("custom", CONFIG, "google/siglip2-large-patch16-256"),
        ("custom", None, "custom"),
        ("google/siglip2-base-patch16-224", CONFIG, "google/siglip2-base-patch16-224"),
        ("test", CONFIG, "test"),
    ],
)
def test_the_encoder_that_the_original_is_to_fetch(tower, original, wanted):
    cfg = PolicyConfig(vision=dataclasses.replace(vision_preset("test"), name=tower))
    model = from_policy_config(cfg, original)["model_cfg"]
    assert model["vision_encoder_name"] == wanted
    assert model["vision_hidden_size"] == 32


def test_sections_that_are_no_tables_are_replaced_on_writing():
    """An `original_config` from a file of ours is outside data."""
    odd = {"model_cfg": 3, "tokenizer_cfg": None, "modality_cfg": [], "more": 1}
    config = from_policy_config(policy_preset("test"), odd)
    assert to_policy_config(config)[0] == policy_preset("test")
    assert config["more"] == 1


# --- fields that are missing, unknown, idle ------------------------------------------------------


def test_missing_fields_have_the_originals_defaults():
    config = {"model_cfg": {"vision_hidden_size": 1024}}
    cfg, notices = to_policy_config(config)
    assert notices == []
    assert (cfg.context_length, cfg.dit.interleave, cfg.action_shift) == (300, False, 1)
    assert (cfg.frames, cfg.layout, cfg.frame_spacing) == (1, "buttons_first", cfg.horizon)


def test_no_frame_spacing_means_one_chunk():
    assert read(changed(modality__frame_spacing=None))[0].frame_spacing == 18
    assert read(changed(modality__frame_spacing=7))[0].frame_spacing == 7


def test_unknown_fields_are_named_one_by_one_and_ignored():
    config = changed(top__a=1, model__b=[2], dit__c={"d": 3}, mixer__e=None, tokenizer__f=4)
    cfg, notices = read(config)
    assert cfg == read(CONFIG)[0]
    assert sorted(notices) == [
        f"ckpt_config field {name} is not known and was ignored"
        for name in (
            "a",
            "model_cfg.b",
            "model_cfg.diffusion_model_cfg.c",
            "model_cfg.vl_self_attention_cfg.e",
            "tokenizer_cfg.f",
        )
    ]


def test_fields_without_a_meaning_for_the_network_are_read_in_silence():
    config = changed(
        tokenizer__use_action_mask=True,
        tokenizer__tokenizer_id="nitrogen",
        tokenizer__game_mapping_cfg={"src_files": ["a.parquet"]},
        model__tune_vision_tower=False,
    )
    assert read(config) == (read(CONFIG)[0], [])


def test_whole_numbers_serve_as_floats():
    cfg, _ = read(changed(model__noise_beta_alpha=2, dit__dropout=0))
    assert (cfg.time_alpha, cfg.dit.dropout) == (2.0, 0.0)
    assert isinstance(cfg.time_alpha, float)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model__add_view_embed": True}, "model_cfg.add_view_embed is True"),
        ({"model__add_view_embed": 0}, "model_cfg.add_view_embed is 0"),
        ({"dit__norm_type": "layer_norm"}, "diffusion_model_cfg.norm_type is 'layer_norm'"),
        ({"dit__positional_embeddings": "sinusoidal"}, "positional_embeddings is 'sinusoidal'"),
        ({"mixer__positional_embeddings": "sinusoidal"}, "vl_self_attention_cfg.positional_emb"),
        ({"mixer__norm_type": "ada_norm"}, "vl_self_attention_cfg.norm_type is 'ada_norm'"),
        ({"modality__action_interleaving": True}, "modality_cfg.action_interleaving is True"),
        ({"modality__action_interleaving": np.ones(3)}, "modality_cfg.action_interleaving is"),
        ({"dit__activation_fn": "geglu"}, "dit.activation 'geglu' is not one of"),
    ],
)
def test_switches_that_are_not_supported(change, message):
    with pytest.raises(NitrogenError, match=message) as caught:
        read(changed(**change), source="ng.pt")
    assert str(caught.value).startswith("ng.pt: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model__hidden_size": "32"}, "model_cfg.hidden_size is '32', where int is needed"),
        ({"model__hidden_size": 32.0}, "model_cfg.hidden_size is 32.0, where int is needed"),
        ({"model__hidden_size": True}, "model_cfg.hidden_size is True, where int is needed"),
        ({"model__hidden_size": None}, "model_cfg.hidden_size is None, where int is needed"),
        ({"dit__dropout": "0.2"}, "diffusion_model_cfg.dropout is '0.2', where float is needed"),
        ({"dit__dropout": 10**400}, "diffusion_model_cfg.dropout is 1"),
        ({"dit__attention_bias": 1}, "attention_bias is 1, where bool is needed"),
        ({"model__vision_encoder_name": 5}, "vision_encoder_name is 5, where str is needed"),
        ({"modality__frame_spacing": "18"}, "modality_cfg.frame_spacing is '18'"),
        ({"model__diffusion_model_cfg": []}, "diffusion_model_cfg is .*where a table is needed"),
        ({"top__tokenizer_cfg": None}, "tokenizer_cfg is None, where a table is needed"),
        ({"top__model_cfg": 3}, "no model_cfg, so the sizes are not known"),
    ],
)
def test_wrong_types(change, message):
    with pytest.raises(NitrogenError, match=message):
        read(changed(**change))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def places(node, path=()):
    """The path of every entry of a nested dict."""
    for name, value in node.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from places(value, (*path, name))


@given(st.sampled_from(list(places(CONFIG))), values | st.just(np.zeros(2)))
def test_any_value_anywhere_is_read_or_refused_in_one_sentence(path, value):
    config = copy.deepcopy(CONFIG)
    node = config
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    try:
        cfg, _ = read(config)
    except NitrogenError:
        return
    written = json.loads(json.dumps(from_policy_config(cfg, plain(config))))
    assert repr(read(written)[0]) == repr(cfg)  # repr, because NaN equals nothing


@pytest.mark.parametrize("config", [None, 3, [], {}, {"model_cfg": None}])
def test_no_config_at_all(config):
    with pytest.raises(NitrogenError, match="ckpt_config has no model_cfg"):
        to_policy_config(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer__action_horizon": 17}, "tokenizer_cfg.action_horizon is 17 and must equal"),
        ({"modality__action_per_chunk": 8}, "modality_cfg.action_per_chunk is 8 and must equal"),
        ({"tokenizer__max_action_dim": 24}, "tokenizer_cfg.max_action_dim is 24 and must equal"),
        ({"tokenizer__num_visual_tokens_per_frame": 9}, "is 9 and must equal the tower's tokens"),
        ({"model__vision_hidden_size": 48}, "vision_hidden_size is 48 and the tower custom has"),
        ({"model__hidden_size": 64}, "dit.heads \\* dit.head_dim is 32 and must equal width 64"),
        ({"mixer__num_attention_heads": 3}, "mixer.heads \\* mixer.head_dim is 48"),
        ({"dit__output_dim": 16}, "dit.output_dim 16 must equal width 32"),
        ({"dit__cross_attention_dim": 24}, "cross-attention takes 24 channels"),
        ({"tokenizer__max_sequence_length": 15}, "context_length 15 has no room"),
        ({"model__max_seq_len": 4}, "horizon 18 is more than max_positions 4"),
        ({"dit__num_layers": 0}, "dit.depth is 0"),
        ({"dit__num_layers": -1}, "dit has -1 layers"),
        ({"mixer__num_layers": 10**9}, "mixer has 1000000000 layers"),
    ],
)
def test_sizes_that_do_not_fit_each_other(change, message):
    with pytest.raises(NitrogenError, match=message) as caught:
        read(changed(**change), source="ng.pt")
    assert str(caught.value).startswith("ng.pt: ")


def test_an_unknown_encoder_needs_a_file_of_sizes():
    config = changed(model__vision_encoder_name="vit-from-nowhere")
    assert read(config)[0].vision == TOWER
    with pytest.raises(NitrogenError, match=r"'vit-from-nowhere' is not known.*--vision FILE"):
        to_policy_config(config)


# --- values for JSON -----------------------------------------------------------------------------


def test_plain_values():
    value = {"a": (1, [2.5, None]), 3: np.array(0.5, np.float32), "b": {"c": np.ones((1, 2))}}
    made = plain(value)
    assert made == {"a": [1, [2.5, None]], "3": 0.5, "b": {"c": [[1.0, 1.0]]}}
    assert json.loads(json.dumps(made)) == made
