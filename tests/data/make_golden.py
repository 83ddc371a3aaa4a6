"""Makes more golden folders: the layout of `golden/`, random weights, any shapes. Needs PyTorch.

    python tests/data/make_golden.py FOLDER --case everything

Tests call `write_golden`. The arrays come from `nitrogen_jax.bench.torch_reference`, which
tests/bench/test_torch_reference.py holds against the folders that the original network made. It
runs in float64, so that a golden's own rounding is no part of a comparison with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nitrogen_jax.files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor

    from nitrogen_jax.bench.torch_reference import NitroGenReference

GOLDEN = Path(__file__).parent / "golden"
IN_THE_LOSS = ("images", "train_actions", "noise", "train_t", "train_mask", "dropped", "game_ids")

# Keyword arguments of `write_golden`. Nothing here but `other_switches` leaves what the original's
# documentation covers.
CASES: dict[str, dict[str, Any]] = {
    "three_frames": {
        "frames": 3,
        "dropped": [[0, 1, 0], [1, 1, 0], [0, 0, 0]],
        "ckpt_config": {"tokenizer_cfg": {"max_sequence_length": 53}},
    },
    "repeated_games": {
        "frames": 2,
        "dropped": [[0, 0], [1, 0], [0, 0]],
        "num_games": 5,
        "game_ids": [3, 3, 0],
    },
    "wide_tower": {
        "vision": {
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_attention_heads": 3,
            "image_size": 48,
            "patch_size": 8,
        },
        "ckpt_config": {
            "model_cfg": {
                "diffusion_model_cfg": {
                    "num_attention_heads": 4,
                    "attention_head_dim": 6,
                    "num_layers": 3,
                },
                "vl_self_attention_cfg": {"num_attention_heads": 6, "num_layers": 1},
            }
        },
    },
    "short_chunks": {
        "vision": {"num_hidden_layers": 3},
        "ckpt_config": {
            "model_cfg": {
                "action_horizon": 10,
                "num_inference_timesteps": 5,
                "num_timestep_buckets": 500,
                "max_seq_len": 12,
            },
            "tokenizer_cfg": {"old_layout": True},
        },
    },
    "other_switches": {
        "ckpt_config": {
            "model_cfg": {
                "add_pos_embed": False,
                "diffusion_model_cfg": {
                    "interleave_self_attention": False,
                    "activation_fn": "gelu",
                    "attention_bias": False,
                    "final_dropout": False,
                },
            }
        },
    },
    "everything": {
        "frames": 3,
        "dropped": [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
        "num_games": 4,
        "game_ids": [2, 0, 2],
        "guidance": 1.5,
        "vision": {
            "hidden_size": 24,
            "intermediate_size": 56,
            "num_hidden_layers": 13,
            "num_attention_heads": 3,
            "image_size": 50,
            "patch_size": 16,
        },
        "ckpt_config": {
            "model_cfg": {
                "action_horizon": 7,
                "num_inference_timesteps": 6,
                "max_seq_len": 32,
                "diffusion_model_cfg": {"attention_head_dim": 8, "num_layers": 5},
            },
            "tokenizer_cfg": {"old_layout": True, "max_sequence_length": 40},
        },
    },
}


def write_golden(
    folder: str | Path,
    *,
    ckpt_config: Mapping[str, Any] | None = None,
    vision: Mapping[str, int] | None = None,
    num_games: int | None = None,
    frames: int = 1,
    dropped: Sequence[Sequence[int]] | None = None,
    game_ids: Sequence[int] | None = None,
    batch: int = 3,
    seed: int = 0,
    guidance: float = 2.0,
    gain: float = 0.5,
    zero_padding_row: bool = True,
) -> Path:
    """Writes `folder` in the layout of the goldens and returns it. Same arguments, same arrays.

    Args:
        ckpt_config, vision: what differs from the golden `tiny`, nested like its files. What
            follows from something else (context length, widths of the parts) is filled in.
        num_games: rows of the game embedding, row 0 being no game; None: there is none.
        dropped: (batch, frames) of 0 and 1, 1 for a missing frame; nothing is missing by default.
        game_ids: (batch,) rows of the embedding; 1, 2, ... in turn by default.
        guidance: scale of the array `guided_<scale>`.
        gain: size of the random weights, as in `torch_reference.random_state`.
        zero_padding_row: row 0 of the game embedding is zero, as in trained checkpoints.
    """
    import torch

    from nitrogen_jax.bench import torch_reference

    vision = {**_base("vision.json")["vision"], **(vision or {})}
    config = _complete(ckpt_config or {}, vision, num_games, frames)
    model = torch_reference.build(config, vision, num_games)
    torch_reference.random_state(model, seed, gain=gain, zero_padding_row=zero_padding_row)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.double()
    if dropped is None:
        dropped = np.zeros((batch, frames))
    if game_ids is None:
        game_ids = [1 + i % (num_games - 1) if num_games else 0 for i in range(len(dropped))]
    arrays = _arrays_of(model, vision["image_size"], dropped, game_ids, seed, guidance)
    games = num_games and {"None": 0, **{f"game_{i}": i for i in range(1, num_games)}}

    with atomic_path(folder) as temporary:
        temporary.mkdir()
        checkpoint = {"model": weights, "step": 0, "epoch": 0, "ckpt_config": config}
        torch.save(checkpoint, temporary / "ng.pt")
        np.savez(temporary / "io.npz", **arrays)
        _write_json(temporary / "ckpt_config.json", config)
        _write_json(temporary / "vision.json", {"vision": vision, "games": games})
        _write_json(temporary / "grad_norms.json", grad_norms(model, arrays))
    return Path(folder)


def read_golden(
    folder: str | Path,
) -> tuple[NitroGenReference, dict[str, np.ndarray], dict[str, float]]:
    """The model with the weights of `folder` (strictly loaded), its arrays, its gradient norms."""
    import torch

    from nitrogen_jax.bench import torch_reference

    folder = Path(folder)
    checkpoint = torch.load(folder / "ng.pt", weights_only=True)
    sizes = json.loads((folder / "vision.json").read_text())
    games = sizes["games"] and len(sizes["games"])
    model = torch_reference.build(checkpoint["ckpt_config"], sizes["vision"], games)
    model.load_state_dict(checkpoint["model"], strict=True)
    with np.load(folder / "io.npz") as file:
        arrays = dict(file)
    return model, arrays, json.loads((folder / "grad_norms.json").read_text())


def outputs(
    model: NitroGenReference, inputs: Mapping[str, np.ndarray], guidance: float
) -> dict[str, np.ndarray]:
    """Every array of a golden that the network computes, from those that it is given."""
    import torch

    from nitrogen_jax.bench.torch_reference import noisy, to_bucket

    given = _tensors(model, inputs)
    images, noise, dropped, games = (given[k] for k in ("images", "noise", "dropped", "game_ids"))
    with one_thread(), torch.no_grad():
        tokens = model.encode(images)
        context_in = model.context_in(tokens, dropped, games)
        context = model.mixer(context_in)
        x = noisy(noise, given["train_actions"], given["train_t"])
        stages = model.denoise(context, x, to_bucket(given["train_t"], model.buckets))
        stages["blocks"] = torch.stack(stages["blocks"], dim=1)
        sampled = model.sample(images, noise, dropped, games)
        out = {
            "vision": tokens,
            "context_in": context_in,
            "context": context,
            **stages,
            "sampled": sampled,
            f"guided_{guidance:g}": model.guided(images, noise, guidance, dropped),
            **model.decode(sampled),
            "loss": model.loss(*(given[name] for name in IN_THE_LOSS)),
        }
    return {name: value.to(torch.float32).numpy() for name, value in out.items()}


def grad_norms(model: NitroGenReference, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Frobenius norm of the loss's gradient by parameter name; 0.0 for what is frozen or unused."""
    given = _tensors(model, inputs)
    model.zero_grad(set_to_none=True)
    with one_thread():
        model.loss(*(given[name] for name in IN_THE_LOSS)).backward()
    return {
        name: 0.0 if parameter.grad is None else float(parameter.grad.norm())
        for name, parameter in model.named_parameters()
    }


def _arrays_of(
    model: NitroGenReference,
    image_size: int,
    dropped: Sequence[Sequence[int]],
    game_ids: Sequence[int],
    seed: int,
    guidance: float,
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    dropped = np.asarray(dropped, bool)
    batch, frames = dropped.shape
    if len(game_ids) != batch:
        raise ValueError(f"game_ids has {len(game_ids)} entries, where dropped has {batch} rows")
    shape = (batch, model.horizon, model.action_dim)
    inputs = {
        "images": rng.integers(0, 256, (batch, frames, image_size, image_size, 3), np.uint8),
        "dropped": dropped,
        "game_ids": np.asarray(game_ids, np.int64),
        "train_actions": _actions(rng, shape, model.old_layout),
        "train_t": (0.999 * (1 - rng.beta(1.6, 0.8, batch))).astype(np.float32),
        "train_mask": _mask(rng, shape),
    }
    while True:
        inputs["noise"] = rng.standard_normal(shape, np.float32)
        arrays = {**inputs, **outputs(model, inputs, guidance)}
        sampled = arrays["sampled"]
        buttons = sampled[..., 4:] if model.old_layout else sampled[..., :-4]
        # NOTE: a button on the threshold would turn rounding into a whole unit of difference.
        if np.abs(buttons - 0.5).min() > 1e-4:
            return arrays


def _actions(rng: np.random.Generator, shape: tuple[int, int, int], old_layout: bool) -> np.ndarray:
    buttons = rng.integers(0, 2, (*shape[:-1], shape[-1] - 4)).astype(np.float32)
    sticks = rng.random((*shape[:-1], 4), np.float32)
    return np.concatenate([sticks, buttons] if old_layout else [buttons, sticks], axis=-1)


def _mask(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """In turn: everything counts, the last rows do not, single entries do not."""
    mask = np.ones(shape, bool)
    mask[1::3, -(shape[1] // 3 + 1) :] = False
    mask[2::3] = rng.random(mask[2::3].shape) < 0.7
    return mask


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For networks this small: on a busy machine threads that wait for each other take seconds."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tensors(model: NitroGenReference, inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    import torch

    dtype = next(model.parameters()).dtype
    tensors = {name: torch.as_tensor(inputs[name]) for name in IN_THE_LOSS}
    for name in ("noise", "train_actions"):  # train_t stays float32: its bucket depends on it
        tensors[name] = tensors[name].to(dtype)
    return tensors


def _complete(
    overrides: Mapping[str, Any], vision: Mapping[str, int], num_games: int | None, frames: int
) -> dict[str, Any]:
    """The golden `tiny`'s ckpt_config with the overrides and with what follows from them."""
    model = _merge(_base("ckpt_config.json"), overrides)["model_cfg"]
    dit, heads = model["diffusion_model_cfg"], model["vl_self_attention_cfg"]["num_attention_heads"]
    width = dit["num_attention_heads"] * dit["attention_head_dim"]
    tower_width, horizon = vision["hidden_size"], model["action_horizon"]
    tokens = (vision["image_size"] // vision["patch_size"]) ** 2
    implied = {
        "model_cfg": {
            "hidden_size": width,
            "vision_hidden_size": tower_width,
            "diffusion_model_cfg": {
                "output_dim": width,
                "cross_attention_dim": None if tower_width == width else tower_width,
            },
            "vl_self_attention_cfg": {"attention_head_dim": tower_width // heads},
        },
        "tokenizer_cfg": {
            "num_visual_tokens_per_frame": tokens,
            "max_sequence_length": frames * tokens + (1 if num_games else 0),
            "action_horizon": horizon,
        },
        "modality_cfg": {"frame_per_sample": frames, "action_per_chunk": horizon},
    }
    return _merge(_merge(_base("ckpt_config.json"), implied), overrides)


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merge(base[key], value) if isinstance(value, Mapping) else value
    return merged


def _base(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / "tiny" / name).read_text())


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where to write; replaced if it is there")
    parser.add_argument("--case", choices=CASES, default="everything", help="which shapes")
    parser.add_argument("--seed", type=int, default=0, help="of weights and inputs")
    arguments = parser.parse_args()
    write_golden(arguments.folder, seed=arguments.seed, **CASES[arguments.case])
