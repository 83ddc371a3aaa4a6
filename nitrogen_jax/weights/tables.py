"""Tables of rules: what the published checkpoints call our parameters. One table per model."""

from __future__ import annotations

from nitrogen_jax.weights.rules import CONV, DENSE, Rule, dense, nested, norm

# transformers' SiglipVisionTransformer, pooling head included
SIGLIP = [
    Rule("patch_embedding/kernel", "embeddings.patch_embedding.weight", CONV),
    Rule("patch_embedding/bias", "embeddings.patch_embedding.bias"),
    Rule("position_embedding", "embeddings.position_embedding.weight"),
    *norm(r"layers_(\d+)/norm([12])", r"encoder.layers.\1.layer_norm\2"),
    *dense(r"layers_(\d+)/attn/([qkv])", r"encoder.layers.\1.self_attn.\2_proj"),
    *dense(r"layers_(\d+)/attn/out", r"encoder.layers.\1.self_attn.out_proj"),
    *dense(r"layers_(\d+)/mlp/(fc[12])", r"encoder.layers.\1.mlp.\2"),
    *norm("post_norm", "post_layernorm"),
    Rule("head/probe", "head.probe"),
    Rule("head/in_kernel", "head.attention.in_proj_weight", DENSE),
    Rule("head/in_bias", "head.attention.in_proj_bias"),
    *dense("head/out", "head.attention.out_proj"),
    *norm("head/norm", "head.layernorm"),
    *dense(r"head/mlp/(fc[12])", r"head.mlp.\1"),
]

# one transformer block of the original, the same in mixer and denoiser
_BLOCK = [
    *dense(r"attn/([qkv])", r"attn1.to_\2"),
    *dense("attn/out", "attn1.to_out.0"),
    *dense("mlp/fc1", "ff.net.0.proj"),
    *dense("mlp/fc2", "ff.net.2"),
    *norm("norm2", "norm3"),
]

# the `model` entry of the original's checkpoint
NITROGEN = [
    *nested(SIGLIP, "vision/", "vision_encoder."),
    *nested(_BLOCK, r"mixer/blocks_(\d+)/", r"vl_self_attention_model.transformer_blocks.\1."),
    *norm(r"mixer/blocks_(\d+)/norm1", r"vl_self_attention_model.transformer_blocks.\1.norm1"),
    *nested(_BLOCK, r"dit/blocks_(\d+)/", r"model.transformer_blocks.\1."),
    *dense(r"dit/blocks_(\d+)/adaln", r"model.transformer_blocks.\1.norm1.linear"),
    *dense(r"dit/timestep/fc([12])", r"model.timestep_encoder.timestep_embedder.linear_\1"),
    *dense("dit/out_modulation", "model.proj_out_1"),
    *dense("dit/out", "model.proj_out_2"),
    *[
        Rule(rf"action_(encoder|decoder)/(W\d|layer\d)/{ours}", rf"action_\1.\2.{foreign}")
        for ours, foreign in (("kernel", "W"), ("bias", "b"))
    ],
    Rule("position_embedding", "position_embedding.weight"),
    Rule("game_embedding", "game_embedding.weight"),
]
