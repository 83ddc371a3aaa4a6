"""Fine-tuning the released weights, or ones of our own, on one game that you have recorded.

    nitrogen convert ng.pt ng_converted/
    nitrogen data build --labels labels/ --videos videos/ --out records/mygame --split val=0.1
    nitrogen train --config configs/nitrogen_500m_finetune.py --out runs/mygame

    nitrogen train --config configs/nitrogen_500m_finetune.py --out runs/mygame \
      --start.checkpoint=runs/pretrain --data.records=records/othergame
    launch/sweep.py --config configs/nitrogen_500m_finetune.py --out sweeps/rate \
      --grid optimizer.rate=1e-5,3e-5,1e-4 --grid freeze=original,vision

Less memory: --freeze=vision (178 of 494 M parameters train), or adapters, as in
--freeze=none --lora="{'rank': 16}"; `nitrogen plan` tells how much. action_shift is 1, since a
frame of our recordings shows the state after the action of its row; the weights were trained with
3, which is said at the start and learned away. For NVIDIA's labels add --task.policy.action_shift=3
and an index made with --shift 3.

Expected: the paper reports up to 52 % (relative) more success than training from scratch on the
same data and compute, for a game held out of pre-training. Compare with
configs/nitrogen_500m_scratch.py, which differs in the start alone. Nothing has been measured yet.
"""

import dataclasses

from nitrogen_jax.data.augment import Augment
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation


def config() -> TrainConfig:
    return TrainConfig(
        task=PolicyTask(
            policy=dataclasses.replace(policy_preset("nitrogen"), action_shift=1),
            remat=True,
            augment=Augment(
                crop_scale=(0.9, 1.0), brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02
            ),
        ),
        data=RecordsData(records="records/mygame", workers=8),
        steps=10_000,
        batch=256,
        # The average spans about 1,000 updates: with the 10,000 of pre-training it would still
        # hold what the run started from.
        optimizer=Optimizer(rate=5e-5, warmup=500, decay=2000, weight_decay=1e-3, ema=0.999),
        start=Start(checkpoint="ng_converted"),
        freeze="original",
        checkpoints=Keep(every=1000, newest=2),
        validation=Validation(every=500, batches=16),
    )
