"""Augmentation: each operation against its definition, the draws against their distributions."""

from __future__ import annotations

import colorsys
import dataclasses
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nitrogen_jax import config
from nitrogen_jax.data import augment as aug
from nitrogen_jax.data.augment import Augment, Draw, augment
from nitrogen_jax.errors import NitrogenError

ALL = Augment((0.4, 0.9), (0.7, 1.4), 0.8, 0.3, 0.4, 0.5, 0.1)
EACH = {
    "crop": Augment(crop_scale=(0.3, 0.8), crop_ratio=(0.5, 2.0)),
    "brightness": Augment(brightness=0.4),
    "contrast": Augment(contrast=0.4),
    "saturation": Augment(saturation=0.9),
    "hue": Augment(hue=0.3),
    "all": ALL,
}
COLOUR = ("brightness", "contrast", "saturation", "hue")
SHAPE = (4, 2, 12, 16, 3)

share = st.floats(0, 1, width=32)
colours = st.tuples(share, share, share)
each = pytest.mark.parametrize("cfg", EACH.values(), ids=EACH)

run = jax.jit(augment, static_argnums=0)
draw_many = jax.jit(
    lambda cfg, key, n: jax.vmap(partial(aug.draw, cfg))(aug.sample_keys(key, n)),
    static_argnums=(0, 2),
)
crop_resize = jax.jit(aug.crop_resize)
adjust_hue = jax.jit(aug.adjust_hue)


def frames(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def rgb(seed: int = 0, shape: tuple[int, ...] = SHAPE[2:]) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def pixel(*colour: float) -> np.ndarray:
    return np.array(colour, np.float32).reshape(1, 1, 3)


def gray_of(picture: np.ndarray) -> np.ndarray:
    return picture @ np.array([0.299, 0.587, 0.114])


# Off


@pytest.mark.parametrize(
    "cfg",
    [
        Augment(),
        Augment(crop_ratio=(0.5, 2.0)),
        Augment(crop_scale=(0.5, 1.0), crop_probability=0.0),
    ],
)
def test_off_is_the_array_itself_and_no_work(cfg):
    assert cfg.is_identity
    given_frames = jnp.asarray(frames())
    assert augment(cfg, jax.random.key(0), given_frames) is given_frames
    jaxpr = jax.make_jaxpr(partial(augment, cfg))(jax.random.key(0), given_frames)
    assert not jaxpr.eqns
    assert jaxpr.jaxpr.outvars == [jaxpr.jaxpr.invars[-1]]


@each
def test_on_changes_the_frames(cfg):
    assert not cfg.is_identity
    out = run(cfg, jax.random.key(0), frames())
    assert (np.asarray(out) != frames()).any(axis=(1, 2, 3, 4)).sum() >= 3


@given(
    scale=st.tuples(share, share).map(sorted).map(tuple),
    probability=share,
    colour=st.tuples(share, share, share, st.floats(0, 0.5)),
)
def test_is_identity_exactly_when_nothing_varies(scale, probability, colour):
    cfg = Augment(scale, (1.0, 1.0), probability, *colour)
    assert cfg.is_identity == ((scale == (1, 1) or probability == 0) and not any(colour))


# Configuration


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, "crop_scale is .*least <= most <= 1"),
        ({"crop_scale": (0.9, 0.8)}, "crop_scale is"),
        ({"crop_scale": (0.9, 1.1)}, "crop_scale is"),
        ({"crop_scale": (0.9,)}, r"crop_scale is .*a pair"),
        ({"crop_scale": 0.9}, r"crop_scale is .*a pair"),
        ({"crop_scale": (float("nan"), 1.0)}, "crop_scale is .*numbers of at least 0 are"),
        ({"crop_ratio": (1.1, 1.2)}, "crop_ratio is .*least <= 1 <= most"),
        ({"crop_ratio": (0.5, 0.9)}, "crop_ratio is"),
        ({"crop_ratio": (0.0, 1.0)}, "crop_ratio is"),
        ({"crop_ratio": (0.5, float("inf"))}, "crop_ratio is"),
        ({"crop_probability": 1.5}, "crop_probability is 1.5"),
        ({"crop_probability": -0.5}, "crop_probability is -0.5"),
        ({"brightness": -0.1}, "brightness is -0.1, where a number of at least 0 is needed"),
        ({"contrast": float("nan")}, "contrast is nan"),
        ({"saturation": float("inf")}, "saturation is inf"),
        ({"saturation": True}, "saturation is True"),
        ({"hue": 0.6}, "hue is 0.6, where at most 0.5"),
        ({"hue": "0.1"}, "hue is '0.1'"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    cfg = Augment(**fields)
    with pytest.raises(NitrogenError, match=message):
        cfg.check()
    with pytest.raises(NitrogenError, match=message):
        augment(cfg, jax.random.key(0), frames())


@pytest.mark.parametrize("cfg", [Augment(), ALL, Augment(brightness=2, hue=0.5), *EACH.values()])
def test_check_returns_the_configuration(cfg):
    assert cfg.check() is cfg


def test_configurations_go_through_plain_data_and_the_command_line():
    read, notices = config.from_dict(Augment, config.to_dict(ALL), "here")
    assert (read, notices) == (ALL, [])
    cfg = config.override(Augment(), ["--crop_scale=(0.8, 1)", "--hue=0.05"])
    assert cfg.check() == Augment(crop_scale=(0.8, 1.0), hue=0.05)


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 1, 8, 8, 4), (0, 1, 8, 8, 3), (2, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(NitrogenError, match="frames to augment have shape"):
        augment(ALL, jax.random.key(0), np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, bool])
def test_other_types_are_refused(dtype):
    with pytest.raises(NitrogenError, match=f"have type {np.dtype(dtype)}, where uint8"):
        augment(Augment(), jax.random.key(0), frames().astype(dtype))


# Crop


@pytest.mark.parametrize("shape", [(8, 8, 3), (7, 13, 3), (2, 5, 9, 3), (1, 1, 3)])
def test_the_box_of_the_whole_frame_changes_nothing(shape):
    picture = rgb(shape=shape)
    np.testing.assert_array_equal(crop_resize(picture, jnp.array([0.0, 0, 1, 1])), picture)


def test_crop_of_known_values():
    row = np.repeat(np.array([[0.0, 0.1, 0.2, 0.7]], np.float32)[..., None], 3, -1)
    # The right half: pixel centres at 1.75, 2.25, 2.75 and 3.25, which is past the last of 3.
    found = crop_resize(row, jnp.array([0.5, 0, 0.5, 1]))
    np.testing.assert_allclose(found[0, :, 0], [0.175, 0.325, 0.575, 0.7], atol=1e-6)
    found = crop_resize(row.swapaxes(0, 1), jnp.array([0, 0.5, 1, 0.5]))
    np.testing.assert_allclose(found[:, 0, 0], [0.175, 0.325, 0.575, 0.7], atol=1e-6)


@st.composite
def boxes(draw) -> tuple[float, float, float, float]:
    """x, y, width, height inside the unit square."""
    width, height = (draw(st.floats(1 / 64, 1, width=32)) for _ in range(2))
    x, y = (draw(share) * (1 - extent) for extent in (width, height))
    return x, y, width, height


@given(box=boxes())
def test_where_each_pixel_of_a_crop_comes_from(box):
    # Interpolation of a picture that holds its own coordinates gives the places it looked at.
    height, width = 9, 14
    picture = np.zeros((height, width, 3), np.float32)
    picture[..., 0] = np.arange(width)
    picture[..., 1] = np.arange(height)[:, None]
    picture[..., 2] = 1
    x, y, w, h = box
    found = np.asarray(crop_resize(picture, jnp.array(box)))
    across = np.clip(x * width + (np.arange(width) + 0.5) * w - 0.5, 0, width - 1)
    down = np.clip(y * height + (np.arange(height) + 0.5) * h - 0.5, 0, height - 1)
    np.testing.assert_allclose(found[..., 0], np.tile(across, (height, 1)), atol=2e-5)
    np.testing.assert_allclose(found[..., 1], np.tile(down[:, None], width), atol=2e-5)
    np.testing.assert_allclose(found[..., 2], 1, atol=1e-6)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("box", [(0.1, 0.2, 0.7, 0.5), (0.6, 0.0, 0.4, 1.0), (0, 0, 0.05, 0.05)])
def test_crop_is_the_bilinear_sampling_of_torch(box):
    import torch

    picture = rgb(3, (11, 17, 3))
    x, y, w, h = box
    across = 2 * (x + (np.arange(17) + 0.5) / 17 * w) - 1
    down = 2 * (y + (np.arange(11) + 0.5) / 11 * h) - 1
    grid = np.stack(np.meshgrid(across, down), -1)[None].astype(np.float32)
    wanted = torch.nn.functional.grid_sample(
        torch.tensor(picture).permute(2, 0, 1)[None],
        torch.tensor(grid),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )[0].permute(1, 2, 0)
    np.testing.assert_allclose(crop_resize(picture, jnp.array(box)), wanted.numpy(), atol=1e-5)


# Colour


@pytest.mark.parametrize(
    ("factor", "wanted"),
    [(0, (0, 0, 0)), (0.5, (0.1, 0.2, 0.4)), (1, (0.2, 0.4, 0.8)), (2, (0.4, 0.8, 1))],
)
def test_brightness_of_known_values(factor, wanted):
    found = aug.adjust_brightness(pixel(0.2, 0.4, 0.8), factor)
    np.testing.assert_allclose(found, pixel(*wanted), atol=1e-6)


def test_contrast_of_known_values():
    picture = np.concatenate([pixel(1, 0, 0), pixel(0.5, 0.5, 0.5)])
    mean = (0.299 + 0.5) / 2
    found = aug.adjust_contrast(picture, 0.5)
    wanted = [[0.5 + mean / 2, mean / 2, mean / 2], [0.25 + mean / 2] * 3]
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-6)
    np.testing.assert_allclose(aug.adjust_contrast(picture, 0), mean, atol=1e-6)
    np.testing.assert_array_equal(aug.adjust_contrast(picture, 1), picture)
    more = aug.adjust_contrast(picture, 3)
    np.testing.assert_allclose(more[:, 0], [[1, 0, 0], [1.5 - 2 * mean] * 3], atol=1e-6)


def test_contrast_keeps_the_mean_gray_where_nothing_is_clipped():
    picture = 0.4 + 0.2 * rgb()
    found = np.asarray(aug.adjust_contrast(picture, 1.7))
    assert gray_of(found).mean() == pytest.approx(gray_of(picture).mean(), abs=1e-5)
    assert gray_of(found).std() == pytest.approx(1.7 * gray_of(picture).std(), rel=1e-4)


def test_contrast_takes_each_frame_by_itself():
    picture = np.stack([rgb(0), rgb(1) / 4, np.zeros_like(rgb(0))])
    together = aug.adjust_contrast(picture, 0.3)
    for one, wanted in zip(picture, together, strict=True):
        np.testing.assert_allclose(aug.adjust_contrast(one, 0.3), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("factor", "wanted"),
    [(0, (0.587,) * 3), (0.5, (0.2935, 0.7935, 0.2935)), (1, (0, 1, 0)), (1.5, (0, 1, 0))],
)
def test_saturation_of_known_values(factor, wanted):
    found = aug.adjust_saturation(pixel(0, 1, 0), factor)
    np.testing.assert_allclose(found, pixel(*wanted), atol=1e-6)


@given(colour=colours, factor=share)
def test_less_saturation_keeps_the_gray_of_a_pixel(colour, factor):
    found = np.asarray(aug.adjust_saturation(pixel(*colour), factor))
    np.testing.assert_allclose(gray_of(found), gray_of(pixel(*colour)), atol=1e-5)


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        (0, (1, 0, 0)),
        (1 / 6, (1, 1, 0)),
        (1 / 3, (0, 1, 0)),
        (0.5, (0, 1, 1)),
        (-0.5, (0, 1, 1)),
        (-1 / 3, (0, 0, 1)),
        (-1 / 12, (1, 0, 0.5)),
    ],
)
def test_hue_turns_red_into(turns, wanted):
    np.testing.assert_allclose(adjust_hue(pixel(1, 0, 0), turns), pixel(*wanted), atol=1e-5)


@given(colour=colours, turns=st.floats(-0.5, 0.5, width=32))
def test_hue_is_that_of_colorsys(colour, turns):
    h, s, v = colorsys.rgb_to_hsv(*colour)
    wanted = colorsys.hsv_to_rgb((h + turns) % 1, s, v)
    np.testing.assert_allclose(adjust_hue(pixel(*colour), turns), pixel(*wanted), atol=2e-5)


@given(level=st.integers(0, 255), turns=st.floats(-0.5, 0.5), factor=st.floats(0, 3))
def test_gray_has_no_hue_and_no_saturation(level, turns, factor):
    gray = np.full((1, 1, 3), level / 255, np.float32)
    np.testing.assert_array_equal(adjust_hue(gray, turns), gray)
    np.testing.assert_allclose(aug.adjust_saturation(gray, factor), gray, atol=1e-6)


def test_hue_keeps_value_and_chroma_and_turns_add_up():
    picture = rgb(5, (32, 32, 3))
    once = np.asarray(adjust_hue(picture, 0.2))
    np.testing.assert_allclose(once.max(-1), picture.max(-1), atol=1e-6)
    np.testing.assert_allclose(once.min(-1), picture.min(-1), atol=1e-6)
    np.testing.assert_allclose(adjust_hue(once, 0.15), adjust_hue(picture, 0.35), atol=5e-5)
    np.testing.assert_allclose(adjust_hue(picture, 1.0), picture, atol=5e-5)


def test_every_uint8_colour_of_a_coarse_cube_survives_a_hue_of_zero():
    levels = np.append(np.arange(0, 255, 15), 255).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    found = np.round(np.asarray(adjust_hue(cube.astype(np.float32) / 255, 0.0)) * 255)
    np.testing.assert_array_equal(found, cube)


# Draws


def test_areas_and_shapes_of_crops_follow_their_ranges():
    cfg = Augment(crop_scale=(0.25, 0.9), crop_ratio=(0.8, 1.25))
    x, y, width, height = np.asarray(draw_many(cfg, jax.random.key(1), 20_000).box, np.float64).T
    area, ratio = width * height, width / height
    assert stats.kstest(area, stats.uniform(0.25, 0.65).cdf).pvalue > 1e-3
    assert min(x.min(), y.min()) >= 0
    assert max((x + width).max(), (y + height).max()) <= 1 + 1e-6
    assert 0.8 - 1e-5 < ratio.min() < 0.81
    assert 1.24 < ratio.max() < 1.25 + 1e-5
    # Below this area every ratio of the range fits, so its logarithm is even and independent.
    small = area < 0.8
    log_range = stats.uniform(np.log(0.8), np.log(1.25) - np.log(0.8))
    assert stats.kstest(np.log(ratio[small]), log_range.cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(ratio[small], area[small]).statistic) < 0.03
    across, down = x / (1 - width), y / (1 - height)
    assert stats.kstest(across, stats.uniform.cdf).pvalue > 1e-3
    assert stats.kstest(down, stats.uniform.cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(across, down).statistic) < 0.03


@given(
    scale=st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)).map(sorted).map(tuple),
    ratio=st.tuples(st.floats(1e-3, 1), st.floats(1, 1e3)),
    u=st.tuples(share, share, share, share),
)
def test_every_crop_has_its_area_and_lies_inside(scale, ratio, u):
    x, y, width, height = np.asarray(
        aug._crop_box(Augment(scale, ratio), *(jnp.float32(v) for v in u)), np.float64
    )
    assert width * height == pytest.approx(scale[0] + u[0] * (scale[1] - scale[0]), rel=1e-4)
    assert ratio[0] * (1 - 1e-4) <= width / height <= ratio[1] * (1 + 1e-4)
    assert x >= 0 and y >= 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6  # noqa: PT018


def test_crops_come_as_often_as_they_should():
    cfg = Augment(crop_scale=(0.5, 0.8), crop_probability=0.3)
    box = np.asarray(draw_many(cfg, jax.random.key(2), 10_000).box)
    whole = (box == [0, 0, 1, 1]).all(1)
    assert (box[~whole, 2:].prod(1) < 0.81).all()
    assert stats.binomtest(int((~whole).sum()), len(box), 0.3).pvalue > 1e-3


def test_factors_are_even_over_their_ranges():
    cfg = Augment(brightness=0.2, contrast=0.7, saturation=1.5, hue=0.1)
    drawn = draw_many(cfg, jax.random.key(3), 10_000)
    ranges = {
        "brightness": (0.8, 1.2),
        "contrast": (0.3, 1.7),
        "saturation": (0.0, 2.5),  # a factor is never negative
        "hue": (-0.1, 0.1),
    }
    values = {name: np.asarray(getattr(drawn, name), np.float64) for name in ranges}
    for name, (low, high) in ranges.items():
        assert stats.kstest(values[name], stats.uniform(low, high - low).cdf).pvalue > 1e-3, name
    correlation = np.corrcoef(list(values.values()))
    assert np.abs(correlation - np.eye(4)).max() < 0.05


def test_switching_one_field_leaves_the_other_draws_alone():
    both = draw_many(ALL, jax.random.key(4), 8)
    for name in COLOUR:
        without = draw_many(dataclasses.replace(ALL, **{name: 0.0}), jax.random.key(4), 8)
        for other in Draw._fields:
            if other != name:
                np.testing.assert_array_equal(getattr(both, other), getattr(without, other))


# Batches


@each
@given(seed=st.integers(0, 2**31 - 1))
def test_output_is_uint8_of_the_same_shape_and_repeats(cfg, seed):
    key, given_frames = jax.random.key(seed), frames(seed)
    out = run(cfg, key, given_frames)
    assert out.dtype == jnp.uint8
    assert out.shape == given_frames.shape
    np.testing.assert_array_equal(out, run(cfg, key, given_frames))


@each
def test_all_frames_of_a_sample_share_its_draw(cfg):
    one = frames(1, (4, 1, 12, 16, 3))
    same = np.asarray(run(cfg, jax.random.key(5), np.repeat(one, 3, axis=1)))
    np.testing.assert_array_equal(same, np.repeat(same[:, :1], 3, axis=1))
    # And what a frame becomes does not depend on the other frames.
    several = run(cfg, jax.random.key(5), np.concatenate([frames(2), one, frames(3)], axis=1))
    np.testing.assert_array_equal(several[:, 2], same[:, 0])


@each
def test_samples_and_keys_draw_differently(cfg):
    cfg = dataclasses.replace(cfg, crop_probability=1.0)
    same = np.repeat(frames(1, (1, 1, 12, 16, 3)), 6, axis=0)
    outs = [np.asarray(run(cfg, jax.random.key(seed), same)) for seed in (6, 7)]
    assert len({picture.tobytes() for out in outs for picture in out}) == 12


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_draw_depends_on_key_and_position_only(kind):
    key, batch = jax.random.key(8, impl=kind), frames(4, (12, 1, 12, 16, 3))
    whole = np.asarray(run(ALL, key, batch))
    np.testing.assert_array_equal(run(ALL, key, batch[:3]), whole[:3])
    swapped = np.asarray(run(ALL, key, np.concatenate([batch[:4], batch[:8]])))
    np.testing.assert_array_equal(swapped[:4], whole[:4])
    one = aug.draw(ALL, aug.sample_keys(key, 12)[5])
    np.testing.assert_array_equal(aug.apply(ALL, one, batch[5]), whole[5])


def test_keys_of_the_old_kind_serve():
    old, new = jax.random.PRNGKey(9), jax.random.key(9, impl="threefry2x32")
    np.testing.assert_array_equal(run(ALL, old, frames()), run(ALL, new, frames()))


def test_missing_frames_stay_black():
    batch = frames()
    batch[:, 0] = 0
    out = np.asarray(run(ALL, jax.random.key(10), batch))
    assert not out[:, 0].any()
    assert out[:, 1].any()


def test_the_order_is_crop_then_colour_and_rounding_comes_once():
    batch, key = frames(6), jax.random.key(11)
    drawn = draw_many(ALL, key, len(batch))
    out = np.asarray(run(ALL, key, batch), np.int32)
    for i, sample in enumerate(batch):
        picture = aug.crop_resize(sample.astype(np.float32) / 255, drawn.box[i])
        for name in COLOUR:
            picture = getattr(aug, f"adjust_{name}")(picture, getattr(drawn, name)[i])
        # Float sums in another order may fall on the other side of a half.
        difference = np.abs(np.asarray(picture) * 255 - out[i])
        assert difference.max() <= 0.5 + 1e-3


@pytest.mark.parametrize("side", [8, 64])
def test_a_crop_shows_what_is_in_its_box(side):
    # Horizontal position as a gray ramp: the middle of the output is the middle of the box.
    cfg = Augment(crop_scale=(0.3, 0.6), crop_ratio=(0.8, 1.25))
    ramp = np.broadcast_to(np.linspace(0, 255, side).round()[:, None], (16, 1, side, side, 3))
    out = run(cfg, jax.random.key(12), ramp.astype(np.uint8))
    box = np.asarray(draw_many(cfg, jax.random.key(12), 16).box)
    middle = np.asarray(out, np.float32)[:, 0, :, side // 2 - 1 : side // 2 + 1, 0].mean((1, 2))
    wanted = ((box[:, 0] + box[:, 2] / 2) * side - 0.5) / (side - 1) * 255
    np.testing.assert_allclose(middle, wanted, atol=1.01)


# In a train step


def test_a_step_differentiates_past_it_and_compiles_once():
    @jax.jit
    def step(weight, key, batch):
        def loss(weight):
            picture = augment(ALL, key, batch).astype(jnp.float32) / 255
            return jnp.mean(jnp.square(picture @ weight))

        return jax.value_and_grad(loss)(weight)

    weight = jnp.array([0.2, -0.3, 0.5])
    for seed in range(3):
        key = jax.random.fold_in(jax.random.key(13), seed)
        value, gradient = step(weight, key, frames(seed))
        # A quadratic: half its gradient times the weight is its value.
        assert float(gradient @ weight) / 2 == pytest.approx(float(value), rel=1e-4)
        out = np.asarray(run(ALL, key, frames(seed))) / 255.0
        assert float(value) == pytest.approx(np.square(out @ weight).mean(), rel=1e-3)
    assert step._cache_size() == 1


EIGHT = """
import re
import jax, numpy as np
from functools import partial
from test_augment import ALL, augment, frames
from nitrogen_jax.training.mesh import make_mesh, over_batch, replicated
assert jax.device_count() == 8
key, batch = jax.random.key(14), frames(7, (16, 2, 24, 32, 3))
alone = np.asarray(jax.jit(partial(augment, ALL))(key, batch), np.int32)
for fsdp in (1, 4, 8):
    mesh = make_mesh(fsdp)
    shardings = replicated(mesh), over_batch(mesh)
    step = jax.jit(partial(augment, ALL), in_shardings=shardings).lower(key, batch).compile()
    moved = re.findall(r"all-\\w+|reduce-scatter|collective-\\w+", step.as_text())
    assert not moved, moved
    assert step.output_shardings.is_equivalent_to(over_batch(mesh), 5), step.output_shardings
    out = np.asarray(step(*jax.device_put((key, batch), shardings)), np.int32)
    # Smaller pieces may be summed in another order, and so round to the neighbouring level.
    assert np.abs(out - alone).max() <= 1 and (out != alone).mean() < 1e-3
print("equal")
"""


def test_eight_devices_give_what_one_gives_and_move_no_frames(run_python, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = run_python("-c", EIGHT, XLA_FLAGS=flags)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
