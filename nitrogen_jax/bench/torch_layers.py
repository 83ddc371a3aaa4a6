"""The layers of the PyTorch reference: tower, mixer, denoiser, and actions in and out.

`torch_reference` joins them. They are apart because a layer says how the released file names and
orders its tensors, and the whole says how the policy uses them.

NOTE: imports PyTorch. Only `torch_reference` may import this file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _attend(q_BTW: Tensor, k_BSW: Tensor, v_BSW: Tensor, heads: int) -> Tensor:
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q_BTW, k_BSW, v_BSW))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _angles(bucket_B: Tensor, count: int, divisor: int) -> Tensor:
    """bucket x frequency (B, count), frequencies falling from 1 to about 1e-4.

    Always in float32, as the original has them: at bucket 999 their rounding is part of the result.
    """
    index = torch.arange(count, dtype=torch.float32, device=bucket_B.device)
    return bucket_B[:, None].float() * torch.exp(-math.log(10_000) * index / divisor)


def _width(cfg: Mapping[str, Any]) -> int:
    return cfg["num_attention_heads"] * cfg["attention_head_dim"]


# ---------------------------------------------------------------------------------------------
# Vision tower


class TowerEmbeddings(nn.Module):
    def __init__(self, vision: Mapping[str, int]):
        super().__init__()
        width, patch = vision["hidden_size"], vision["patch_size"]
        tokens = (vision["image_size"] // patch) ** 2
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch)
        self.position_embedding = nn.Embedding(tokens, width)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        patches_BNW = self.patch_embedding(pixels_BCHW).flatten(2).transpose(1, 2)
        return patches_BNW + self.position_embedding.weight


class TowerAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = _attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads)
        return self.out_proj(y)


class TowerMLP(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class TowerLayer(nn.Module):
    def __init__(self, vision: Mapping[str, int]):
        super().__init__()
        width = vision["hidden_size"]
        self.layer_norm1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attn = TowerAttention(width, vision["num_attention_heads"])
        self.layer_norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = TowerMLP(width, vision["intermediate_size"])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class TowerHead(nn.Module):
    """One learned query over all tokens. In the file, and not used by the policy."""

    def __init__(self, vision: Mapping[str, int]):
        super().__init__()
        width = vision["hidden_size"]
        self.probe = nn.Parameter(torch.zeros(1, 1, width))
        self.attention = nn.MultiheadAttention(
            width, vision["num_attention_heads"], batch_first=True
        )
        self.layernorm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = TowerMLP(width, vision["intermediate_size"])

    def forward(self, tokens_BNW: Tensor) -> Tensor:
        probe = self.probe.expand(tokens_BNW.shape[0], -1, -1)
        x = self.attention(probe, tokens_BNW, tokens_BNW, need_weights=False)[0]
        return (x + self.mlp(self.layernorm(x)))[:, 0]


class Tower(nn.Module):
    """Normalised pixels (B, 3, H, W) -> tokens (B, N, W) after the last layer norm."""

    def __init__(self, vision: Mapping[str, int]):
        super().__init__()
        self.embeddings = TowerEmbeddings(vision)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(
            TowerLayer(vision) for _ in range(vision["num_hidden_layers"])
        )
        self.post_layernorm = nn.LayerNorm(vision["hidden_size"], eps=1e-6)
        self.head = TowerHead(vision)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        x = self.embeddings(pixels_BCHW)
        for layer in self.encoder.layers:
            x = layer(x)
        return self.post_layernorm(x)


# ---------------------------------------------------------------------------------------------
# Mixer and denoiser


class Attention(nn.Module):
    def __init__(self, cfg: Mapping[str, Any], context_width: int | None):
        super().__init__()
        self.heads = cfg["num_attention_heads"]
        width, bias = _width(cfg), cfg["attention_bias"]
        self.to_q = nn.Linear(width, width, bias=bias)
        self.to_k = nn.Linear(context_width or width, width, bias=bias)
        self.to_v = nn.Linear(context_width or width, width, bias=bias)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(cfg["dropout"]))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.to_out(
            _attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads)
        )


class GELUProjection(nn.Module):
    def __init__(self, width: int, hidden: int, approximate: str):
        super().__init__()
        self.proj = nn.Linear(width, hidden)
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.proj(x), approximate=self.approximate)


class FeedForward(nn.Module):
    def __init__(self, cfg: Mapping[str, Any]):
        super().__init__()
        width = _width(cfg)
        approximate = {"gelu-approximate": "tanh", "gelu": "none"}[cfg["activation_fn"]]
        layers = [
            GELUProjection(width, 4 * width, approximate),
            nn.Dropout(cfg["dropout"]),
            nn.Linear(4 * width, width),
        ]
        if cfg["final_dropout"]:
            layers.append(nn.Dropout(cfg["dropout"]))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class AdaptiveNorm(nn.Module):
    """norm(x) (1 + scale) + shift, with (scale, shift) from the timestep embedding."""

    def __init__(self, cfg: Mapping[str, Any]):
        super().__init__()
        width = _width(cfg)
        self.linear = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, cfg["norm_eps"], elementwise_affine=False)

    def forward(self, x: Tensor, temb_BW: Tensor) -> Tensor:
        scale, shift = self.linear(F.silu(temb_BW)).chunk(2, dim=-1)
        return self.norm(x) * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    """One attention and one feed-forward, each behind a norm and around a residual."""

    def __init__(self, cfg: Mapping[str, Any], *, adaptive: bool, context_width: int | None):
        super().__init__()
        width, eps = _width(cfg), cfg.get("norm_eps", 1e-5)
        affine = cfg.get("norm_elementwise_affine", True)
        self.adaptive = adaptive
        self.norm1 = AdaptiveNorm(cfg) if adaptive else nn.LayerNorm(width, eps, affine)
        self.attn1 = Attention(cfg, context_width)
        self.norm3 = nn.LayerNorm(width, eps, affine)
        self.ff = FeedForward(cfg)
        self.dropout = nn.Dropout(cfg["dropout"] if cfg["final_dropout"] else 0.0)

    def forward(self, x: Tensor, context: Tensor | None = None, temb: Tensor | None = None):
        y = self.norm1(x, temb) if self.adaptive else self.norm1(x)
        x = x + self.dropout(self.attn1(y, y if context is None else context))
        return x + self.ff(self.norm3(x))


class Mixer(nn.Module):
    def __init__(self, cfg: Mapping[str, Any]):
        super().__init__()
        self.transformer_blocks = nn.ModuleList(
            Block(cfg, adaptive=False, context_width=None) for _ in range(cfg["num_layers"])
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.transformer_blocks:
            x = block(x)
        return x


class TimestepEncoder(nn.Module):
    """Integer timestep (B,) -> (B, W), over 256 channels of cosines, then sines."""

    CHANNELS = 256

    def __init__(self, width: int):
        super().__init__()
        self.timestep_embedder = nn.Module()
        self.timestep_embedder.linear_1 = nn.Linear(self.CHANNELS, width)
        self.timestep_embedder.linear_2 = nn.Linear(width, width)

    def forward(self, bucket_B: Tensor) -> Tensor:
        layers, half = self.timestep_embedder, self.CHANNELS // 2
        angles = _angles(bucket_B, half, half - 1)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(layers.linear_1.weight.dtype)
        return layers.linear_2(F.silu(layers.linear_1(waves)))


class DiT(nn.Module):
    def __init__(self, cfg: Mapping[str, Any]):
        super().__init__()
        width = _width(cfg)
        self.is_cross = [
            index % 2 == 0 or not cfg["interleave_self_attention"]
            for index in range(cfg["num_layers"])
        ]
        self.timestep_encoder = TimestepEncoder(width)
        self.transformer_blocks = nn.ModuleList(
            Block(cfg, adaptive=True, context_width=cfg["cross_attention_dim"] if cross else None)
            for cross in self.is_cross
        )
        self.norm_out = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.proj_out_1 = nn.Linear(width, 2 * width)
        self.proj_out_2 = nn.Linear(width, cfg["output_dim"])

    def forward(self, x: Tensor, context: Tensor, bucket_B: Tensor) -> dict[str, Any]:
        temb = self.timestep_encoder(bucket_B)
        states = [x]
        for block, cross in zip(self.transformer_blocks, self.is_cross, strict=True):
            states.append(block(states[-1], context if cross else None, temb))
        # NOTE: shift before scale here, scale before shift in the blocks.
        shift, scale = self.proj_out_1(F.silu(temb)).chunk(2, dim=-1)
        x = self.norm_out(states[-1]) * (1 + scale[:, None]) + shift[:, None]
        return {"temb": temb, "blocks": states, "dit_out": self.proj_out_2(x)}


# ---------------------------------------------------------------------------------------------
# Actions in and out


class EmbodimentLinear(nn.Module):
    """A dense layer per embodiment, stored [embodiment, in, out]; only the first is ever used."""

    def __init__(self, embodiments: int, inputs: int, outputs: int):
        super().__init__()
        self.W = nn.Parameter(0.02 * torch.randn(embodiments, inputs, outputs))
        self.b = nn.Parameter(torch.zeros(embodiments, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W[0] + self.b[0]


class ActionEncoder(nn.Module):
    def __init__(self, embodiments: int, action_dim: int, width: int):
        super().__init__()
        self.W1 = EmbodimentLinear(embodiments, action_dim, width)
        self.W2 = EmbodimentLinear(embodiments, 2 * width, width)
        self.W3 = EmbodimentLinear(embodiments, width, width)

    def forward(self, action_BTD: Tensor, bucket_B: Tensor) -> Tensor:
        x = self.W1(action_BTD)
        half = x.shape[-1] // 2
        angles = _angles(bucket_B, half, half)
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1).to(x.dtype)
        waves = waves[:, None].expand(-1, x.shape[1], -1)
        return self.W3(F.silu(self.W2(torch.cat([x, waves], dim=-1))))


class ActionDecoder(nn.Module):
    def __init__(self, embodiments: int, width: int, action_dim: int):
        super().__init__()
        self.layer1 = EmbodimentLinear(embodiments, width, width)
        self.layer2 = EmbodimentLinear(embodiments, width, action_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(F.relu(self.layer1(x)))
