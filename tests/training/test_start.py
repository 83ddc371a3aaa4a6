"""Where parameters come from: real files of every kind, and all that does not fit."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("orbax.checkpoint")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

import jax.numpy as jnp  # noqa: E402

from nitrogen_jax import config, gamepad  # noqa: E402
from nitrogen_jax.errors import NitrogenError  # noqa: E402
from nitrogen_jax.models import policy, siglip2  # noqa: E402
from nitrogen_jax.models.configs import FLOAT32  # noqa: E402
from nitrogen_jax.models.presets import policy_preset  # noqa: E402
from nitrogen_jax.training import start as starts  # noqa: E402
from nitrogen_jax.training.start import Start, random_params, starting_params  # noqa: E402
from nitrogen_jax.weights import checkpoint, original, provenance, steps, tower_sizes  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.meta import Meta, changed  # noqa: E402
from nitrogen_jax.weights.rules import flatten, unflatten  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
TEST = policy_preset("test")


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes most of the time of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "shapes", functools.cache(policy.shapes))
        patch.setattr(siglip2, "shapes", functools.cache(siglip2.shapes))
        yield


@functools.cache
def golden(name="tiny"):
    return checkpoint.load(GOLDEN / name / "ng.pt")


@functools.cache
def random(cfg=TEST, seed=0):
    """Parameters of `cfg` that are made at once: compiling their true start takes long."""
    return unflatten(quick_params(cfg, seed, flatten(policy.shapes(cfg))))


def quick_params(cfg, seed, paths):
    shapes, made = flatten(policy.shapes(cfg)), {}
    for path in paths:
        rng = np.random.default_rng([seed, zlib.crc32(path.encode())])
        made[path] = rng.normal(0, 0.1, shapes[path].shape).astype(np.float32)
    if "game_embedding" in made:
        made["game_embedding"][0] = 0
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(starts, "random_params", quick_params)


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    """A file of a policy of the size "test"; its parameters are random(seed=9)."""
    path = tmp_path_factory.mktemp("donor") / "donor.safetensors"
    checkpoint.save(Checkpoint(random(seed=9), Meta(TEST, step=40)), path)
    return str(path)


def saved(path: Path, params, meta: Meta) -> Start:
    checkpoint.save(Checkpoint(params, meta), path)
    return Start(str(path))


def edited(cfg, **fields):
    """`cfg` with fields replaced; "dit__depth" is one inside."""
    for name, value in fields.items():
        outer, _, inner = name.partition("__")
        value = dataclasses.replace(getattr(cfg, outer), **{inner: value}) if inner else value
        cfg = dataclasses.replace(cfg, **{outer: value})
    return cfg


def same(found, wanted, prefix="") -> None:
    """Bitwise equal below `prefix`, float32 and NumPy."""
    found, wanted = flatten(found), flatten(wanted)
    assert list(found) == list(wanted)
    for path, leaf in found.items():
        assert isinstance(leaf, np.ndarray)
        assert leaf.dtype == np.float32
        if path.startswith(prefix):
            assert leaf.tobytes() == wanted[path].tobytes(), path


# --- whole policies ------------------------------------------------------------------------------


def test_from_nothing():
    started = starting_params(Start(), TEST, seed=3)
    same(started.params, random(seed=3))
    assert started.provenance == {"source": "random parameters, seed 3"}
    assert started.games is None
    assert started.notices == []


def test_what_is_random_is_what_the_network_starts_with():
    cfg = edited(TEST, games=3, vision__depth=1, dit__depth=1)
    wanted = flatten(jax.jit(policy.init, static_argnums=0)(cfg, jax.random.key(3)))
    some = ["action_decoder/layer1/kernel", "dit/out/kernel", "game_embedding", "mixer/blocks_0"]
    some = [path for path in wanted if path.startswith(tuple(some))]
    assert len(some) > 10
    found = random_params(cfg, 3, some)
    assert list(found) == some
    for path in some:
        assert isinstance(found[path], np.ndarray)
        np.testing.assert_allclose(found[path], wanted[path], atol=1e-7)
    assert random_params(cfg, 3, []) == {}


@pytest.mark.parametrize("name", ["ng.pt", "orbax", "x.safetensors"])
def test_from_the_originals_file_and_its_conversions(name, tmp_path):
    path = GOLDEN / "tiny" / "ng.pt"
    if name != "ng.pt":
        checkpoint.save(provenance.stamped(golden(), path), tmp_path / name)
        path = tmp_path / name
    started = starting_params(Start(str(path)), golden().meta.config)
    same(started.params, golden().params)
    assert started.notices == []
    assert started.provenance["source"] == name
    assert started.provenance["sha256"] == provenance.sha256(path)
    assert started.provenance["step"] == golden().meta.step
    assert json.loads(json.dumps(started.provenance)) == started.provenance
    if name != "ng.pt":
        assert started.provenance["from"]["source"] == "ng.pt"


def test_from_a_folder_of_a_run(tmp_path):
    folder = tmp_path / "mine" / "checkpoints"
    folder.mkdir(parents=True)
    saved(folder / "500", random(seed=4), Meta(TEST, step=500))
    steps.seal(folder / "500")
    started = starting_params(Start(str(folder / "500")), TEST)
    same(started.params, random(seed=4))
    assert started.provenance["source"] == "mine/checkpoints/500"
    assert started.provenance["step"] == 500
    same(starting_params(Start(str(tmp_path / "mine")), TEST).params, random(seed=4))


def test_where_files_do_not_say_the_sizes_of_the_tower(tmp_path):
    shutil.copy(GOLDEN / "tiny" / "ng.pt", tmp_path)
    cfg, path = golden().meta.config, str(tmp_path / "ng.pt")
    with pytest.raises(NitrogenError, match="give the tower's sizes with --vision"):
        starting_params(Start(path), cfg)
    sizes = str(GOLDEN / "tiny" / "vision.json")
    same(starting_params(Start(path, sizes=sizes), cfg).params, golden().params)


# --- parts ---------------------------------------------------------------------------------------


def tower_start(kind: str, folder: Path) -> Start:
    """The tower of random(seed=5) alone, as converted or as Hugging Face lays it out."""
    tower = Checkpoint(random(seed=5)["vision"], Meta(TEST.vision, provenance={"source": "hub"}))
    if kind != "published":
        checkpoint.save(tower, folder / kind)
        return Start(vision=str(folder / kind))
    tensors = original.to_tensors(tower)
    renamed = {f"vision_model.{name}": array for name, array in tensors.items()}
    renamed["text_model.final_layer_norm.weight"] = np.zeros(3, np.float32)
    safetensors_numpy.save_file(renamed, folder / "model.safetensors")
    sizes = {"model_type": "siglip", "vision_config": tower_sizes.to_json(TEST.vision)}
    (folder / "config.json").write_text(json.dumps(sizes))
    return Start(vision=str(folder))


@pytest.mark.parametrize("kind", ["published", "orbax", "x.safetensors"])
def test_from_a_tower_alone(kind, tmp_path):
    started = starting_params(tower_start(kind, tmp_path), TEST)
    same(started.params, {**random(), "vision": random(seed=5)["vision"]})
    assert set(started.provenance) == {"vision", "random"}
    assert "sha256" in started.provenance["vision"]
    rest = sum(leaf.size for path, leaf in flatten(random()).items() if "vision/" not in path)
    assert started.notices == [
        f"random: {rest:,} parameters, seed 0, all or part of action_decoder, action_encoder, dit, "
        "mixer, position_embedding"
    ]


def test_of_a_policy_its_tower_alone(donor):
    started = starting_params(Start(vision=donor), edited(TEST, dit__depth=1, horizon=4))
    wanted = random(edited(TEST, dit__depth=1, horizon=4))
    same(started.params, {**wanted, "vision": random(seed=9)["vision"]})
    assert started.provenance["vision"]["step"] == 40
    assert len(started.notices) == 1  # of the horizon nothing is said: it is no part of a tower


def test_a_tower_wins_over_that_of_the_policy(donor, tmp_path):
    start = dataclasses.replace(tower_start("orbax", tmp_path), checkpoint=donor)
    started = starting_params(start, TEST)
    same(started.params, {**random(seed=9), "vision": random(seed=5)["vision"]})
    assert started.provenance["source"] == "donor.safetensors"
    assert started.provenance["vision"]["source"] == "orbax"
    assert "random" not in started.provenance


def test_only_what_is_named(donor):
    cfg = edited(TEST, dit__depth=1)
    started = starting_params(Start(donor, only=("mixer/.*", "action_(en|de)coder/.*")), cfg, 2)
    taken = {name: random(seed=9)[name] for name in ("mixer", "action_encoder", "action_decoder")}
    same(started.params, {**random(cfg, 2), **taken})
    assert "dit, position_embedding, vision" in started.notices[-1]


def test_what_is_not_taken_may_differ(donor):
    fields = {"timestep_buckets": 100, "action_dim": 12, "layout": "sticks_first", "games": 2}
    cfg = edited(TEST, dit__interleave=False, max_positions=32, **fields)
    started = starting_params(Start(donor, only=("(mixer|vision)/.*",)), cfg)
    taken = {name: random(seed=9)[name] for name in ("mixer", "vision")}
    same(started.params, {**random(cfg), **taken})
    assert len(started.notices) == 1
    started = starting_params(Start(donor, only=("dit/.*",)), edited(TEST, max_positions=32))
    same({"dit": started.params["dit"]}, {"dit": random(seed=9)["dit"]})


# --- what does not fit ---------------------------------------------------------------------------


def refusal(start: Start, cfg) -> str:
    with pytest.raises(NitrogenError) as caught:
        starting_params(start, cfg)
    return str(caught.value)


def test_all_differences_are_in_one_error(donor):
    text = refusal(Start(donor), edited(TEST, dit__depth=1, vision__mlp=48, max_positions=32))
    assert text.startswith(f"{donor} is of another architecture than the config: ")
    for part in ("dit.depth 2 there, 1 here", "vision.mlp 64 there, 48 here"):
        assert part in text
    assert "max_positions 64 there, 32 here" in text
    lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    kinds = {line.partition(":")[0] for line in lines}
    assert kinds == {"extra", "mis-shaped"}
    assert "mis-shaped: vision/layers_1/mlp/fc1/kernel is (32, 64), needed (32, 48)" in lines
    assert "mis-shaped: position_embedding is (64, 32), needed (32, 32)" in lines
    assert sum(line.startswith("extra: dit/blocks_1/") for line in lines) == 14
    assert len(lines) == 14 + 2 * 3 + 3 + 1
    text = refusal(Start(donor), edited(TEST, dit__depth=3))
    assert text.count("missing: dit/blocks_2/") == 14


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        # parameters of the same shapes that would mean something else
        (
            {"mixer__heads": 4, "mixer__head_dim": 8},
            "mixer.heads 2 there, 4 here; mixer.head_dim 16 there",
        ),
        ({"dit__interleave": False}, "dit.interleave True there, False here"),
        ({"dit__activation": "gelu"}, "dit.activation gelu-approximate there, gelu here"),
        ({"vision__eps": 1e-5}, "vision.eps 1e-06 there, 1e-05 here"),
        ({"timestep_buckets": 100}, "timestep_buckets 1000 there, 100 here"),
        ({"position_embedding": False}, "position_embedding True there, False here"),
    ],
)
def test_another_architecture(fields, said, donor):
    assert said in refusal(Start(donor), edited(TEST, **fields))


@pytest.mark.parametrize(
    ("size", "patch", "tokens", "said"),
    [(48, 16, 9, "48 x 48 in patches of 16"), (16, 8, 4, "16 x 16 in patches of 8")],
)
@pytest.mark.parametrize("key", ["checkpoint", "vision"])
def test_a_tower_of_another_resolution(key, size, patch, tokens, said, donor):
    cfg = edited(TEST, vision__image_size=size, vision__patch_size=patch, context_length=tokens)
    text = refusal(Start(**{key: donor}), cfg)
    assert f"looks at 32 x 32 pixels in patches of 16 and the config's at {said}" in text
    assert "embeddings do not carry over to another resolution" in text


def test_pixels_beyond_the_last_whole_patch_do_not_count(donor):
    same(starting_params(Start(donor), edited(TEST, vision__image_size=36)).params, random(seed=9))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (Start(only=("vision/.*",)), "start.only names .* start.checkpoint is not given"),
        (Start("DONOR", only=("vison/.*",)), r"start.only: the pattern 'vison/\.\*' matches no"),
        (Start("DONOR", only=("(",)), "is no regular expression"),
        (Start("TOWER"), "is a vision tower alone: name it in start.vision"),
        (Start("nowhere"), "checkpoint nowhere does not exist"),
        (Start(vision="nowhere"), "checkpoint nowhere does not exist"),
    ],
)
def test_what_is_refused(start, message, donor, tmp_path):
    places = {"DONOR": donor, "TOWER": tower_start("orbax", tmp_path).vision}
    start = dataclasses.replace(start, checkpoint=places.get(start.checkpoint, start.checkpoint))
    with pytest.raises(NitrogenError, match=message):
        starting_params(start, TEST)


# --- what may differ -----------------------------------------------------------------------------


def test_what_can_be_trained_towards_is_noticed(donor):
    fields = {
        "action_shift": 3,
        "frames": 2,
        "frame_spacing": 6,
        "context_length": 8,
        "euler_steps": 4,
        "time_alpha": 1.0,
        "time_beta": 1.0,
        "time_scale": 1.0,
        "mixer__dropout": 0.0,
        "dit__final_dropout": False,
    }
    started = starting_params(Start(donor), edited(TEST, **fields))
    same(started.params, random(seed=9))
    assert len(started.notices) == len(fields)
    for name, value in fields.items():
        name = name.replace("__", ".")
        assert any(f" {name} " in n and n.endswith(f", {value} here") for n in started.notices)


def test_a_longer_chunk_needs_no_parameters(donor):
    started = starting_params(Start(donor), edited(TEST, horizon=20))
    same(started.params, random(seed=9))
    assert started.notices == [
        f"{donor}: horizon 18 there, 20 here",
        f"{donor}: rows 18-19 of position_embedding were not trained",
    ]
    assert len(starting_params(Start(donor), edited(TEST, horizon=8)).notices) == 1


@pytest.mark.parametrize("there", gamepad.LAYOUTS)
def test_another_layout_is_converted(there, tmp_path):
    (here,) = set(gamepad.LAYOUTS) - {there}
    old, new = edited(TEST, layout=there), edited(TEST, layout=here)
    start = saved(tmp_path / "x.safetensors", random(seed=9), Meta(old))
    started = starting_params(start, new)
    assert started.notices == [f"{start.checkpoint}: layout {there} there, {here} here: converted"]
    rng = np.random.default_rng(0)
    context = rng.normal(size=(2, 4, 32)).astype(np.float32)
    x, t = rng.normal(size=(2, 18, 25)).astype(np.float32), jnp.array([0.3, 0.8])
    wanted = policy.velocity(old, random(seed=9), context, x, t, compute=FLOAT32)
    moved = gamepad.convert_layout(x, there, here)
    found = policy.velocity(new, started.params, context, moved, t, compute=FLOAT32)
    moved = gamepad.convert_layout(np.asarray(wanted), there, here)
    np.testing.assert_allclose(found, moved, atol=1e-6)
    assert not np.allclose(found, wanted, atol=1e-3)


def test_a_layout_that_only_a_gamepad_has(tmp_path):
    old = edited(TEST, action_dim=12)
    start = saved(tmp_path / "x.safetensors", random(old), Meta(old))
    text = refusal(start, edited(old, layout="sticks_first"))
    assert "layout buttons_first there, sticks_first here, which only a gamepad's 25" in text


# --- games ---------------------------------------------------------------------------------------


def with_games(rows):
    return edited(golden("frames_games").meta.config, games=rows)


GAMES = Start(str(GOLDEN / "frames_games" / "ng.pt"))


def test_the_table_of_games_goes_on():
    started = starting_params(GAMES, with_games(3))
    same(started.params, golden("frames_games").params)
    assert started.games == {"None": 0, "game_a": 1, "game_b": 2}
    assert started.notices == []


def test_known_games_are_copied_by_name():
    games = {"none at all": 0, "game_c": 1, "game_b": 2, "game_d": 3, "game_a": 4}
    started = starting_params(GAMES, with_games(6), games=games)
    assert started.games == games
    old = golden("frames_games").params["game_embedding"]
    table = started.params["game_embedding"]
    assert table.shape == (6, old.shape[1])
    np.testing.assert_array_equal(table[[0, 2, 4]], old[[0, 2, 1]])
    for row in (1, 3, 5):
        assert 0.02 < table[row].std() < 0.5
    assert started.notices[0].endswith("games that are new to it start random: game_c, game_d")
    assert started.notices[1].startswith(f"random: {3 * old.shape[1]} parameters")
    np.testing.assert_array_equal(old, golden("frames_games").params["game_embedding"])


def test_games_that_are_left_behind_are_named():
    started = starting_params(GAMES, with_games(2), games={"game_b": 1})
    old = golden("frames_games").params["game_embedding"]
    np.testing.assert_array_equal(started.params["game_embedding"], old[[0, 2]])
    assert started.notices[0].endswith("games that are left behind: game_a")


def test_more_rows_than_there_were():
    started = starting_params(GAMES, with_games(5))
    old = golden("frames_games").params["game_embedding"]
    np.testing.assert_array_equal(started.params["game_embedding"][:3], old)
    assert started.games == {"None": 0, "game_a": 1, "game_b": 2}
    assert started.notices[0].endswith("2 rows of game_embedding are new and random")


def test_games_are_added_to_a_policy_without(donor):
    started = starting_params(Start(donor), edited(TEST, games=3), games={"a": 1, "b": 2})
    assert started.params["game_embedding"].shape == (3, 32)
    assert not started.params["game_embedding"][0].any()
    assert started.games == {"a": 1, "b": 2}
    rest = {name: part for name, part in started.params.items() if name != "game_embedding"}
    same(rest, random(seed=9))
    assert started.notices == ["random: 96 parameters, seed 0, all or part of game_embedding"]


def test_games_without_names_cannot_be_told_apart(tmp_path):
    loaded = golden("frames_games")
    start = saved(tmp_path / "x.safetensors", loaded.params, changed(loaded.meta, games=None))
    started = starting_params(start, with_games(3), games={"game_a": 1, "game_b": 2})
    table = started.params["game_embedding"]
    assert not np.allclose(table[1:], loaded.params["game_embedding"][1:])
    assert "it does not name its games" in started.notices[0]
    same(starting_params(start, with_games(3)).params, loaded.params)


@pytest.mark.parametrize(
    ("rows", "games", "message"),
    [
        (2, None, "a game embedding of 3 rows and the config one of 2: give the names"),
        (2, {"game_a": 2}, "the config: games names row 2, and there are 2 rows"),
        (None, {"game_a": 1}, "the config: games names row 1, and there are no game embedding"),
        (None, None, "games 3 there, None here\n  extra: game_embedding"),
    ],
)
def test_tables_of_games_that_do_not_fit(rows, games, message):
    with pytest.raises(NitrogenError, match=message):
        starting_params(GAMES, with_games(rows), games=games)


def test_a_game_embedding_can_be_left_out():
    start = dataclasses.replace(GAMES, only=("(?!game_embedding).*",))
    started = starting_params(start, with_games(None))
    wanted = dict(golden("frames_games").params)
    del wanted["game_embedding"]
    same(started.params, wanted)


# --- configuration -------------------------------------------------------------------------------


def test_a_start_in_a_configuration():
    start = Start("ng.pt", vision="tower", only=("mixer/.*",), sizes="test")
    read, notices = config.from_dict(Start, json.loads(json.dumps(config.to_dict(start))), "file")
    assert (read, notices) == (start, [])
    overrides = ["--checkpoint=ng.pt", "--vision=tower", "--only=('mixer/.*',)", "--sizes=test"]
    assert config.override(Start(), overrides) == start
