"""Pre-training at the released size (494 M parameters) on the public labels, as far as published.

    nitrogen data build --labels labels/ --videos videos/ --out records/ --split val=0.005
    nitrogen data index records/ --name 60hz --shift 3 --control-rate 60
    nitrogen train --config configs/nitrogen_500m_pretrain.py --out runs/pretrain

    launch/local.sh configs/nitrogen_500m_pretrain.py runs/pretrain --mesh.fsdp=8
    bash launch/slurm.sbatch --nodes 16 --gpus 8 configs/nitrogen_500m_pretrain.py runs/pretrain
    nitrogen plan --config configs/nitrogen_500m_pretrain.py --on tpu:v5e:16x16 --mesh 64,4

`nitrogen plan` says whether it fits and which --mesh.fsdp, --accumulate and --task.remat to add.
The tower starts from SigLIP 2, converted or as Hugging Face publishes it, in the folder below.

As published: batch 4096, rate 1e-4, weight decay 0.001, EMA 0.9999, Beta(1.6, 0.8), dropout 0.2,
one frame, 18 actions, windows at least half of which are not idle, the tower's twelfth layer and
its pooling head frozen. Not published and chosen here: 100,000 steps, the lengths of warm-up and
decay, betas, clipping, 60 Hz, augmentation.

Expected: 410 million samples of 582 GFLOP each are 2.4e20 floating-point operations, 170 hours of
one H100 at half of its rate. The original reports no training loss and no offline metrics to
compare with. Nothing has been measured yet.
"""

from nitrogen_jax.data.augment import Augment
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation


def config() -> TrainConfig:
    return TrainConfig(
        task=PolicyTask(
            policy=policy_preset("nitrogen"),  # action_shift 3: what the labels are used with
            remat=True,
            # Mild: a HUD must stay legible, and colours mean things in games.
            augment=Augment(
                crop_scale=(0.9, 1.0), brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02
            ),
            control_rate=60.0,
        ),
        data=RecordsData(records="records", index="60hz", workers=8),
        steps=100_000,
        batch=4096,
        optimizer=Optimizer(rate=1e-4, warmup=1000, decay=20_000, weight_decay=1e-3, ema=0.9999),
        start=Start(vision="siglip2-large-patch16-256"),
        freeze="original",
        checkpoints=Keep(every=1000, newest=3, keep_every=20_000),
        validation=Validation(every=2000, batches=8, batch=1024),
    )
