"""Pre-training of the transfer study: one small policy on scripted play of ten tasks.

    nitrogen train --config configs/transfer/pretrain.py --out runs/pretrain --data.records=records/

`launch/transfer.sh` makes the records and does the rest; configs/transfer/study.py says of which
tasks. A little smaller than configs/nitrogen_tiny.py, with chunks of 4 steps at whatever rate a
task is played with, and no game embedding: what a game is, the picture has to tell.

Expected: launch/transfer/RESULTS.md holds what was measured.
"""

from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation

WIDTH, HEADS = 96, 4
POLICY = PolicyConfig(
    vision=VisionConfig(
        "nitrogen_tiny", 64, patch_size=16, width=WIDTH, depth=3, heads=HEADS, mlp=4 * WIDTH
    ),
    mixer=MixerConfig(depth=1, heads=HEADS, head_dim=WIDTH // HEADS, dropout=0.0),
    dit=DiTConfig(depth=3, heads=HEADS, head_dim=WIDTH // HEADS, output_dim=WIDTH, dropout=0.0),
    width=WIDTH,
    horizon=4,
    max_positions=64,
    context_length=16,
    action_shift=1,  # the pad of a row made its frame: the next row's is the answer to it
    euler_steps=8,
)


def config() -> TrainConfig:
    return TrainConfig(
        task=PolicyTask(policy=POLICY, draws_per_frame=3, scan=False),
        data=RecordsData(validation=None),
        steps=3000,
        batch=16,
        optimizer=Optimizer(rate=1e-3, warmup=150, decay=1500, beta2=0.99, ema=0.997),
        checkpoints=Keep(every=1000, newest=2),
        validation=Validation(every=None, batches=0),
        log_every=100,
    )
