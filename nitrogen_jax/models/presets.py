"""Published and small sizes by name."""

from __future__ import annotations

import dataclasses
import re

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig

_TOWERS = {  # family: width, depth, heads, mlp
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "so400m": (1152, 27, 16, 4304),
    "giant-opt": (1536, 40, 16, 6144),
}
_TOWER_NAME = re.compile(r"(?:google/)?siglip2?-(base|large|so400m|giant-opt)-patch(\d+)-(\d+)")
_SMALL_TOWERS = {
    "test": VisionConfig("test", image_size=32, patch_size=16, width=32, depth=2, heads=2, mlp=64),
    "tiny": VisionConfig("tiny", image_size=64, patch_size=8, width=96, depth=4, heads=4, mlp=384),
}
TOWER_EXAMPLES = (
    "google/siglip2-base-patch16-224",
    "google/siglip2-base-patch16-256",
    "google/siglip2-large-patch16-256",
    "google/siglip2-so400m-patch14-224",
    *_SMALL_TOWERS,
)


def vision_preset(name: str) -> VisionConfig:
    """The tower called `name`: a published SigLIP or SigLIP 2 name, or "tiny" or "test"."""
    if name in _SMALL_TOWERS:
        return _SMALL_TOWERS[name]
    match = _TOWER_NAME.fullmatch(name)
    if match is None:
        raise NitrogenError(
            f"vision tower {name!r} is not known: use a name such as {', '.join(TOWER_EXAMPLES)}"
        )
    width, depth, heads, mlp = _TOWERS[match[1]]
    return VisionConfig(name, int(match[3]), int(match[2]), width, depth, heads, mlp)


def policy_preset(name: str) -> PolicyConfig:
    """The policy called `name`: "nitrogen" (the released sizes), "tiny", "test", or a tower's name.

    A tower's name gives the released policy around that tower.
    """
    if name in _SMALL_TOWERS:
        vision = _SMALL_TOWERS[name]
        head_dim, depth = (16, 2) if name == "test" else (24, 4)
        heads = vision.width // head_dim
        return PolicyConfig(
            vision=vision,
            mixer=MixerConfig(depth=1 if name == "test" else 2, heads=heads, head_dim=head_dim),
            dit=DiTConfig(depth=depth, heads=heads, head_dim=head_dim, output_dim=vision.width),
            width=vision.width,
            max_positions=64,
            context_length=vision.tokens,
            action_shift=1,
        ).check()
    if name == "nitrogen":
        return PolicyConfig().check()
    vision = vision_preset(name)
    heads = vision.width // 64
    return dataclasses.replace(
        PolicyConfig(),
        vision=vision,
        mixer=MixerConfig(heads=heads),
        dit=DiTConfig(cross_width=None if vision.width == 1024 else vision.width),
        context_length=vision.tokens,
    ).check()
