"""The tower against transformers', randomly initialised, module by module."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.models import siglip2
from nitrogen_jax.models.blocks import Attention, FeedForward, layer_norm
from nitrogen_jax.models.configs import FLOAT32, Compute, VisionConfig
from nitrogen_jax.weights import rules, tables

SIZES = [
    VisionConfig("square", image_size=64, patch_size=16, width=48, depth=3, heads=4, mlp=80),
    VisionConfig("uneven", image_size=50, patch_size=14, width=32, depth=2, heads=2, mlp=64),
]


@pytest.fixture(params=SIZES, ids=lambda cfg: cfg.name)
def pair(request):
    """(config, our parameters, transformers' module, frames uint8, the module's outputs)."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    cfg = request.param
    theirs = transformers.SiglipVisionModel(
        transformers.SiglipVisionConfig(
            hidden_size=cfg.width,
            intermediate_size=cfg.mlp,
            num_hidden_layers=cfg.depth,
            num_attention_heads=cfg.heads,
            image_size=cfg.image_size,
            patch_size=cfg.patch_size,
        )
    ).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.15)
    state = {k.removeprefix("vision_model."): v.numpy() for k, v in theirs.state_dict().items()}
    params = rules.to_ours(state, siglip2.shapes(cfg), tables.SIGLIP, "a random tower")
    size = cfg.image_size
    frames = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    pixels = torch.from_numpy((frames / 255 - 0.5) / 0.5).float().movedim(-1, 1)
    with torch.no_grad():
        outputs = theirs(pixel_values=pixels, output_hidden_states=True)
    return cfg, params, frames, outputs


def close(ours, theirs, tolerance=1e-4):
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), atol=tolerance, rtol=tolerance)


def test_tokens_and_pooled_output(pair):
    cfg, params, frames, outputs = pair
    close(siglip2.tokens(cfg, params, frames, compute=FLOAT32), outputs.last_hidden_state)
    close(siglip2.pooled(cfg, params, frames, compute=FLOAT32), outputs.pooler_output)


def test_embeddings_and_every_layer(pair):
    cfg, params, frames, outputs = pair
    embed = siglip2.PatchEmbedding(cfg, FLOAT32)
    x = embed.apply({"params": params["patch_embedding"]}, siglip2.normalise(jnp.asarray(frames)))
    x = x + params["position_embedding"]
    close(x, outputs.hidden_states[0])
    for index in range(cfg.depth):
        layer = siglip2.EncoderLayer(cfg, FLOAT32)
        start = jnp.asarray(outputs.hidden_states[index].numpy())
        found = layer.apply({"params": params[f"layers_{index}"]}, start)
        close(found, outputs.hidden_states[index + 1])


def test_pieces_of_a_layer_against_torch():
    torch = pytest.importorskip("torch")
    keys = jax.random.split(jax.random.key(0), 6)
    x = jax.random.normal(keys[0], (2, 7, 24))
    attention = Attention(3, 8, FLOAT32)
    weights = attention.init(keys[1], x)["params"]
    weights = jax.tree.map(lambda w: w + 0.1 * jax.random.normal(keys[2], w.shape), weights)
    reference = torch.nn.MultiheadAttention(24, 3, batch_first=True)
    fused = jnp.concatenate([weights[n]["kernel"].T for n in "qkv"])
    bias = jnp.concatenate([weights[n]["bias"] for n in "qkv"])
    to = lambda a: torch.from_numpy(np.array(a))  # noqa: E731
    reference.load_state_dict(
        {
            "in_proj_weight": to(fused),
            "in_proj_bias": to(bias),
            "out_proj.weight": to(weights["out"]["kernel"].T),
            "out_proj.bias": to(weights["out"]["bias"]),
        }
    )
    with torch.no_grad():
        close(attention.apply({"params": weights}, x), reference(to(x), to(x), to(x))[0])
        norm = layer_norm(FLOAT32, 1e-5, affine=False)
        wide = 100 + 3 * x  # a large mean costs digits where the variance is E[x^2] - E[x]^2
        close(norm.apply({}, wide), torch.nn.functional.layer_norm(to(wide), (24,)))


@pytest.mark.parametrize(("name", "approximate"), [("gelu-approximate", "tanh"), ("gelu", "none")])
def test_feed_forward_against_torch(name, approximate):
    torch = pytest.importorskip("torch")
    x = 2 * jax.random.normal(jax.random.key(0), (3, 5, 8))
    mlp = FeedForward(16, 8, FLOAT32, name)
    weights = mlp.init(jax.random.key(1), x)["params"]
    to = lambda a: torch.from_numpy(np.array(a))  # noqa: E731
    hidden = to(x) @ to(weights["fc1"]["kernel"]) + to(weights["fc1"]["bias"])
    hidden = torch.nn.functional.gelu(hidden, approximate=approximate)
    wanted = hidden @ to(weights["fc2"]["kernel"]) + to(weights["fc2"]["bias"])
    close(mlp.apply({"params": weights}, x), wanted, 1e-5)


def test_pixels_beyond_the_last_patch_are_not_looked_at():
    cfg = SIZES[1]
    params = jax.jit(lambda key: siglip2.init(cfg, key))(jax.random.key(0))
    frames = np.random.default_rng(0).integers(0, 256, (1, 50, 50, 3), dtype=np.uint8)
    changed = frames.copy()
    changed[:, 42:] = 0  # 3 whole patches of 14 are 42 pixels
    changed[:, :, 42:] = 255
    tokens = [siglip2.tokens(cfg, params, f, compute=Compute()) for f in (frames, changed)]
    np.testing.assert_array_equal(*tokens)
