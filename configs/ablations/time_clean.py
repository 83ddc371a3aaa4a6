"""Ablation: times that prefer the action, Beta(0.8, 1.6), instead of the noise.

    nitrogen train --config configs/ablations/time_clean.py --out runs/ablations/time_clean

The mirror image of the published Beta(1.6, 0.8). The losses are not comparable, since times near
the action are easier; the metrics after sampling are.

Expected: worse than time_uniform.py and that worse than configs/ablations/baseline.py, if it
matters at all. We know of no published figure for this network. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.time_alpha=0.8",
    "task.policy.time_beta=1.6",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
