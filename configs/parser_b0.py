"""The neural reader of controller overlays: a second opinion beside the fit of sprites.

    nitrogen train --config configs/parser_b0.py --out runs/parser --data.scenes.folder=scenes/

It needs no data: skins, states, backgrounds and clips are made up while it trains. Scenes are kept
in the folder, 0.6 MB each, so that they are drawn once; without one they fill about 2.5 GB of
memory. Validation is on clips of made-up skins that are never trained on. Real skins, footage and
traces may be mixed in: --data.scenes.skins='("skins/",)', --data.scenes.footage=folder/,
--data.scenes.traces='("pad.npz",)'.

This is a narrow network of 0.6 M parameters, 4 times as fast as a b0, for a CPU. For a GPU, a b0 of
3.7 M:

    nitrogen train --config configs/parser_b0.py --out runs/b0 --data.scenes.folder=scenes/ \\
        --task.network.name=parser-b0 --task.network.depths='(2, 2, 2, 2)' \\
        --task.network.widths='(32, 64, 160, 256)' --task.network.heads='(1, 2, 5, 8)' \\
        --task.network.mlp_ratios='(4, 4, 4, 4)' --task.network.decoder_width=256 \\
        --data.stream.made_up=4000 --data.workers=12 --batch=256 --steps=30000 \\
        --optimizer.rate=1e-3 --optimizer.warmup=1000 --optimizer.decay=20000 --optimizer.ema=0.9995

Measured, 2026-11-30, after only 1,533 of the 8,000 steps (49,000 samples of 700 skins, 20 CPU
minutes), on clips of 24 made-up skins that it had never seen, 13 of them less than 85 % opaque: R2
of the left stick 0.84, of the right one 0.87, button F1 0.82, onset F1 0.74, accuracy 0.978 (0.933
by saying that nothing is pressed). On the other 11 clips R2 0.94 and 0.93, F1 0.86. At step 400 it
was 0.67, 0.71 and 0.70, at step 800 0.78, 0.83 and 0.80: it had not stopped to learn. Neither the
whole run nor a b0 has been measured. On 12 real skins, exactly placed: R2 0.71 and -0.17, F1 0.74,
which is not yet of use.

On one core of an AMD EPYC the stream makes 730 samples a second once its scenes are there, each of
which takes 0.2 s to make; training takes 24 CPU milliseconds a sample, which is 1.7 hours of one
core for the 8,000 steps; reading takes 2.9 ms a frame (b0: 11.3).
"""

from nitrogen_jax.labeling.parser.network import parser_config
from nitrogen_jax.labeling.parser.stream import ParserData
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
        data=ParserData(),
        steps=8000,
        batch=32,
        optimizer=Optimizer(rate=1.5e-3, warmup=100, decay=6000, beta2=0.99, ema=0.998),
        checkpoints=Keep(every=1000, minutes=10),
        validation=Validation(every=2000, batches=16, batch=64),
        log_every=25,
    )
