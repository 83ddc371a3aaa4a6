"""Fine-tuning of the transfer study: the pre-trained policy learns a task that it has never seen.

    nitrogen train --config configs/transfer/finetune.py --out runs/near-5-pretrained \
        --start.checkpoint=runs/pretrain --data.records=records-near-5

Everything but the number of updates and the start is that of configs/transfer/pretrain.py; from
the start alone configs/transfer/scratch.py differs.

Expected: launch/transfer/RESULTS.md holds what was measured.
"""

import dataclasses
from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import TrainConfig

STEPS = 700


def config() -> TrainConfig:
    pretrain = load(Path(__file__).with_name("pretrain.py"))
    return dataclasses.replace(
        pretrain,
        steps=STEPS,
        start=Start(checkpoint="runs/pretrain"),
        optimizer=dataclasses.replace(pretrain.optimizer, warmup=STEPS // 20, decay=STEPS // 2),
    )
