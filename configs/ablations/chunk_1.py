"""Ablation: chunks of one action instead of 18.

    nitrogen data index records/ --name 60hz_chunk1 --shift 3 --control-rate 60 --horizon 1
    nitrogen train --config configs/ablations/chunk_1.py --out runs/ablations/chunk_1

It has an index of its own, because an index says how many actions follow a frame.

Expected: about what the baseline gets on the first action of its chunks, so compare
validation.first.buttons.micro_f1 of both, since the near future is easier than the rest of a chunk.
In play, chunks of one step are jerky, and the network is needed 18 times as often. We know of no
published figure. Nothing has been measured yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "task.policy.horizon=1",
    "data.index=60hz_chunk1",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
