"""The ablations' common ground: pre-training in the small, everything else as published.

    nitrogen data index records/ --name 60hz --shift 3 --control-rate 60
    nitrogen train --config configs/ablations/baseline.py --out runs/ablations/baseline

configs/nitrogen_500m_pretrain.py with 20,000 updates of 1024 samples: one frame of context, chunks
of 18 actions, windows at least half of which are not idle, Beta(1.6, 0.8), a SigLIP 2 tower, one
draw a frame. Each other file of this folder changes one thing of it. Runs are compared by
validation.overall.buttons.micro_f1 and the sticks' R2, never by the loss where the loss itself is
changed. Differences smaller than those between seeds (launch/sweep.py --seeds 3) mean nothing.

Expected: 20 million samples of 582 GFLOP each are 1.2e19 floating-point operations, 8.5 hours of
one H100 at half of its rate. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "steps=20_000",
    "batch=1024",
    "optimizer.decay=4000",
    # About a tenth of the run, as 0.9999 is of the long one.
    "optimizer.ema=0.9995",
    "validation.every=1000",
)


def config() -> TrainConfig:
    return load(Path(__file__).parents[1] / "nitrogen_500m_pretrain.py", CHANGES)
