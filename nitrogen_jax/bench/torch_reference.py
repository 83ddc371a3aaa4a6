"""The network once more, in PyTorch: the other side of the parity tests and of the benchmark.

Written for comparison, so it follows the public checkpoint instead of this project's taste: the
`state_dict` has the released file's tensor names, shapes and order, and sampling repeats the
mixer and every cross-attention key and value at each Euler step, as the original does.

NOTE: with its layers (`torch_layers`) this is all of the package that imports PyTorch. Import it
inside a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nitrogen_jax.bench.torch_layers import ActionDecoder, ActionEncoder, DiT, Mixer, Tower
from nitrogen_jax.errors import NitrogenError

FROZEN = ("vision_encoder.encoder.layers.11.", "vision_encoder.head.")
STICK_VALUES = 4


class NitroGenReference(nn.Module):
    """The policy. Frames are uint8 (B, F, H, W, 3), actions (B, T, D), time buckets int (B,)."""

    def __init__(
        self, ckpt_config: Mapping[str, Any], vision: Mapping[str, int], games: int | None
    ):
        super().__init__()
        cfg, dit = ckpt_config["model_cfg"], ckpt_config["model_cfg"]["diffusion_model_cfg"]
        self.horizon, self.action_dim = cfg["action_horizon"], cfg["action_dim"]
        self.buckets, self.steps = cfg["num_timestep_buckets"], cfg["num_inference_timesteps"]
        self.context_length = ckpt_config["tokenizer_cfg"]["max_sequence_length"]
        self.old_layout = bool(ckpt_config["tokenizer_cfg"]["old_layout"])
        width, embodiments = cfg["hidden_size"], cfg["max_num_embodiments"]
        # NOTE: the order of these assignments is the order of the tensors in a checkpoint.
        self.vision_encoder = Tower(vision)
        self.model = DiT(dit)
        self.vl_self_attention_model = Mixer(cfg["vl_self_attention_cfg"])
        self.action_encoder = ActionEncoder(embodiments, cfg["action_dim"], width)
        self.action_decoder = ActionDecoder(embodiments, width, cfg["action_dim"])
        self.position_embedding = (
            nn.Embedding(cfg["max_seq_len"], width) if cfg["add_pos_embed"] else None
        )
        self.game_embedding = (
            nn.Embedding(games, vision["hidden_size"], padding_idx=0, scale_grad_by_freq=True)
            if games
            else None
        )

    def encode(self, images_BFHWC: Tensor) -> Tensor:
        """uint8 frames (B, F, H, W, 3) -> tokens (B, F, N, W)."""
        dtype = self.vision_encoder.post_layernorm.weight.dtype
        pixels = ((images_BFHWC.to(dtype) / 255 - 0.5) / 0.5).movedim(-1, 2)
        return self.vision_encoder(pixels.flatten(0, 1)).unflatten(0, images_BFHWC.shape[:2])

    def context_in(
        self,
        tokens_BFNW: Tensor,
        dropped_BF: Any | None = None,
        game_ids_B: Tensor | None = None,
    ) -> Tensor:
        """The context before the mixer (B, L, W): zeros, the game token, then the kept frames.

        Without `game_ids` a model of games has a vector of zeros where the token would be.
        """
        batch, frames, _, width = tokens_BFNW.shape
        dropped = torch.zeros(batch, frames) if dropped_BF is None else torch.as_tensor(dropped_BF)
        game_tokens = tokens_BFNW.new_zeros(batch, 0 if self.game_embedding is None else 1, width)
        if self.game_embedding is not None and game_ids_B is not None:
            game_tokens = self.game_embedding(game_ids_B)[:, None]
        rows = []
        for tokens, game, drops in zip(tokens_BFNW, game_tokens, dropped.tolist(), strict=True):
            kept = [frame for frame, drop in zip(tokens, drops, strict=True) if not drop]
            row = torch.cat([game, *kept])
            if len(row) > self.context_length:
                raise NitrogenError(
                    f"the context has {len(row)} tokens, "
                    f"where max_sequence_length is {self.context_length}"
                )
            rows.append(F.pad(row, (0, 0, self.context_length - len(row), 0)))
        return torch.stack(rows)

    def mixer(self, context_in_BLW: Tensor) -> Tensor:
        """The context after the mixer (B, L, W)."""
        return self.vl_self_attention_model(context_in_BLW)

    def denoise(self, context_BLW: Tensor, x_BTD: Tensor, bucket_B: Tensor) -> dict[str, Any]:
        """Every stage of the velocity: action_tokens, temb, blocks (a list), dit_out, velocity."""
        # NOTE: with bfloat16 weights the caller may keep its actions, and their sum, in float32.
        tokens = self.action_encoder(x_BTD.to(context_BLW.dtype), bucket_B)
        if self.position_embedding is not None:
            tokens = tokens + self.position_embedding.weight[: tokens.shape[1]]
        out = {"action_tokens": tokens, **self.model(tokens, context_BLW, bucket_B)}
        return {**out, "velocity": self.action_decoder(out["dit_out"])}

    def velocity(self, context_BLW: Tensor, x_BTD: Tensor, bucket_B: Tensor) -> Tensor:
        """The predicted velocity (B, T, D) at `x`, given the mixed context."""
        return self.denoise(context_BLW, x_BTD, bucket_B)["velocity"]

    def loss(
        self,
        images: Tensor,
        actions_BTD: Tensor,
        noise_BTD: Tensor,
        t_B: Tensor,
        mask_BTD: Tensor,
        dropped: Any | None = None,
        game_ids: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error of the velocity over the kept entries of `mask`; a scalar."""
        context = self.mixer(self.context_in(self.encode(images), dropped, game_ids))
        x = noisy(noise_BTD, actions_BTD, t_B)
        predicted = self.velocity(context, x, to_bucket(t_B, self.buckets))
        error = (predicted - (actions_BTD - noise_BTD)).square()
        return (error * mask_BTD).sum() / mask_BTD.sum()

    @torch.no_grad()
    def sample(
        self,
        images: Tensor,
        noise_BTD: Tensor,
        dropped: Any | None = None,
        game_ids: Tensor | None = None,
    ) -> Tensor:
        """Actions (B, T, D) from noise, by Euler steps that each mix the context anew."""
        context_in = self.context_in(self.encode(images), dropped, game_ids)
        return self._euler(noise_BTD, lambda x, b: self.velocity(self.mixer(context_in), x, b))

    @torch.no_grad()
    def guided(
        self, images: Tensor, noise_BTD: Tensor, scale: float, dropped: Any | None = None
    ) -> Tensor:
        """As `sample`, with v = v_c + scale (v_c - v_u); v_u sees the newest frame alone.

        Neither branch is told the game.
        """
        tokens = self.encode(images)
        all_but_newest = torch.ones(tokens.shape[:2], dtype=torch.bool)
        all_but_newest[:, -1] = False
        with_history = self.context_in(tokens, dropped)
        without_history = self.context_in(tokens, all_but_newest)

        def velocity(x: Tensor, bucket: Tensor) -> Tensor:
            conditional = self.velocity(self.mixer(with_history), x, bucket)
            unconditional = self.velocity(self.mixer(without_history), x, bucket)
            return conditional + scale * (conditional - unconditional)

        return self._euler(noise_BTD, velocity)

    def _euler(self, x: Tensor, velocity: Any) -> Tensor:
        for step in range(self.steps):
            bucket = int(step / self.steps * self.buckets)
            x = x + velocity(x, torch.full((len(x),), bucket, device=x.device)) / self.steps
        return x

    def decode(self, actions_BTD: Tensor) -> dict[str, Tensor]:
        """Packed actions -> buttons (B, T, D - 4), 0 or 1, and sticks (B, T, 2) in [-1, 1]."""
        split = STICK_VALUES if self.old_layout else actions_BTD.shape[-1] - STICK_VALUES
        first, second = actions_BTD[..., :split], actions_BTD[..., split:]
        sticks, buttons = (first, second) if self.old_layout else (second, first)
        sticks = (2 * sticks - 1).clamp(-1, 1)
        pressed = (buttons > 0.5).to(actions_BTD.dtype)
        return {"buttons": pressed, "j_left": sticks[..., :2], "j_right": sticks[..., 2:]}


def build(
    ckpt_config: Mapping[str, Any], vision: Mapping[str, int], num_games: int | None = None
) -> NitroGenReference:
    """The network of a checkpoint's `ckpt_config`, in evaluation mode, as the original freezes it.

    Args:
        ckpt_config: as in a released checkpoint (model_cfg, tokenizer_cfg, ...).
        vision: the tower's hidden_size, intermediate_size, num_hidden_layers,
            num_attention_heads, image_size and patch_size.
        num_games: rows of the game embedding, row 0 being no game; None where there is none.
    """
    model = NitroGenReference(ckpt_config, vision, num_games).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(FROZEN))
    return model


def eager_sampler(
    model: NitroGenReference, tensors: Mapping[str, np.ndarray], dtype: str
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(frames uint8, noise (B, T, D)) -> actions by `model` with these weights, on a GPU if any."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device, getattr(torch, dtype))

    def call(frames: np.ndarray, noise: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            pixels = torch.from_numpy(frames).to(device)
            return model.sample(pixels, torch.from_numpy(noise).to(device)).float().cpu().numpy()

    return call


@torch.no_grad()
def random_state(
    model: NitroGenReference, seed: int, *, gain: float = 0.5, zero_padding_row: bool = True
) -> NitroGenReference:
    """Fills every tensor (biases, norms and unused rows too) with small random numbers; in place.

    Args:
        gain: standard deviation of a layer's output for inputs of standard deviation 1. At 0.5 the
            released kind of network is well conditioned in float32.
        zero_padding_row: row 0 of the game embedding stays zero, as in a trained checkpoint.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            value = torch.randn(parameter.shape, generator=generator)
            if isinstance(module, nn.LayerNorm) and name == "weight":
                value = 1 + 0.1 * value
            elif name in ("b", "bias", "in_proj_bias"):
                value = 0.1 * value
            elif name == "probe" or isinstance(module, nn.Embedding):
                value = 0.2 * value
            else:
                inputs = parameter.shape[1:-1] if parameter.ndim == 3 else parameter.shape[1:]
                value = gain / math.sqrt(math.prod(inputs)) * value
            parameter.copy_(value)
    if model.game_embedding is not None and zero_padding_row:
        model.game_embedding.weight[0] = 0
    return model


def noisy(noise_BTD: Tensor, actions_BTD: Tensor, t_B: Tensor) -> Tensor:
    """The point x_t of the straight path from noise (t = 0) to the action (t = 1)."""
    t = t_B[:, None, None].to(noise_BTD.dtype)
    return (1 - t) * noise_BTD + t * actions_BTD


def to_bucket(t_B: Tensor, buckets: int) -> Tensor:
    """The integer that the network is told instead of t."""
    return (t_B * buckets).long()
