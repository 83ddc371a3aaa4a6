"""Ablation: without the idle filter: every window, also where nobody does anything.

    nitrogen data index records/ --name 60hz_all --shift 3 --control-rate 60 --min-active 0
    nitrogen train --config configs/ablations/all_samples.py --out runs/ablations/all_samples

The baseline keeps windows at least half of which are not idle, about 55 % of the public labels.
Validation goes through the same index as training, so that what is compared must be measured on the
baseline's: --data.held_out="[{'folder': 'records', 'split': 'val', 'index': '60hz'}]" does that and
is set here.

Expected: the authors filter because a policy that has seen too much idling idles; so fewer presses,
lower recall of buttons, higher precision. We know of no published figure. Nothing has been measured
yet.
"""

from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.train_config import TrainConfig

CHANGES = (
    "data.index=60hz_all",
    "data.held_out=[{'folder': 'records', 'split': 'val', 'index': '60hz'}]",
)


def config() -> TrainConfig:
    return load(Path(__file__).with_name("baseline.py"), CHANGES)
