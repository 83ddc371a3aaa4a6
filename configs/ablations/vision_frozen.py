"""Ablation: the SigLIP 2 tower stays as it is; the mixer and the denoiser train.

    nitrogen train --config configs/ablations/vision_frozen.py --out runs/ablations/vision_frozen

178 instead of 468 million parameters train, at 239 instead of 582 GFLOP a sample.

Expected: worse than training the tower, since the pictures that it was trained on are not games;
how much is the question, at 41 % of the cost. We know of no published figure. Nothing has been
measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = ("freeze=vision",)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
