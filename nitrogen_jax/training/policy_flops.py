"""Floating-point operations of training the policy on one sample, counted by hand.

A product costs as much again for the gradient of its input and as much for that of its weights.
Neither is computed where nothing below, or nothing in it, trains. Recomputation is not counted:
it is the price of memory and no progress.
"""

from __future__ import annotations

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
    paths = [path for path in flatten(policy.shapes(cfg)) if not path.startswith("vision/head/")]

    def share(prefix: str) -> float:
        """Of the parameters below `prefix`: how many train, by number."""
        found = [trains(path) for path in paths if path.startswith(prefix)]
        return sum(found) / max(len(found), 1)

    total, below = 0.0, share("vision/patch_embedding/") + share("vision/position_embedding") > 0
    parts = [
        (f"vision/layers_{at}/", one.encoder * cfg.frames / cfg.vision.depth)
        for at in range(cfg.vision.depth)
    ]
    parts += [("mixer/", one.mixer), ("dit/", one.keys_values)]
    for prefix, forward in parts:
        trained = share(prefix)
        total += forward * (1 + below + trained)
        below = below or trained > 0
    # The denoiser's input is noise, so gradients flow through it as far down as anything trains.
    trained = share("dit/")
    encoder = share("action_encoder/") > 0
    return total + draws * (one.step + one.conditioning) * (
        1 + (below or encoder or trained > 0) + trained
    )
