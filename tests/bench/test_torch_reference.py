"""The PyTorch reference against arrays of the original network, and goldens made from it."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nitrogen_jax.bench import torch_reference  # noqa: E402
from nitrogen_jax.errors import NitrogenError  # noqa: E402

DATA = Path(__file__).parents[1] / "data"
GOLDENS = ("tiny", "frames_games")
TOLERANCE = 1e-4

_spec = importlib.util.spec_from_file_location("make_golden", DATA / "make_golden.py")
make_golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_golden)


def array_errors(got: dict, wanted: dict) -> dict[str, float]:
    """Largest difference by name, relative to the array where that is larger than 1."""
    return {
        name: float(np.abs(got[name] - wanted[name]).max() / max(1.0, np.abs(wanted[name]).max()))
        for name in got
    }


def gradient_errors(got: dict, wanted: dict) -> dict[str, float]:
    """As the goldens' README measures them; key biases against a larger floor.

    Their gradient is zero in exact arithmetic, so both sides are nothing but rounding.
    """
    largest = max(wanted.values())

    def floor(name):
        return largest * (1e-4 if name.endswith(("k_proj.bias", "to_k.bias")) else 1e-6)

    return {k: abs(got[k] - wanted[k]) / max(wanted[k], floor(k)) for k in wanted}


def wrong(errors: dict[str, float]) -> dict[str, float]:
    # NOTE: written so that NaN counts as wrong.
    return {name: error for name, error in errors.items() if not error <= TOLERANCE}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with make_golden.one_thread():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every case of make_golden, written once: name -> folder."""
    root = tmp_path_factory.mktemp("goldens")
    return {
        name: make_golden.write_golden(root / name, **arguments)
        for name, arguments in make_golden.CASES.items()
    }


@pytest.fixture(scope="module")
def games_model():
    return make_golden.read_golden(DATA / "golden" / "frames_games")


# ---------------------------------------------------------------------------------------------
# Against the original


@pytest.mark.parametrize("name", GOLDENS)
def test_state_dict_is_the_originals(name):
    folder = DATA / "golden" / name
    model, _, norms = make_golden.read_golden(folder)
    original = torch.load(folder / "ng.pt", weights_only=True)["model"]
    ours = {key: value.shape for key, value in model.state_dict().items()}
    assert list(ours) == list(original) == list(norms)
    assert ours == {key: value.shape for key, value in original.items()}


@pytest.mark.parametrize("name", GOLDENS)
def test_every_array_of_the_original(name):
    model, arrays, _ = make_golden.read_golden(DATA / "golden" / name)
    got = make_golden.outputs(model, arrays, 2.0)
    inputs = set(make_golden.IN_THE_LOSS)
    assert set(got) == set(arrays) - inputs
    assert {k: v.shape for k, v in got.items()} == {k: arrays[k].shape for k in got}
    assert wrong(array_errors(got, arrays)) == {}


@pytest.mark.parametrize("name", GOLDENS)
def test_every_gradient_norm_of_the_original(name):
    model, arrays, norms = make_golden.read_golden(DATA / "golden" / name)
    got = make_golden.grad_norms(model, arrays)
    assert wrong(gradient_errors(got, norms)) == {}
    assert {k for k in got if got[k] == 0} == {k for k in norms if norms[k] == 0}
    assert {k for k in got if got[k] == 0} == {
        k for k in norms if k.startswith(torch_reference.FROZEN)
    }


def test_released_sizes():
    config = json.loads((DATA / "golden" / "tiny" / "ckpt_config.json").read_text())
    heads = {"num_attention_heads": 16, "attention_head_dim": 64}
    config["model_cfg"].update(hidden_size=1024, max_seq_len=1024, vision_hidden_size=1024)
    config["model_cfg"]["diffusion_model_cfg"].update(heads, num_layers=8, output_dim=1024)
    config["model_cfg"]["vl_self_attention_cfg"].update(heads, num_layers=4)
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
    vision |= {"num_attention_heads": 16, "image_size": 256, "patch_size": 16}
    with torch.device("meta"):
        model = torch_reference.build(config, vision)
    assert len(model.state_dict()) == 595
    assert sum(p.numel() for p in model.parameters()) == 493_631_513
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 468_440_089


# ---------------------------------------------------------------------------------------------
# What the two folders of the original do not reach


def test_context_is_padded_left_then_game_then_kept_frames(games_model):
    model = copy.copy(games_model[0])
    model.context_length = 40
    tokens = torch.randn(2, 2, 16, 32)
    context = model.context_in(tokens, [[True, False], [False, False]], torch.tensor([2, 0]))
    game = model.game_embedding.weight[2]
    wanted = torch.cat([torch.zeros(23, 32), game[None], tokens[0, 1]])
    torch.testing.assert_close(context[0], wanted, rtol=0, atol=0)
    # id 0 is row 0, a zero vector, which still takes its place
    wanted = torch.cat([torch.zeros(8, 32), tokens[1].flatten(0, 1)])
    torch.testing.assert_close(context[1], wanted, rtol=0, atol=0)


def test_game_token_without_ids_is_zero_even_where_row_0_is_not(games_model):
    model = copy.deepcopy(games_model[0])
    torch_reference.random_state(model, 3, zero_padding_row=False)
    tokens = torch.randn(1, 1, 16, 32)
    assert model.context_in(tokens, game_ids_B=torch.tensor([0]))[0, -17].abs().min() > 0
    assert model.context_in(tokens)[0, -17].abs().max() == 0


def test_a_context_that_is_too_long_is_refused(games_model):
    with pytest.raises(NitrogenError, match="49 tokens, where max_sequence_length is 33"):
        games_model[0].context_in(torch.zeros(1, 3, 16, 32))


def test_guidance_combines_the_full_and_the_newest_frame(games_model):
    model, arrays, _ = games_model
    images, noise = (torch.as_tensor(arrays[k]) for k in ("images", "noise"))
    newest = [[True, False]] * 2
    plain = model.sample(images, noise)
    torch.testing.assert_close(model.guided(images, noise, 0.0), plain)
    # v_c + (-1) (v_c - v_u) = v_u
    torch.testing.assert_close(
        model.guided(images, noise, -1.0), model.sample(images, noise, newest)
    )
    torch.testing.assert_close(
        model.guided(images, noise, 3.0, newest), model.sample(images, noise, newest)
    )
    assert (plain - model.sample(images, noise, newest)).abs().max() > 1e-3


def test_a_games_gradient_is_divided_by_its_count(made):
    model, arrays, norms = make_golden.read_golden(made["repeated_games"])
    assert arrays["game_ids"].tolist() == [3, 3, 0]
    make_golden.grad_norms(model, arrays)
    row = model.game_embedding.weight.grad
    assert [i for i in range(5) if row[i].abs().max() > 0] == [3]

    # the plain gradient of row 3, by way of the context
    given = {k: torch.as_tensor(v) for k, v in arrays.items()}
    context_in = model.context_in(
        model.encode(given["images"]), given["dropped"], given["game_ids"]
    ).detach()
    context_in.requires_grad_()
    x = torch_reference.noisy(given["noise"], given["train_actions"], given["train_t"])
    bucket = torch_reference.to_bucket(given["train_t"], 1000)
    error = model.velocity(model.mixer(context_in), x, bucket)
    error = (error - (given["train_actions"] - given["noise"]))[given["train_mask"]]
    error.square().mean().backward()
    tokens = [context_in.grad[0, -33], context_in.grad[1, -17]]
    torch.testing.assert_close(row[3], sum(tokens) / 2)
    assert norms["game_embedding.weight"] == pytest.approx(float(row[3].norm()), rel=1e-4)


def test_old_layout_has_the_sticks_first(made):
    _, arrays, _ = make_golden.read_golden(made["short_chunks"])
    sampled = arrays["sampled"]
    np.testing.assert_array_equal(arrays["buttons"], sampled[..., 4:] > 0.5)
    left = np.clip(2 * sampled[..., :2] - 1, -1, 1)
    np.testing.assert_allclose(arrays["j_left"], left, atol=1e-6)
    right = np.clip(2 * sampled[..., 2:4] - 1, -1, 1)
    np.testing.assert_allclose(arrays["j_right"], right, atol=1e-6)
    assert set(np.unique(arrays["train_actions"][..., 4:])) == {0.0, 1.0}
    assert not set(np.unique(arrays["train_actions"][..., :4])) & {0.0, 1.0}


def test_dropout_is_where_the_original_has_it_and_only_in_training(games_model):
    model, arrays, _ = copy.deepcopy(games_model)
    rates = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    blocks = len(model.model.transformer_blocks) + len(
        model.vl_self_attention_model.transformer_blocks
    )
    assert rates == [0.2] * (4 * blocks)
    context = torch.as_tensor(arrays["context_in"])
    assert torch.equal(model.mixer(context), model.mixer(context))
    model.train()
    assert not torch.equal(model.mixer(context), model.mixer(context))
    images = torch.as_tensor(arrays["images"])
    assert torch.equal(model.encode(images), model.encode(images))  # none in the tower


def test_bfloat16_runs_as_the_benchmark_does(games_model):
    model, arrays, _ = copy.deepcopy(games_model)
    images, noise = (torch.as_tensor(arrays[k]) for k in ("images", "noise"))
    games = torch.as_tensor(arrays["game_ids"])
    model.to(torch.bfloat16)
    assert model.encode(images).dtype == torch.bfloat16
    sampled = model.sample(images, noise, game_ids=games)
    assert sampled.dtype == torch.float32
    assert (sampled - torch.as_tensor(arrays["sampled"])).abs().max() < 0.01


# ---------------------------------------------------------------------------------------------
# Goldens that we make


@pytest.mark.parametrize("case", make_golden.CASES)
def test_made_goldens_have_the_layout_of_the_original(made, case):
    original = DATA / "golden" / "frames_games"
    assert {p.name for p in made[case].iterdir()} == {p.name for p in original.iterdir()}
    guidance = make_golden.CASES[case].get("guidance", 2.0)
    with np.load(made[case] / "io.npz") as ours, np.load(original / "io.npz") as theirs:
        names = {
            k if k != "guided_2" else f"guided_{guidance:g}": v.dtype for k, v in theirs.items()
        }
        assert {name: value.dtype for name, value in ours.items()} == names
        ranks = {k: v.ndim for k, v in theirs.items() if k != "guided_2"}
        assert {k: v.ndim for k, v in ours.items() if not k.startswith("guided")} == ranks
    ours, theirs = (_json(folder, "ckpt_config.json") for folder in (made[case], original))
    assert _keys(ours) == _keys(theirs)
    ours, theirs = (_json(folder, "vision.json") for folder in (made[case], original))
    assert list(ours) == list(theirs)
    assert list(ours["vision"]) == list(theirs["vision"])
    games = make_golden.CASES[case].get("num_games")
    assert (ours["games"] and list(ours["games"].values())) == (games and list(range(games)))
    checkpoint = torch.load(made[case] / "ng.pt", weights_only=True)
    assert list(checkpoint) == ["model", "step", "epoch", "ckpt_config"]
    assert checkpoint["ckpt_config"] == _json(made[case], "ckpt_config.json")
    assert {v.dtype for v in checkpoint["model"].values()} == {torch.float32}


def _json(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def _keys(tree) -> dict | None:
    """The names of a nested dictionary, without its values."""
    return {k: _keys(v) for k, v in tree.items()} if isinstance(tree, dict) else None


@pytest.mark.parametrize("case", make_golden.CASES)
def test_made_goldens_hold_in_float32(made, case):
    model, arrays, norms = make_golden.read_golden(made[case])
    guidance = make_golden.CASES[case].get("guidance", 2.0)
    assert wrong(array_errors(make_golden.outputs(model, arrays, guidance), arrays)) == {}
    got = make_golden.grad_norms(model, arrays)
    assert wrong(gradient_errors(got, norms)) == {}
    assert {k for k in got if got[k] == 0} == {k for k in norms if norms[k] == 0}


@pytest.mark.parametrize("case", make_golden.CASES)
def test_made_goldens_leave_no_weight_idle(made, case):
    """A parameter without influence could be imported wrongly and nobody would see it."""
    model, _, norms = make_golden.read_golden(made[case])
    idle = {k for k, norm in norms.items() if norm == 0}
    assert idle == {k for k in norms if k.startswith(torch_reference.FROZEN)}
    for name, value in model.state_dict().items():
        assert value.std() > 0.01, name
        assert value.flatten().unique().numel() > value.numel() / 2, name


def test_made_goldens_depend_on_the_seed_alone(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        make_golden.write_golden(tmp_path / name, seed=seed, vision={"num_hidden_layers": 2})
    a, b, c = (make_golden.read_golden(tmp_path / name)[1] for name in "abc")
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["sampled"], c["sampled"])


def test_masks_drop_rows_and_single_entries(made):
    mask = make_golden.read_golden(made["everything"])[1]["train_mask"]
    assert mask[0].all()
    assert mask[1].all(axis=-1).tolist() == mask[1].any(axis=-1).tolist()
    assert 0 < mask[1].mean() < 1
    assert (mask[2].any(axis=-1) & ~mask[2].all(axis=-1)).any()
