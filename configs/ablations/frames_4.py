"""Ablation: four frames of context, 18 control steps (0.3 s) apart, instead of one.

    nitrogen train --config configs/ablations/frames_4.py --out runs/ablations/frames_4

Four times the tokens and the cost: 2,334 GFLOP a sample instead of 582.

Expected: the paper found no gain from more than one frame. Compare with
configs/ablations/baseline.py and frames_2.py. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.frames=4",
    "task.policy.context_length=1024",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
