"""A small policy that learns a small made-up game on two CPU cores in minutes.

    nitrogen data demo demo/ --videos 8 --seconds 20 --rate 120 --games 1 --size 160x160
    nitrogen data build --labels demo/labels --videos demo/videos --out records/ \\
        --split val=0.2 --size 64 --frame-stride 6 --horizon 3 --min-active 0.2
    nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny --data.records=records/

1.3 M parameters: frames of 64 pixels in 16 patches, chunks of 3 actions at 120 Hz, no dropout. The
game is random: what happens within a chunk cannot be known from its frame, which is why the chunks
are short, and why the first action of a chunk is told apart from all of them.

Measured, 2026-11-30, on two cores of an Intel Xeon, in 4 min 55 s (38 ms a step, 30 at its best; a
pad that never looks has F1 0 and R2 0), over all actions of the chunks. On clips it was trained on:
button F1 0.969, R2 of the left stick 0.951, of the right one 0.979. On clips it has never seen:
F1 0.916, left 0.392, right 0.719.

The left stick takes longest: it depends on where two small shapes are to each other, and 6 videos
show too few of their positions for other clips. 6,300 steps give it 0.949, 7,000 give it 0.954;
with 3 blocks of the DiT instead of 4, and 7,000, it is 0.949, with 2 of the tower instead of 3 it
is 0.942. More videos help on other clips: 7, in 8,000 steps and 5 min 51 s, gave F1 0.941, left
0.424, right 0.832 there.
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
    dit=DiTConfig(depth=4, heads=HEADS, head_dim=WIDTH // HEADS, output_dim=WIDTH, dropout=0.0),
    width=WIDTH,
    horizon=3,
    max_positions=64,
    context_length=16,
    action_shift=1,  # the pad of a row made its frame: the next row's is the answer to it
)


def config() -> TrainConfig:
    return TrainConfig(
        # Small steps of few frames with several draws of each learn more in the same time than
        # large ones. Looped blocks compile faster, and are slower on a CPU.
        task=PolicyTask(policy=POLICY, draws_per_frame=3, scan=False),
        data=RecordsData(),
        steps=6700,
        batch=16,
        optimizer=Optimizer(rate=1e-3, warmup=200, decay=5300, beta2=0.99, ema=0.997),
        checkpoints=Keep(every=3350),
        validation=Validation(every=6700, batches=8, trained=16, batch=64),
        log_every=100,
    )
