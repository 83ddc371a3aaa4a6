"""A small policy that learns a small made-up game on two CPU cores in minutes.

    nitrogen data demo demo/ --videos 16 --seconds 20 --games 1 --size 160x90
    nitrogen data build --labels demo/labels --videos demo/videos --out records/ \\
        --split val=0.125 --size 64 --frame-stride 3 --horizon 4 --min-active 0.2
    nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny --data.records=records/

1.2 M parameters: frames of 64 pixels in 16 patches, chunks of 4 actions at 60 Hz, no dropout. The
game is random: what happens within a chunk cannot be known from its frame, which is why the chunks
are short, and why the first action of a chunk is told apart from all of them.

Measured after 7,500 of the 9,000 updates, on two cores that were busy with other things, on clips
that it has not seen (a pad that never looks: F1 0, R2 0): button F1 0.90 over the chunk and 0.95
of its first action, R2 0.87 and 0.98 of the right stick, 0.44 and 0.47 of the left stick, which
takes longest: it depends on where two small shapes are to each other. Expected: more of the same
from more updates and more videos.
"""

from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation

WIDTH, HEADS = 96, 4
POLICY = PolicyConfig(
    vision=VisionConfig(
        "nitrogen_tiny", 64, patch_size=16, width=WIDTH, depth=2, heads=HEADS, mlp=4 * WIDTH
    ),
    mixer=MixerConfig(depth=1, heads=HEADS, head_dim=WIDTH // HEADS, dropout=0.0),
    dit=DiTConfig(depth=4, heads=HEADS, head_dim=WIDTH // HEADS, output_dim=WIDTH, dropout=0.0),
    width=WIDTH,
    horizon=4,
    max_positions=64,
    context_length=16,
    action_shift=1,  # the pad of a row made its frame: the next row's is the answer to it
)


def config() -> TrainConfig:
    return TrainConfig(
        # Small steps of few frames with several draws of each learn more in the same time than
        # large ones. Looped blocks compile faster, and are slower on a CPU.
        task=PolicyTask(policy=POLICY, draws_per_frame=8, scan=False),
        data=RecordsData(),
        steps=9000,
        batch=8,
        optimizer=Optimizer(rate=1.5e-3, warmup=200, decay=6000, beta2=0.99, ema=0.997),
        checkpoints=Keep(every=3000),
        validation=Validation(every=1500, batches=4, trained=4, batch=64),
        log_every=100,
    )
