"""Floating-point operations of training the policy on one sample, counted by hand.

A product costs as much again for the gradient of its input and as much for that of its weights.
Neither is computed where nothing below, or nothing in it, trains. Recomputation is not counted:
it is the price of memory and no progress.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from nitrogen_jax.bench import flops
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.weights.rules import flatten


def count(
    cfg: PolicyConfig, draws: int = 1, trains: Callable[[str], bool] = lambda path: True
) -> float:
    """FLOPs of one sample with `draws` (time, noise) draws, forward and backward.

    Args:
        trains: whether the parameter at a path does.
    """
    one = flops.count(cfg)
    sizes = _sizes(cfg)

    def share(prefix: str) -> float:
        """Of what is multiplied with below `prefix`: how much trains.

        NOTE: biases and norms cost nothing, but where one of them trains, gradients flow to it.
        """
        found = {path: size for path, size in sizes.items() if path.startswith(prefix)}
        trained = {path: size for path, size in found.items() if trains(path)}
        least = math.ulp(0.0) if trained else 0.0
        return sum(trained.values()) / max(sum(found.values()), 1) or least

    total, below = 0.0, share("vision/patch_embedding/") + share("vision/position_embedding") > 0
    parts = [
        (f"vision/layers_{at}/", one.encoder * cfg.frames / cfg.vision.depth)
        for at in range(cfg.vision.depth)
    ]
    parts += [("mixer/", one.mixer), ("dit/", one.keys_values)]
    for prefix, forward in parts:
        trained = share(prefix)
        # Whatever trains in a block, gradients flow through it to there; keys and values are one
        # product, whose input needs none of them.
        through = below or (trained > 0 and prefix != "dit/")
        total += forward * (1 + through + trained)
        below = below or trained > 0
    # The denoiser's input is noise, so gradients flow through it as far down as anything trains.
    trained = share("dit/")
    encoder = share("action_encoder/") > 0
    return total + draws * (one.step + one.conditioning) * (
        1 + (below or encoder or trained > 0) + trained
    )


@functools.lru_cache(maxsize=4)
def _sizes(cfg: PolicyConfig) -> dict[str, int]:
    """Path -> elements of a matrix, 0 for all else; without the pooling head, which is idle."""
    return {
        path: math.prod(leaf.shape) if path.endswith("/kernel") else 0
        for path, leaf in flatten(policy.shapes(cfg)).items()
        if not path.startswith("vision/head/")
    }
