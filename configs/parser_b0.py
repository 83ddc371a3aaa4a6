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

Measured, 2026-11-30, after short runs of about half a CPU hour, on 744 pairs of frames of 24
made-up skins that were never trained on, as faint as 40 %:

  samples | skins | loss | R2 left, right | button F1, onset F1 | accuracy (idle 0.932)
  128,000 |   400 |  2.4 | 0.81, 0.83     | 0.74, 0.69          | 0.970
   32,000 | 3,000 |  2.1 | 0.69, 0.75     | 0.74, 0.69          | 0.970
   64,000 | 3,000 |  1.6 | 0.80, 0.82     | 0.80, 0.72          | 0.978
  104,000 | 3,000 |  1.4 | 0.85, 0.86     | 0.82, 0.73          | 0.981

400 skins are too few (the loss on them was a third of this); with 3,000 it still falls. The last:

    nitrogen train --config configs/parser_b0.py --out runs/short --data.scenes.folder=scenes/ \\
        --data.stream.made_up=3000 --data.stream.variants=1 --data.stream.clips=1000 \\
        --data.held_out=24 --batch=16 --steps=6500 --optimizer.rate=1.2e-3 \\
        --optimizer.warmup=150 --optimizer.decay=3000

Its reading of 12 real skins of 5 layouts, exactly placed, 48 clips of 32 frames, opacity 0.4 to 1,
all frames pooled: R2 of the left stick 0.69 with human traces and 0.61 with smooth ones, of the
right one 0.38 with smooth ones, button F1 0.67 and 0.60 (accuracy 0.983 and 0.951; 0.990 and 0.951
by saying that nothing is pressed). Where the overlay is at least 85 % opaque (21 clips): 0.80, 0.69
and 0.55. With human traces R2 of the right stick is -1.6, which says little: in those traces it
rests nearly always. Faint line art over a bright game is taken for presses, and hollow knobs are
read worst.

The parameters that ship with the project are of this run (0.6 M, 1.3 MB). On the real skins above,
smooth and human traces together, R2 of the left stick is 0.66, 0.56 of the best cell alone instead
of the mean about it, and 0.53 without the template; button F1 0.58, and 0.05 without the template
(which this network was trained with).

As a second reader of 3 encoded clips of 12 s, two over a static display, exactly placed; a frame is
right if all buttons are and no stick is off by more than 0.2:

  readers                       | frames kept | wrong ones among them
  fit                           | 0.980       | 9 of 1411
  both                          | 0.964       | 1 of 1388
  both, every difference counts | 0.251       | 0 of 362
  net                           | 0.801       | 894 of 1153

So it is worth asking where few wrong frames matter more than 2 ms a frame, with --readers both; it
has a say only where it is sure, about elements that it mostly reads as the fit does. Alone it is
no good yet, and the fit reads alone unless --readers says otherwise. Neither the whole run of this
file nor a b0 has been measured.

Training takes 15 CPU milliseconds a sample on one core of an AMD EPYC, all included, once the
scenes are there, each of which takes 0.2 s to make; a forward pass takes 2 a frame.
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
