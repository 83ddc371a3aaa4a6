"""The neural reader of controller overlays.

nitrogen train --config configs/parser_b0.py --out runs/parser
"""

from nitrogen_jax.labeling.parser.network import parser_config
from nitrogen_jax.labeling.parser.scene_cache import SceneOptions
from nitrogen_jax.labeling.parser.stream import ParserData, StreamOptions
from nitrogen_jax.labeling.parser.task import ParserTask
from nitrogen_jax.training.train_config import Keep, Optimizer, TrainConfig, Validation

NETWORK = parser_config(
    name="parser-small",
    depths=(1, 1, 1, 1),
    widths=(24, 48, 96, 128),
    heads=(1, 2, 4, 4),
    mlp_ratios=(2, 3, 3, 3),
    decoder_width=64,
)


def config() -> TrainConfig:
    return TrainConfig(
        task=ParserTask(NETWORK),
        data=ParserData(SceneOptions(), StreamOptions()),
        steps=4000,
        batch=32,
        optimizer=Optimizer(rate=1.5e-3, warmup=100, decay=2500, beta2=0.99, ema=0.998),
        checkpoints=Keep(every=1000),
        validation=Validation(every=1000, batches=16, trained=8, batch=64),
        log_every=25,
    )
