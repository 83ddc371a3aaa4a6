"""Ablation: how many Euler steps the sampler needs. Trains nothing: one update at rate 0.

    nitrogen train --config configs/ablations/euler_steps.py --out runs/ablations/euler_4
    launch/sweep.py --config configs/ablations/euler_steps.py --out sweeps/euler \
      --grid task.euler_steps=1,2,4,8,16,32 --metric validation.overall.buttons.micro_f1

Training knows no number of steps, so the baseline's parameters (runs/ablations/baseline, which must
be there) are looked at with another sampler on all of what is held out.

Expected: 16 are the original's. Buttons are thresholded and should need few; sticks more. With one
step the sample is the mean of what could follow, which is no action where there is a choice. Users
of the original report 1 to 16 steps as 24 to 123 ms on an A4000. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.euler_steps=4",
    "start.checkpoint=runs/ablations/baseline",
    "start.vision=None",
    "steps=1",
    "optimizer.rate=0.0",
    "optimizer.warmup=0",
    "optimizer.decay=0",
    "validation.every=None",
    "validation.batches=256",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
