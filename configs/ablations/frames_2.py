"""Ablation: two frames of context, 18 control steps (0.3 s) apart, instead of one.

    nitrogen train --config configs/ablations/frames_2.py --out runs/ablations/frames_2

Twice the tokens and twice the cost: 1,160 GFLOP a sample instead of 582.

Expected: the paper found no gain from more than one frame. If there is one here, look at whether it
is the velocity of things on the screen or a copy of the last action: the second does not survive
play. Compare with configs/ablations/baseline.py and frames_4.py. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.frames=2",
    "task.policy.context_length=512",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
