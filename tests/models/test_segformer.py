"""SegFormer against transformers', randomly initialised, module by module; and what it promises."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import convolution, segformer
from nitrogen_jax.models.configs import FLOAT32, Compute
from nitrogen_jax.models.convolution import depthwise
from nitrogen_jax.models.mix_transformer import MixBlock, OverlappingPatches, drop_rates
from nitrogen_jax.models.segformer_config import PRESETS, SegformerConfig, segformer_preset
from nitrogen_jax.weights import rules, segformer_names

SMALL = segformer_preset("mit-test")
LIKE_B2 = dataclasses.replace(
    SMALL, name="like-b2", depths=(2, 3, 2, 1), widths=(16, 32, 40, 64), heads=(1, 2, 5, 8),
    decoder_width=48, outputs=5,
)  # fmt: skip
UNUSUAL = dataclasses.replace(
    SMALL, name="unusual", reductions=(4, 3, 1, 2), mlp_ratios=(2, 3, 4, 1), patches=(5, 3, 7, 3),
    strides=(2, 2, 3, 2), in_channels=5,
)  # fmt: skip


@pytest.fixture(scope="module", params=[SMALL, LIKE_B2, UNUSUAL], ids=lambda cfg: cfg.name)
def pair(request):
    """(config, our parameters, transformers' module), nowhere zero."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    cfg = request.param
    theirs = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            num_channels=cfg.in_channels,
            depths=list(cfg.depths),
            sr_ratios=list(cfg.reductions),
            hidden_sizes=list(cfg.widths),
            patch_sizes=list(cfg.patches),
            strides=list(cfg.strides),
            num_attention_heads=list(cfg.heads),
            mlp_ratios=list(cfg.mlp_ratios),
            decoder_hidden_size=cfg.decoder_width,
            num_labels=cfg.outputs,
        )
    ).eval()
    torch.manual_seed(0)
    norm = theirs.decode_head.batch_norm
    with torch.no_grad():
        for parameter in [*theirs.parameters(), norm.running_mean]:
            parameter.add_(0.1 * torch.randn(parameter.shape))
        norm.running_var.uniform_(0.3, 2)
    state = {k: v.numpy() for k, v in theirs.state_dict().items()}
    params = segformer_names.to_ours(state, cfg, "a random network")
    return cfg, params, theirs


def pictures(cfg, height, width):
    shape = (2, height, width, cfg.in_channels)
    return np.random.default_rng(height * width).normal(size=shape).astype(np.float32)


@cache
def program(method, cfg, compute):
    """A function of `segformer`, compiled once for each shape that it meets."""
    return jax.jit(partial(getattr(segformer, method), cfg, compute=compute))


def run(method, cfg, params, images, *key, compute=FLOAT32):
    return program(method, cfg, compute)(params, images, *key)


def random_params(cfg):
    """Of the right shapes and of useful sizes; compiling `init` takes longer than all the rest."""
    rng = np.random.default_rng(0)

    def leaf(path, like):
        fan_in = max(like.size // like.shape[-1], 1) if len(like.shape) > 1 else 25
        noise = rng.normal(0, fan_in**-0.5, like.shape).astype(np.float32)
        return 1 + noise if path[-1].key in ("scale", "var") else noise

    return jax.tree_util.tree_map_with_path(leaf, segformer.shapes(cfg))


def channels_last(tensor):
    return tensor.movedim(1, -1).numpy()


def close(ours, theirs, tolerance=1e-4):
    np.testing.assert_allclose(np.asarray(ours), theirs, atol=tolerance, rtol=tolerance)


def everything(cfg, params, images):
    """Maps, fused map and logits, and the first stage's patches and block: one program."""
    network = segformer.Segformer(cfg, FLOAT32)
    first = params["stages_0"]
    patches = OverlappingPatches(cfg, 0, FLOAT32).apply({"params": first["patches"]}, images)
    block = MixBlock(cfg, 0, 0.0, FLOAT32).apply({"params": first["blocks_0"]}, patches)
    maps = network.apply({"params": params}, images, method="features")
    fused = segformer.fused(cfg, params, images, compute=FLOAT32)
    logits = segformer.logits(cfg, params, images, compute=FLOAT32)
    return patches, block, maps, fused, logits


@pytest.mark.parametrize(
    ("height", "width"), [pytest.param(64, 96, marks=pytest.mark.long), (53, 70)]
)
def test_every_piece(pair, height, width):
    torch = pytest.importorskip("torch")
    cfg, params, theirs = pair
    if (height, width) == (64, 96) and cfg is not SMALL:
        height, width = 101, 47  # three networks, four sizes
    images = pictures(cfg, height, width)
    first, head = theirs.segformer.stages[0], theirs.decode_head
    seen = {}
    hooks = [
        module.register_forward_hook(partial(lambda name, *call: seen.update({name: call[-1]}), n))
        for n, module in (("patches", first.patch_embeddings), ("block", first.blocks[0]),
                          ("fused", head.activation))
    ]  # fmt: skip
    with torch.no_grad():
        pixels = torch.from_numpy(images).movedim(-1, 1)
        outputs = theirs(pixels, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    patches, block, maps, fused, logits = jax.jit(partial(everything, cfg))(params, images)
    assert [m.shape[1:3] for m in maps] == cfg.sides(height, width)
    close(patches.reshape(block.shape[0], -1, cfg.widths[0]), seen["patches"][0].numpy())
    close(block.reshape(block.shape[0], -1, cfg.widths[0]), seen["block"].numpy())
    for ours, stage in zip(maps, outputs.hidden_states, strict=True):
        close(ours, channels_last(stage))
    close(fused, channels_last(seen["fused"]))
    assert np.any(np.asarray(fused) > 0)
    close(logits, channels_last(outputs.logits))


@pytest.mark.parametrize("side", [3, 5])
def test_depthwise_is_a_grouped_convolution(side):
    x = jax.random.normal(jax.random.key(0), (2, 7, 9, 4))
    kernel = jax.random.normal(jax.random.key(1), (side, side, 1, 4))
    wanted = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=4, precision="highest",
    )  # fmt: skip
    close(depthwise(FLOAT32, x, kernel), np.asarray(wanted), 1e-5)


@pytest.mark.parametrize("side", [3, 5])
def test_gradients_of_depthwise_are_those_of_a_grouped_convolution(side):
    x = jax.random.normal(jax.random.key(0), (3, 7, 9, 4))
    kernel = jax.random.normal(jax.random.key(1), (side, side, 1, 4))

    def grouped(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4, precision="highest",
        )  # fmt: skip

    def gradients(convolution):
        return jax.grad(lambda *given: jnp.sin(convolution(*given)).sum(), (0, 1))(x, kernel)

    wanted = gradients(grouped)
    for found, right in zip(gradients(partial(depthwise, FLOAT32)), wanted, strict=True):
        close(found, np.asarray(right), 1e-4)
    # What accelerators sum up at once is what a CPU sums up picture after picture.
    grad = jax.random.normal(jax.random.key(2), x.shape)
    at_once, by_picture = (
        how(side, x, grad) for how in (convolution._taps, convolution._taps_by_picture)
    )
    close(at_once, np.asarray(by_picture), 1e-4)


@pytest.mark.parametrize(("side", "height", "width"), [(2, 8, 6), (4, 9, 11)])
def test_squares_that_share_no_pixel_are_a_convolution(side, height, width):
    x = jax.random.normal(jax.random.key(0), (2, height, width, 3))
    kernel = jax.random.normal(jax.random.key(1), (side, side, 3, 5))
    wanted = jax.lax.conv_general_dilated(
        x, kernel, (side, side), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )  # fmt: skip
    close(convolution.convolve(FLOAT32, x, kernel, stride=side), np.asarray(wanted), 1e-5)


@pytest.fixture(scope="module")
def small():
    """Config and random parameters."""
    return SMALL, random_params(SMALL)


@pytest.mark.parametrize(("name", "count"), [("mit-b0", 3_752_694), ("mit-b2", 27_461_974)])
def test_published_sizes(name, count):
    # Of transformers' networks with 150 classes, which do not count the stored statistics.
    cfg = segformer_preset(name)
    ours = sum(leaf.size for leaf in jax.tree.leaves(segformer.shapes(cfg)))
    assert ours == count + 2 * cfg.decoder_width


def test_statistics_are_stored_and_not_trained(small):
    cfg, params = small

    def loss(norm, maps):
        own = {**params["decoder"], "norm": norm}
        return jnp.sum(segformer.Decoder(cfg, Compute()).apply({"params": own}, maps) ** 2)

    maps = [jnp.ones((1, 2, 2, width)) for width in cfg.widths]
    norm = jax.jit(jax.grad(loss))(params["decoder"]["norm"], maps)
    assert not np.any(norm["mean"])
    assert not np.any(norm["var"])
    assert np.any(norm["scale"])


def test_a_layer_norm_looks_at_one_position(small):
    cfg, params = small
    cfg = dataclasses.replace(cfg, norm="layer").check()
    norm = {name: params["decoder"]["norm"][name] for name in ("scale", "bias")}
    assert set(segformer.shapes(cfg)["decoder"]["norm"]) == set(norm)
    decoder = segformer.Decoder(cfg, FLOAT32)
    apply = jax.jit(partial(decoder.apply, {"params": {**params["decoder"], "norm": norm}}))
    maps = [jax.random.normal(jax.random.key(0), (1, 2, 2, width)) for width in cfg.widths]
    fused = np.asarray(apply(maps))
    maps[0] = maps[0].at[0, 0, 0].add(1)
    changed = np.any(np.asarray(apply(maps)) != fused, axis=-1)
    assert changed[0].tolist() == [[True, False], [False, False]]


def test_an_encoder_alone(small):
    cfg, _ = small
    cfg = dataclasses.replace(cfg, decoder_width=0, outputs=0).check()
    params = segformer.shapes(cfg)
    assert set(params) == {f"stages_{i}" for i in range(4)}
    images = pictures(cfg, 40, 50)
    pooled = partial(segformer.pooled, cfg, compute=Compute())
    assert jax.eval_shape(pooled, params, images).shape == (2, 32)
    with pytest.raises(NitrogenError, match="encoder alone"):
        segformer.fused(cfg, params, images, compute=Compute())
    with pytest.raises(NitrogenError, match="0 outputs"):
        segformer.logits(cfg, params, images, compute=Compute())


def test_a_decoder_without_logits(small):
    cfg, _ = small
    cfg = dataclasses.replace(cfg, outputs=0).check()
    params = segformer.shapes(cfg)
    assert set(params["decoder"]) == {"fuse", "norm", *(f"project_{i}" for i in range(4))}
    fused = partial(segformer.fused, cfg, compute=Compute())
    assert jax.eval_shape(fused, params, pictures(cfg, 40, 50)).shape == (2, 10, 13, 16)


def test_an_example_does_not_see_its_neighbours(small):
    cfg, params = small
    images = pictures(cfg, 32, 48)
    both = run("logits", cfg, params, images)
    images[0] = 3
    again = run("logits", cfg, params, images)
    np.testing.assert_array_equal(both[1], again[1])
    assert np.any(np.asarray(both[0]) != np.asarray(again[0]))


def test_the_mean_of_the_last_map(small):
    cfg, params = small
    images = pictures(cfg, 32, 48)
    last = run("features", cfg, params, images)[-1]
    close(run("pooled", cfg, params, images), np.asarray(last).mean((1, 2)), 1e-5)


def test_bfloat16_and_rematerialisation(small):
    cfg, params = small
    images = pictures(cfg, 32, 48)
    exact = run("logits", cfg, params, images)
    rough = run("logits", cfg, params, images, compute=Compute(dtype="bfloat16"))
    assert rough.dtype == jnp.bfloat16
    spread = float(jnp.std(exact))
    assert float(jnp.abs(rough.astype(jnp.float32) - exact).mean()) < 0.05 * spread
    again = run("logits", cfg, params, images, compute=Compute(remat=True, precision="highest"))
    close(again, np.asarray(exact), 1e-5)


def test_paths_are_dropped_with_a_key_only(small):
    cfg, params = small
    dropping = dataclasses.replace(cfg, drop_path=0.9).check()
    assert drop_rates(dropping) == pytest.approx([0, 0.3, 0.6, 0.9])
    images = np.repeat(pictures(cfg, 32, 48)[:1], 8, 0)
    call = program("logits", dropping, FLOAT32)
    drawn, again, other = (np.asarray(call(params, images, jax.random.key(k))) for k in (0, 0, 1))
    assert len({example.tobytes() for example in drawn}) > 1  # each example draws for itself
    np.testing.assert_array_equal(drawn, again)
    assert np.any(drawn != other)
    plain = call(params, images[:2])
    close(plain, np.asarray(run("logits", cfg, params, images[:2])), 1e-6)


@pytest.mark.parametrize("cfg", [SMALL, UNUSUAL], ids=lambda cfg: cfg.name)
def test_the_smallest_picture(cfg):
    least = segformer.smallest_side(cfg)
    fits = [
        all(rows >= r for (rows, _), r in zip(cfg.sides(side, 999), cfg.reductions, strict=True))
        for side in (least - 1, least)
    ]
    assert fits == [False, True]
    params = segformer.shapes(cfg)
    logits = partial(segformer.logits, cfg, compute=Compute())
    rows, columns = cfg.sides(least, least)[0]
    found = jax.eval_shape(logits, params, pictures(cfg, least, least))
    assert found.shape == (2, rows, columns, cfg.outputs)
    with pytest.raises(NitrogenError, match=f"where {least} pixels are the least"):
        logits(params, pictures(cfg, least, least - 1))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((64, 64, 3), np.float32), "where (batch, height, width, 3) is needed"),
        (np.zeros((1, 64, 64, 4), np.float32), "where (batch, height, width, 3) is needed"),
        (np.zeros((1, 64, 64, 3), np.uint8), "where normalised floats are needed"),
    ],
)
def test_wrong_pictures(small, images, message):
    with pytest.raises(NitrogenError) as error:
        segformer.logits(*small, images, compute=Compute())
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": (8, 16)}, "differ in their stages"),
        ({"depths": ()}, "differ in their stages"),
        ({"depths": (1, 1, 0, 1)}, "where 1 is the least"),
        ({"depths": (1, 1, 10**9, 1)}, "more than 1000 blocks"),
        ({"heads": (3, 2, 3, 4)}, "a width of 8 is not a multiple of its 3 heads"),
        ({"patches": (4, 3, 3, 3)}, "odd numbers"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"outputs": -1}, "outputs is -1"),
        ({"decoder_width": 0}, "needs a decoder"),
        ({"norm": "group"}, "'group' is not one of 'batch', 'layer'"),
        ({"drop_path": 1.0}, "drop_path is 1.0"),
        ({"eps": -1.0}, "eps is -1.0"),
    ],
)
def test_sizes_that_do_not_fit(fields, message):
    with pytest.raises(NitrogenError) as error:
        dataclasses.replace(SMALL, **fields).check()
    assert message in str(error.value)


def test_names_of_presets():
    assert all(cfg.check().name == name for name, cfg in PRESETS.items())
    assert segformer_preset("mit-b0") == SegformerConfig()
    with pytest.raises(NitrogenError, match="'mit-b9' is not known: use one of mit-b0"):
        segformer_preset("mit-b9")


def test_rules_name_every_parameter(small):
    _, params = small
    for table in segformer_names.TABLES.values():
        placed = rules.place(list(rules.flatten(params)), table)
        assert len({leaf.foreign for leaf in placed}) == len(placed)
