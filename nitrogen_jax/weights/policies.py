"""A policy from what a user writes: a checkpoint of any kind, or "random:<preset>"."""

from __future__ import annotations

import argparse
from pathlib import Path

from nitrogen_jax import config
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.weights import checkpoint
from nitrogen_jax.weights.checkpoint import Checkpoint, Progress
from nitrogen_jax.weights.meta import Meta

RANDOM = "random:"


def add_policy_arguments(
    parser: argparse.ArgumentParser, default: str | None = None, name: str = "--policy"
) -> None:
    """`--policy` and `--vision`."""
    parser.add_argument(
        name,
        metavar="CKPT",
        default=default,
        required=default is None,
        help="an Orbax folder, a run of training, a .safetensors or a .pt file, or random:PRESET "
        "for random weights (tiny, test, nitrogen, a SigLIP 2 name, configs/FILE.py)"
        + (f"; default {default}" if default else ""),
    )
    add_vision_argument(parser)


def add_vision_argument(parser: argparse.ArgumentParser) -> None:
    """`--vision` alone."""
    parser.add_argument(
        "--vision",
        metavar="FILE",
        help="sizes of the vision tower, a JSON file or a preset's name; wins over a vision.json "
        "beside the checkpoint, which wins over the preset that the checkpoint names",
    )


def load_policy(
    spec: str, vision: str | Path | None = None, progress: Progress = lambda amount: None
) -> Checkpoint:
    """The policy that `spec` means; a part of one is refused."""
    if spec.startswith(RANDOM):
        return random_policy(preset(spec, vision))
    loaded = checkpoint.load(spec, vision, progress)
    if loaded.meta.kind != "policy":
        advice = ": train one from it" if loaded.meta.kind == "vision" else ""
        raise NitrogenError(
            f"{spec} is a {loaded.meta.name_of_kind} alone, where a whole policy is needed{advice}"
        )
    return loaded


def preset(spec: str, vision: str | Path | None = None) -> PolicyConfig:
    """The sizes that "random:<preset>" means."""
    if vision is not None:
        raise NitrogenError(
            f"--vision {vision} belongs to a checkpoint, and {spec} names its tower itself: "
            "leave it out"
        )
    return policy_preset(spec.removeprefix(RANDOM))


def random_config(name: str) -> PolicyConfig:
    """The sizes that "random:<name>" means: a preset's, or those of a file of `configs/`."""
    if not name.endswith(".py"):
        return policy_preset(name)
    made = config.load(name)
    if not isinstance(made, PolicyConfig):
        raise NitrogenError(f"{name}: its config() is a {type(made).__name__}, not a PolicyConfig")
    return made.check()


def random_policy(cfg: PolicyConfig, seed: int = 0) -> Checkpoint:
    """A policy with random parameters."""
    import jax
    import numpy as np

    from nitrogen_jax.models import policy

    params = jax.jit(policy.init, static_argnums=0)(cfg, jax.random.key(seed))
    provenance = {"source": f"random parameters, seed {seed}"}
    return Checkpoint(jax.tree.map(np.asarray, params), Meta(cfg, provenance=provenance))
