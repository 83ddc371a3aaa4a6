"""Floating-point operations of the policy counted by hand: 2 per multiply-add of every product.

Norms, activations, softmax and sinusoids are left out: together under 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from nitrogen_jax.models.configs import PolicyConfig


@dataclass(frozen=True)
class Flops:
    """FLOPs of one example, by how often they must be spent."""

    encoder: int  # once per frame
    mixer: int  # once per observation
    keys_values: int  # once per observation
    step: int  # once per Euler step, without what the others hold
    conditioning: int  # once per parameter set and timestep

    def cached(self, frames: int, steps: int) -> int:
        """One chunk when everything is computed as seldom as it can be."""
        return frames * self.encoder + self.mixer + self.keys_values + steps * self.step

    def naive(self, frames: int, steps: int) -> int:
        """One chunk as the original computes it: only the encoder is shared by the steps."""
        each = self.mixer + self.keys_values + self.step + self.conditioning
        return frames * self.encoder + steps * each


def count(cfg: PolicyConfig) -> Flops:
    """FLOPs of one example under `cfg`."""
    vision, mixer, dit = cfg.vision, cfg.mixer, cfg.dit
    n, w, length, horizon = vision.tokens, vision.width, cfg.context_length, cfg.horizon
    patch = 2 * n * 3 * vision.patch_size**2 * w
    layer = 2 * n * (4 * w * w + 2 * w * vision.mlp) + 4 * n * n * w
    mix = 2 * length * 12 * mixer.width**2 + 4 * length * length * mixer.width
    d = dit.width
    cross = sum(dit.is_cross(i) for i in range(dit.depth))
    own = dit.depth - cross
    keys_values = cross * 2 * length * 2 * w * d
    crossing = cross * (2 * horizon * 10 * d * d + 4 * horizon * length * d)
    selfish = own * (2 * horizon * 12 * d * d + 4 * horizon * horizon * d)
    ends = (
        2
        * horizon
        * (
            2 * cfg.action_dim * cfg.width  # first and last layer
            + 2 * cfg.width**2  # W2's half for the actions, W3
            + d * dit.output_dim
            + dit.output_dim * cfg.width  # decoder's first layer
        )
    )
    conditioning = 2 * (256 * d + d * d + (dit.depth + 1) * 2 * d * d + cfg.width**2)
    return Flops(
        encoder=patch + vision.depth * layer,
        mixer=mixer.depth * mix,
        keys_values=keys_values,
        step=crossing + selfish + ends,
        conditioning=conditioning,
    )
