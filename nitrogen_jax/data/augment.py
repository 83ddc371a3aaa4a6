"""Image augmentation on the device, inside the jitted train step.

One draw per sample, shared by all its context frames: they are one view of one scene. The order
is fixed: crop, brightness, contrast, saturation, hue; in float32 on [0, 1], rounded once at the
end. There is no flip and no rotation, since both would change what the recorded actions mean.

A picture here is `rgb`, (..., H, W, 3) float32 in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError

LUMA = (0.299, 0.587, 0.114)  # Rec. 601; they sum to one, so that gray stays as it is


@dataclass(frozen=True)
class Augment:
    """What to vary, and how far. At their defaults all fields are off and frames stay untouched.

    A colour field of c draws a factor from [max(0, 1 - c), 1 + c], or a shift from [-c, c] turns
    of the colour wheel for the hue, evenly.
    """

    crop_scale: tuple[float, float] = (1.0, 1.0)  # share of the frame's area, drawn evenly
    # Width over height in shares of the frame's, so 1 keeps its shape; drawn evenly in the
    # logarithm among those that fit, so a crop of nearly the whole frame nearly has its shape.
    crop_ratio: tuple[float, float] = (1.0, 1.0)
    crop_probability: float = 1.0  # the others are seen whole, as they are in play
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    @property
    def crops(self) -> bool:
        """Whether any frame is cropped."""
        return self.crop_probability > 0 and tuple(self.crop_scale) != (1, 1)

    @property
    def is_identity(self) -> bool:
        """Whether every frame stays as it is."""
        return not (self.crops or self.brightness or self.contrast or self.saturation or self.hue)

    def check(self) -> Augment:
        """Returns itself; raises one sentence naming the first field that cannot be."""
        for problem in _problems(self):
            raise NitrogenError(problem)
        return self


class Draw(NamedTuple):
    """What was drawn for one sample."""

    box: Array  # (4,) x, y, width, height in shares of the frame
    brightness: Array
    contrast: Array
    saturation: Array
    hue: Array  # turns


def augment(cfg: Augment, key: Array, frames: Array) -> Array:
    """Frames (B, F, H, W, 3) uint8 -> the same, augmented; the array itself if `cfg` is off.

    A sample's draw depends on `key` and on its position in the batch, and on nothing else: not on
    the size of the batch, nor on how it is sharded.
    """
    cfg.check()
    if frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise NitrogenError(
            f"frames to augment have shape {frames.shape}, where "
            "(batch, frames, height, width, 3) is needed"
        )
    if frames.dtype != jnp.uint8:
        raise NitrogenError(
            f"frames to augment have type {frames.dtype}, where uint8 pixels are needed"
        )
    if cfg.is_identity:
        return frames
    draws = jax.vmap(partial(draw, cfg))(sample_keys(key, frames.shape[0]))
    return jax.vmap(partial(apply, cfg))(draws, frames)


def sample_keys(key: Array, batch: int) -> Array:
    """A key for each position in the batch, (batch,)."""
    # NOTE: with a default generator other than Threefry, what vmap draws for one sample would
    # depend on the whole batch.
    key = jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl="threefry2x32")
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(batch))


def draw(cfg: Augment, key: Array) -> Draw:
    """One sample's draw, all scalars but the box."""
    # One uniform number each, used or not: switching a field leaves the other draws alone.
    whether, area, ratio, x, y, *colour = jax.random.uniform(key, (9,))
    box = _crop_box(cfg, area, ratio, x, y)
    box = jnp.where(whether < cfg.crop_probability, box, jnp.array([0.0, 0.0, 1.0, 1.0]))
    halves = (cfg.brightness, cfg.contrast, cfg.saturation)
    factors = [_between(max(0.0, 1 - c), 1 + c, u) for c, u in zip(halves, colour[:3], strict=True)]
    return Draw(box, *factors, _between(-cfg.hue, cfg.hue, colour[3]))


def apply(cfg: Augment, drawn: Draw, frames: Array) -> Array:
    """Frames of one sample (..., H, W, 3) uint8 -> the same, with what was drawn for it."""
    rgb = frames.astype(jnp.float32) / 255
    if cfg.crops:
        rgb = crop_resize(rgb, drawn.box)
    if cfg.brightness:
        rgb = adjust_brightness(rgb, drawn.brightness)
    if cfg.contrast:
        rgb = adjust_contrast(rgb, drawn.contrast)
    if cfg.saturation:
        rgb = adjust_saturation(rgb, drawn.saturation)
    if cfg.hue:
        rgb = adjust_hue(rgb, drawn.hue)
    return jnp.round(rgb * 255).astype(jnp.uint8)


def crop_resize(rgb: Array, box: Array) -> Array:
    """The box (x, y, width, height; shares of the frame) stretched to the whole frame.

    Bilinear between pixel centres; beyond the outermost centres of the frame, their value. A
    filter against aliasing would change nothing, since a box is never larger than the frame.
    """
    # Two small products instead of a gather per pixel, which accelerators do badly. In reduced
    # precision they would be off by whole levels of gray.
    rows = _weights(box[1], box[3], rgb.shape[-3])
    columns = _weights(box[0], box[2], rgb.shape[-2])
    rgb = jnp.einsum("ih,...hwc->...iwc", rows, rgb, precision="highest")
    return jnp.einsum("jw,...iwc->...ijc", columns, rgb, precision="highest")


def adjust_brightness(rgb: Array, factor: Array | float) -> Array:
    """Blends with black: 0 is black, 1 changes nothing, 2 is twice as bright."""
    return jnp.clip(factor * rgb, 0, 1)


def adjust_contrast(rgb: Array, factor: Array | float) -> Array:
    """Blends with the mean gray of each picture: at 0 that is all that is left."""
    # NOTE: not the mean over a sample's frames, where a missing (black) one would count.
    mean = luma(rgb.mean((-3, -2), keepdims=True))
    return jnp.clip(factor * rgb + (1 - factor) * mean, 0, 1)


def adjust_saturation(rgb: Array, factor: Array | float) -> Array:
    """Blends with the pixel's own gray: at 0 the picture is gray."""
    return jnp.clip(factor * rgb + (1 - factor) * luma(rgb), 0, 1)


def adjust_hue(rgb: Array, turns: Array | float) -> Array:
    """Turns the hue of HSV; saturation and value stay. 1/3 makes red green."""
    red, green, blue = (rgb[..., i] for i in range(3))
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    # The hue in sixths of a turn, where 0 is red, 2 green, 4 blue.
    safe = jnp.where(chroma > 0, chroma, 1)
    from_red, from_green = (green - blue) / safe, 2 + (blue - red) / safe
    from_blue = 4 + (red - green) / safe
    hue = jnp.where(value == red, from_red, jnp.where(value == green, from_green, from_blue))

    def channel(offset: float) -> Array:
        # By its distance on the wheel: the value on two sixths, value minus chroma on the two
        # opposite ones, straight lines between.
        k = hue + 6 * turns + offset
        k -= 6 * jnp.floor(k / 6)
        return value - chroma * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return jnp.stack([channel(5), channel(3), channel(1)], -1)


def luma(rgb: Array) -> Array:
    """The gray (..., H, W, 1) of a picture."""
    return sum(weight * rgb[..., i : i + 1] for i, weight in enumerate(LUMA))


def _between(low: float | Array, high: float | Array, u: Array) -> Array:
    return low + u * (high - low)


def _crop_box(cfg: Augment, area: Array, ratio: Array, x: Array, y: Array) -> Array:
    """Four uniform numbers -> (4,) a box inside the frame."""
    log_area = jnp.log(_between(*cfg.crop_scale, area))
    # A box of this area fits if its ratio is between the area and its inverse.
    low = jnp.maximum(math.log(cfg.crop_ratio[0]), log_area)
    high = jnp.minimum(math.log(cfg.crop_ratio[1]), -log_area)
    log_ratio = _between(low, high, ratio)
    width = jnp.minimum(jnp.exp((log_area + log_ratio) / 2), 1)
    height = jnp.minimum(jnp.exp((log_area - log_ratio) / 2), 1)
    return jnp.stack([x * (1 - width), y * (1 - height), width, height])


def _weights(start: Array, extent: Array, size: int) -> Array:
    """(size, size) bilinear weights: output pixel by input pixel."""
    centres = start * size + (jnp.arange(size) + 0.5) * extent - 0.5
    centres = jnp.clip(centres, 0, size - 1)
    return jnp.maximum(0, 1 - jnp.abs(centres[:, None] - jnp.arange(size)))


def _problems(cfg: Augment) -> Iterator[str]:
    for field in fields(cfg):
        name, value = field.name, getattr(cfg, field.name)
        pair = name in ("crop_scale", "crop_ratio")
        if pair and not (isinstance(value, tuple) and len(value) == 2):
            yield f"augment: {name} is {value!r}, where a pair (least, most) is needed"
        for number in value if pair else (value,):
            real = isinstance(number, int | float) and not isinstance(number, bool)
            if not (real and math.isfinite(number) and number >= 0):
                needed = "numbers of at least 0 are" if pair else "a number of at least 0 is"
                yield f"augment: {name} is {value!r}, where {needed} needed"
    if not 0 < cfg.crop_scale[0] <= cfg.crop_scale[1] <= 1:
        yield f"augment: crop_scale is {cfg.crop_scale}, where 0 < least <= most <= 1 is needed"
    if not 0 < cfg.crop_ratio[0] <= 1 <= cfg.crop_ratio[1]:
        yield f"augment: crop_ratio is {cfg.crop_ratio}, where 0 < least <= 1 <= most is needed"
    if cfg.crop_probability > 1:
        yield f"augment: crop_probability is {cfg.crop_probability}, where at most 1 is needed"
    if cfg.hue > 0.5:
        yield f"augment: hue is {cfg.hue}, where at most 0.5 (half a turn) is needed"
