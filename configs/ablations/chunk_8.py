"""Ablation: chunks of eight actions instead of 18.

    nitrogen data index records/ --name 60hz_chunk8 --shift 3 --control-rate 60 --horizon 8
    nitrogen train --config configs/ablations/chunk_8.py --out runs/ablations/chunk_8

It has an index of its own, because an index says how many actions follow a frame.

Expected: about the same on the first action (validation.first.buttons.micro_f1); better on the mean
of a chunk, but only because the near future is easier. We know of no published figure. Nothing has
been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.horizon=8",
    "data.index=60hz_chunk8",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
