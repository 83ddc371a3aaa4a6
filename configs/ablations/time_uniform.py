"""Ablation: times drawn evenly instead of by Beta(1.6, 0.8), which prefers noise.

    nitrogen train --config configs/ablations/time_uniform.py --out runs/ablations/time_uniform

t = 0.999 (1 - Beta(a, b)): Beta(1, 1) is even. The loss of the two is not comparable, since noisy
times are harder; the metrics after sampling are.

Expected: a little worse, if the preference for noisy times, where the coarse choice is made, is
worth something. We know of no published figure for this network. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.time_alpha=1.0",
    "task.policy.time_beta=1.0",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
