"""A small policy that learns a small data set on a CPU in minutes. Expected: see below.

nitrogen data demo demo/
nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny --data.records=records/
"""

from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation


def config() -> TrainConfig:
    return TrainConfig(
        task=PolicyTask(policy=policy_preset("tiny"), draws_per_frame=4),
        data=RecordsData(),
        steps=1000,
        batch=32,
        optimizer=Optimizer(rate=1e-3, warmup=100, decay=300, ema=0.995),
        checkpoints=Keep(every=500),
        validation=Validation(every=500, batches=8, trained=8),
    )
