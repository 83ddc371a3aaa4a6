"""Ablation: a vision tower that starts from random parameters instead of SigLIP 2.

    nitrogen train --config configs/ablations/vision_random.py --out runs/ablations/vision_random

Everything trains then, also the twelfth layer, which the original's rule would leave random.

Expected: clearly worse after as few updates as these; how far it catches up with more is the
question. We know of no published figure. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "start.vision=None",
    "freeze=((r'vision/head/.*', False), ('.*', True))",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
