"""Sizes of a SegFormer: its Mix Transformer encoder and its decoder of linear layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from nitrogen_jax.errors import NitrogenError

MOST_BLOCKS = 1000  # a file that names more is damaged or hostile
_STAGE_FIELDS = ("depths", "widths", "heads", "reductions", "mlp_ratios", "patches", "strides")
_NORMS = ("batch", "layer")


@dataclass(frozen=True)
class SegformerConfig:
    """One number a stage in each tuple; pictures (B, H, W, in_channels) of any size.

    Attributes:
        depths: blocks.
        widths: channels.
        heads: of the attention.
        reductions: keys and values are made from squares of so many positions a side.
        mlp_ratios: hidden channels of the feed-forward layer, in widths.
        patches: side of the patch that a position is made from, odd.
        strides: positions between two patches; the product is how much smaller the last map is.
        decoder_width: channels of the fused features; 0 is an encoder without a decoder.
        outputs: channels of the logits; 0 is a decoder that ends with the fused features.
        norm: of the fused features: "batch" with stored statistics, which never change (what
            published weights need), or "layer" over the channels (for training from scratch).
        drop_path: chance that the last block is skipped in training; from 0 rising linearly.
    """

    name: str = "mit-b0"
    depths: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (32, 64, 160, 256)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    mlp_ratios: tuple[int, ...] = (4, 4, 4, 4)
    patches: tuple[int, ...] = (7, 3, 3, 3)
    strides: tuple[int, ...] = (4, 2, 2, 2)
    in_channels: int = 3
    decoder_width: int = 256
    outputs: int = 150
    norm: str = "batch"
    drop_path: float = 0.0
    # NOTE: not the 1e-6 of published config files, which their code never reads.
    eps: float = 1e-5

    @property
    def stages(self) -> int:
        return len(self.depths)

    def check(self) -> SegformerConfig:
        """Returns itself; raises one sentence naming the first pair of sizes that do not fit."""
        for problem in _problems(self):
            raise NitrogenError(problem)
        return self

    def sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) of every stage's map, for pictures of `height` x `width` pixels."""
        found = []
        for patch, stride in zip(self.patches, self.strides, strict=True):
            height, width = ((s + 2 * (patch // 2) - patch) // stride + 1 for s in (height, width))
            found.append((height, width))
        return found


_WIDE = SegformerConfig("mit-b1", widths=(64, 128, 320, 512))
_DEEP = dataclasses.replace(_WIDE, decoder_width=768)
_DEPTHS = {"b2": (3, 4, 6, 3), "b3": (3, 4, 18, 3), "b4": (3, 8, 27, 3), "b5": (3, 6, 40, 3)}
PRESETS: dict[str, SegformerConfig] = {
    "mit-b0": SegformerConfig(),
    "mit-b1": _WIDE,
    **{
        f"mit-{size}": dataclasses.replace(_DEEP, name=f"mit-{size}", depths=depths)
        for size, depths in _DEPTHS.items()
    },
    "mit-test": SegformerConfig(
        "mit-test", depths=(1, 1, 1, 1), widths=(8, 16, 24, 32), heads=(1, 2, 3, 4),
        decoder_width=16, outputs=3,
    ),
}  # fmt: skip


def segformer_preset(name: str) -> SegformerConfig:
    """The network called `name`: "mit-b0" to "mit-b5" as published, or "mit-test"."""
    if name not in PRESETS:
        raise NitrogenError(f"SegFormer {name!r} is not known: use one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _problems(cfg: SegformerConfig) -> Iterator[str]:
    for name in _STAGE_FIELDS:
        values = getattr(cfg, name)
        if len(values) != cfg.stages or not values:
            yield f"config: {name} {values} and depths {cfg.depths} differ in their stages"
        if min(values) < 1:
            yield f"config: {name} is {values}, where 1 is the least"
    if sum(cfg.depths) > MOST_BLOCKS:
        yield f"config: depths {cfg.depths} are more than {MOST_BLOCKS} blocks"
    for width, heads in zip(cfg.widths, cfg.heads, strict=True):
        if width % heads:
            yield f"config: a width of {width} is not a multiple of its {heads} heads"
    if any(patch % 2 == 0 for patch in cfg.patches):
        yield f"config: patches is {cfg.patches}, where odd numbers are needed"
    if cfg.in_channels < 1:
        yield f"config: in_channels is {cfg.in_channels}, where 1 is the least"
    for name in ("decoder_width", "outputs"):
        if getattr(cfg, name) < 0:
            yield f"config: {name} is {getattr(cfg, name)}, where 0 is the least"
    if cfg.outputs and not cfg.decoder_width:
        yield f"config: outputs is {cfg.outputs} and needs a decoder, whose decoder_width is 0"
    if cfg.norm not in _NORMS:
        yield f"config: norm {cfg.norm!r} is not one of {', '.join(map(repr, _NORMS))}"
    if not 0 <= cfg.drop_path < 1:
        yield f"config: drop_path is {cfg.drop_path}, where a share of 0 to 1 is needed"
    if not 0 <= cfg.eps < 1:
        yield f"config: eps is {cfg.eps}, where a small number is needed"
