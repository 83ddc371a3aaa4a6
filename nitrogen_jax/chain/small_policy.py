"""The policy of the quick start and of the studies on it; `configs/quickstart.py` is this one.

It is in the package, and not in configs/ alone, so that an installed package has it too.
"""

from __future__ import annotations

from nitrogen_jax.chain.quickstart import HORIZON, SIZE
from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation

WIDTH, HEADS = 96, 4

POLICY = PolicyConfig(
    # NOTE: patches of 8 pixels, where nitrogen_tiny has 16: what is far away is a few pixels wide.
    vision=VisionConfig(
        "nitrogen_tiny_8", SIZE, patch_size=8, width=WIDTH, depth=2, heads=HEADS, mlp=2 * WIDTH
    ),
    mixer=MixerConfig(depth=1, heads=HEADS, head_dim=WIDTH // HEADS, dropout=0.0),
    dit=DiTConfig(depth=2, heads=HEADS, head_dim=WIDTH // HEADS, output_dim=WIDTH, dropout=0.0),
    width=WIDTH,
    horizon=HORIZON,  # short: what monsters do in a longer one cannot be known from its frame
    max_positions=64,
    context_length=64,
    action_shift=1,  # the pad of a row made its frame: the next row's is the answer to it
    euler_steps=8,
)


def config() -> TrainConfig:
    """Everything that decides a run, but the records and the number of steps."""
    return TrainConfig(
        task=PolicyTask(policy=POLICY, draws_per_frame=4, scan=False),
        data=RecordsData(),
        steps=2500,
        batch=16,
        optimizer=Optimizer(rate=1e-3, warmup=100, decay=1250, beta2=0.99, ema=0.99),
        checkpoints=Keep(every=500, newest=2),
        validation=Validation(every=2500, batches=8, trained=8, batch=64),
        log_every=50,
    )
