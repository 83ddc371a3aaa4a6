"""The other side of the transfer study: the same as fine-tuning, from random parameters.

    nitrogen train --config configs/transfer/scratch.py --out runs/near-5-scratch \
        --data.records=records-near-5

Expected: launch/transfer/RESULTS.md holds what was measured.
"""

import dataclasses
from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import TrainConfig


def config() -> TrainConfig:
    finetune = load(Path(__file__).with_name("finetune.py"))
    return dataclasses.replace(finetune, start=Start())
